// Merges nodes that compute the same: same operator, attributes and inputs (in any order where the
// operator commutes), the first of them visible from the other. Initializers with the same contents
// become one. Random operators, and operators outside ONNX's own domain, are left alone.
#pragma once

#include "exporter/graph/graph.h"

namespace modelexport::graph {

void merge_common_subexpressions(Graph& graph, const Program& program);

}  // namespace modelexport::graph
