// A readable listing of a graph, one node per line, nested blocks indented: what tests assert and
// --dump-graph shows. Values are %index (their name once they have one), parameters $name, small
// constants their contents ("[0,-1]:int64").
#pragma once

#include <string>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

std::string to_string(const Graph& graph, const Program& program);

}  // namespace modelexport::graph
