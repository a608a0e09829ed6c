// The nodes of a block by the module calls that they are part of: what becomes calls of functions.
#pragma once

#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// Nodes that stand one after the other and belong to one call.
struct Unit {
  ScopeId call = kNone;  // kNone: a single node, of the call that the block itself belongs to
  std::vector<Node> nodes;
};

// Brings together units of one call that others stand between, where data flow lets it. Units stay
// in topological order.
void merge_units(std::vector<Unit>& units);

}  // namespace modelexport::graph
