// The IR verifier: what must hold of a graph between any two passes.
//
// Each value is defined exactly once and before it is used, in nested blocks too (they may use values
// of the blocks around them, but not the other way round); operators exist in the opset and have a
// number of inputs and outputs that they allow; every node has an origin of the program; types are
// there; graph outputs are defined. Names are checked once they are given: all unique.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// One phrase per breach, in graph order; empty if the graph is sound.
std::vector<std::string> find_problems(const Graph& graph, const Program& program);

// Throws Error(internal) with all problems; `when` says after what: "lowering", "fold constants".
void verify(const Graph& graph, const Program& program, std::string_view when);

}  // namespace modelexport::graph
