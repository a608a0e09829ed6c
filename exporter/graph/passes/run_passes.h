// Makes a graph smaller without changing what it computes, before values and nodes are named.
// Linear in the size of the graph. Parameters stay as they are; the tag of a node that goes into
// another one goes with it (scopes.h). Random operators are neither merged nor removed unless dead.
//
// Start reading here; then simplify.h (rules on single nodes), common_subexpressions.h,
// dead_code.h.
#pragma once

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// Debug builds verify the graph after each pass. Local functions are left as they are.
void run_passes(Graph& graph, const Program& program);

}  // namespace modelexport::graph
