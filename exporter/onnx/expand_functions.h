// Local functions that stand for module calls (export --functions) expanded: each call of one is
// replaced by the nodes of its body; other functions stay. Internal to this folder: it has protobuf
// in it.
//
// Names of nodes and values in a body go on from the name of the call ("/encoder/layer.0" and
// "/dense/MatMul"), and tags from its tags (tagging/tags.h).
#pragma once

#include <onnx/onnx_pb.h>

namespace modelexport::onnx {

namespace pb = ::onnx;

bool is_module_call(const pb::FunctionProto& function);

// Errors (Error): unreadable for functions that call themselves, or stand for too many nodes.
void expand_functions(pb::ModelProto& model);

}  // namespace modelexport::onnx
