// onnx's messages to the plain data of reader.h. Internal to this folder: it has protobuf in it.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>

#include "exporter/onnx/reader.h"
#include "exporter/onnx/tensor_reader.h"

namespace modelexport::onnx {

// Errors (Error): unreadable.
void parse_model(const std::string& path, pb::ModelProto& model);

Metadata to_metadata(const google::protobuf::RepeatedPtrField<pb::StringStringEntryProto>& entries);

NodeView to_view(const pb::NodeProto& node, TensorReader& tensors);
GraphView to_view(const pb::GraphProto& graph, TensorReader& tensors);

}  // namespace modelexport::onnx
