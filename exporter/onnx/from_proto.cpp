#include "exporter/onnx/from_proto.h"

#include <fmt/format.h>

#include <climits>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"
#include "exporter/onnx/mapped_file.h"

namespace modelexport::onnx {
namespace {

PortView to_view(const pb::ValueInfoProto& value) {
  PortView port{.name = value.name()};
  port.metadata = to_metadata(value.metadata_props());
  const pb::TypeProto* type = &value.type();
  if (type->has_optional_type()) type = &type->optional_type().elem_type();
  if (type->has_sequence_type()) {
    port.is_sequence = true;
    type = &type->sequence_type().elem_type();
  }
  if (!type->has_tensor_type()) return port;
  port.dtype = graph::dtype_from_onnx(type->tensor_type().elem_type());
  if (!type->tensor_type().has_shape()) return port;
  port.shape.emplace();
  for (const auto& dim : type->tensor_type().shape().dim()) {
    port.shape->push_back({dim.has_dim_value() ? dim.dim_value() : -1, dim.dim_param()});
  }
  return port;
}

template <typename T, typename Field>
std::vector<T> to_vector(const Field& field) {
  return {field.begin(), field.end()};
}

AttributeView to_view(const pb::AttributeProto& attribute, TensorReader& tensors) {
  AttributeView view{.name = attribute.name()};
  switch (attribute.type()) {
    case pb::AttributeProto::INT:
      view.value = attribute.i();
      break;
    case pb::AttributeProto::FLOAT:
      view.value = attribute.f();
      break;
    case pb::AttributeProto::STRING:
      view.value = attribute.s();
      break;
    case pb::AttributeProto::INTS:
      view.value = to_vector<int64_t>(attribute.ints());
      break;
    case pb::AttributeProto::FLOATS:
      view.value = to_vector<float>(attribute.floats());
      break;
    case pb::AttributeProto::STRINGS:
      view.value = to_vector<std::string>(attribute.strings());
      break;
    case pb::AttributeProto::TENSOR:
      view.value = tensors.read(attribute.t());
      break;
    default:
      break;
  }
  return view;
}

}  // namespace

void parse_model(const std::string& path, pb::ModelProto& model) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  // An empty or arbitrary file can be a valid message without any of the fields.
  if (bytes.size() > INT_MAX ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph() ||
      model.opset_import().empty()) {
    throw Error(
        ErrorKind::unreadable,
        fmt::format("{} is not an ONNX file, or a damaged one ({} bytes)", path, bytes.size()));
  }
}

Metadata to_metadata(
    const google::protobuf::RepeatedPtrField<pb::StringStringEntryProto>& entries) {
  Metadata metadata;
  for (const auto& entry : entries) metadata.emplace_back(entry.key(), entry.value());
  return metadata;
}

NodeView to_view(const pb::NodeProto& node, TensorReader& tensors) {
  NodeView view{.name = node.name(), .op_type = node.op_type(), .domain = node.domain()};
  if (view.domain == "ai.onnx") view.domain.clear();
  view.inputs = to_vector<std::string>(node.input());
  view.outputs = to_vector<std::string>(node.output());
  view.metadata = to_metadata(node.metadata_props());
  for (const pb::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) {
      view.subgraphs.emplace_back(attribute.name(), to_view(attribute.g(), tensors));
    } else {
      view.attributes.push_back(to_view(attribute, tensors));
    }
  }
  return view;
}

GraphView to_view(const pb::GraphProto& graph, TensorReader& tensors) {
  GraphView view{.name = graph.name()};
  for (const auto& node : graph.node()) view.nodes.push_back(to_view(node, tensors));
  for (const auto& tensor : graph.initializer()) view.initializers.push_back(tensors.read(tensor));
  for (const auto& input : graph.input()) view.inputs.push_back(to_view(input));
  for (const auto& output : graph.output()) view.outputs.push_back(to_view(output));
  for (const auto& value : graph.value_info()) view.values.push_back(to_view(value));
  return view;
}

}  // namespace modelexport::onnx
