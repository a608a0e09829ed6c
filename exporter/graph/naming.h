// Names of nodes and values, given once, after the last pass.
//
// Nodes: the call path, then the operator: "/encoder/layer.0/attention/self/query/MatMul", "_1"...
// where needed; a module that is called again has its own path ("/lin", "/lin_1"), as the TorchScript
// exporter has it. Values: "<node name>_output_0"; inputs and outputs: as in the program; parameters
// and buffers: their state-dict name; constants: type and contents ("int64_-1_1d") or first use.
// All names are unique across the graph and its nested blocks. A call of a function has the path of
// the module call, and names in its body go on from there: "/encoder/layer.0" and "/dense/MatMul".
#pragma once

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// Also inserts an Identity where an output is an input, an initializer, a value from outside the
// block, or already another output: ONNX wants each output to be a node's own.
void assign_names(Graph& graph, const Program& program);

}  // namespace modelexport::graph
