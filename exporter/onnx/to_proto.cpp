#include "exporter/onnx/to_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"
#include "exporter/onnx/tensor_bytes.h"
#include "tagging/tags.h"

namespace modelexport::onnx {
namespace {

constexpr size_t kStreamed = size_t{64} << 10;  // initializers from this size on are not held here

// The lowest IR version that the opset goes with and that has metadata on nodes (10).
int64_t ir_version(int opset) {
  if (opset <= 22) return 10;
  return std::min(opset - 12, 13);
}

void set_metadata(const Metadata& entries,
                  google::protobuf::RepeatedPtrField<pb::StringStringEntryProto>* to) {
  for (const auto& [key, value] : entries) {
    pb::StringStringEntryProto* entry = to->Add();
    entry->set_key(key);
    entry->set_value(value);
  }
}

void set_external_data(const Placement& placement, pb::TensorProto& tensor) {
  tensor.set_data_location(pb::TensorProto::EXTERNAL);
  const auto add = [&](const char* key, const std::string& value) {
    pb::StringStringEntryProto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", placement.location);
  add("offset", std::to_string(placement.offset));
  add("length", std::to_string(placement.length));
}

// One graph: the model's own, or the body of a function, whose values are numbered apart.
class GraphConverter {
 public:
  GraphConverter(const graph::Graph& graph, const Program& program, const Annotations& annotations,
                 const graph::Function* function = nullptr)
      : graph_(graph), program_(program), annotations_(annotations), function_(function) {}

  void convert_block(const graph::Block& block, pb::GraphProto& to) {
    for (graph::ValueId id : block.inputs) convert_type(id, *to.add_input());
    for (const graph::Node& node : block.nodes) {
      convert_node(node, *to.add_node());
      for (graph::ValueId id : node.outputs) {
        if (id != kNone && !contains(block.outputs, id) && has_type(id)) {
          convert_type(id, *to.add_value_info());
        }
      }
    }
    for (graph::ValueId id : block.outputs) convert_type(id, *to.add_output());
  }

  void convert_node(const graph::Node& node, pb::NodeProto& to) {
    to.set_name(node.name);
    to.set_op_type(node.op_type);
    if (!node.domain.empty()) to.set_domain(node.domain);
    for (graph::ValueId id : node.inputs) to.add_input(name_of(id));
    for (graph::ValueId id : node.outputs) to.add_output(name_of(id));
    for (const graph::Attribute& attribute : node.attributes) {
      convert_attribute(attribute, *to.add_attribute());
    }
    if (annotations_.node)
      set_metadata(annotations_.node(node, function_), to.mutable_metadata_props());
  }

  // All of the tensor but its bytes.
  void convert_header(const graph::TensorData& tensor, pb::TensorProto& to) {
    to.set_data_type(graph::onnx_number(tensor.dtype));
    for (int64_t dim : tensor.dims) to.add_dims(dim);
  }

  void convert_tensor(const graph::TensorData& tensor, pb::TensorProto& to) {
    convert_header(tensor, to);
    std::string bytes;
    for_each_block(program_, tensor, [&](std::span<const std::byte> block) {
      bytes.append(reinterpret_cast<const char*>(block.data()), block.size());
    });
    // ONNX wants an empty tensor to have no data field at all.
    if (!bytes.empty()) to.set_raw_data(std::move(bytes));
  }

  std::string name_of(graph::ValueId id) const {
    if (id == kNone) return "";
    const std::string& name = graph_.values.at(id).name;
    if (name.empty()) throw Error(ErrorKind::internal, fmt::format("value {} has no name", id));
    return name;
  }

  void convert_type(graph::ValueId id, pb::ValueInfoProto& to) {
    to.set_name(name_of(id));
    if (!has_type(id)) return;
    const graph::Value& value = graph_.values[id];
    pb::TypeProto* type = to.mutable_type();
    if (value.kind == Kind::sequence) type = type->mutable_sequence_type()->mutable_elem_type();
    type->mutable_tensor_type()->set_elem_type(graph::onnx_number(value.dtype));
    if (!value.shape) return;
    pb::TensorShapeProto* shape = type->mutable_tensor_type()->mutable_shape();
    for (Dim dim : *value.shape) {
      pb::TensorShapeProto::Dimension* to_dim = shape->add_dim();
      if (is_static(dim)) {
        to_dim->set_dim_value(dim);
      } else {
        to_dim->set_dim_param(program_.symbols.at(symbol_index(dim)).name);
      }
    }
  }

 private:
  static bool contains(const std::vector<graph::ValueId>& values, graph::ValueId id) {
    return std::find(values.begin(), values.end(), id) != values.end();
  }

  bool has_type(graph::ValueId id) const {
    return graph::onnx_number(graph_.values.at(id).dtype) != pb::TensorProto::UNDEFINED;
  }

  void convert_attribute(const graph::Attribute& attribute, pb::AttributeProto& to) {
    to.set_name(attribute.name);
    std::visit([&](const auto& value) { set(value, to); }, attribute.value);
  }

  void set(int64_t value, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::INT);
    to.set_i(value);
  }
  void set(float value, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::FLOAT);
    to.set_f(value);
  }
  void set(const std::string& value, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::STRING);
    to.set_s(value);
  }
  void set(const std::vector<int64_t>& values, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::INTS);
    for (int64_t value : values) to.add_ints(value);
  }
  void set(const std::vector<float>& values, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::FLOATS);
    for (float value : values) to.add_floats(value);
  }
  void set(const std::vector<std::string>& values, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::STRINGS);
    for (const std::string& value : values) to.add_strings(value);
  }
  void set(const graph::TensorData& value, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::TENSOR);
    convert_tensor(value, *to.mutable_t());
  }
  void set(const std::shared_ptr<graph::Block>& block, pb::AttributeProto& to) {
    to.set_type(pb::AttributeProto::GRAPH);
    to.mutable_g()->set_name(to.name());
    convert_block(*block, *to.mutable_g());
  }

  const graph::Graph& graph_;
  const Program& program_;
  const Annotations& annotations_;
  const graph::Function* function_;  // whose body the graph is, or nullptr
};

void add_domains(const graph::Block& block, std::set<std::string>& domains) {
  for (const graph::Node& node : block.nodes) {
    domains.insert(node.domain);
    for (const graph::Attribute& attribute : node.attributes) {
      const auto* inner = std::get_if<std::shared_ptr<graph::Block>>(&attribute.value);
      if (inner) add_domains(**inner, domains);
    }
  }
}

int version_of(const graph::Graph& graph, const std::string& domain) {
  if (domain.empty()) return graph.opset;
  for (const auto& [custom, version] : graph.custom_domains) {
    if (custom == domain) return version;
  }
  return 1;  // of local functions
}

void convert_function(const graph::Function& function, const Program& program,
                      const Annotations& annotations, pb::FunctionProto& to) {
  const graph::Graph& body = *function.body;
  GraphConverter converter(body, program, annotations, &function);
  to.set_domain(function.domain);
  to.set_name(function.name);
  if (function.scope != kNone) {
    set_metadata({{tagging::kModuleClass, program.scopes[function.scope].class_name}},
                 to.mutable_metadata_props());
  }
  for (const std::string& input : function.inputs) to.add_input(input);
  for (const std::string& output : function.outputs) to.add_output(output);
  for (const graph::Node& node : body.body.nodes) converter.convert_node(node, *to.add_node());
  std::set<std::string> domains = {""};
  add_domains(body.body, domains);
  for (const std::string& domain : domains) {
    pb::OperatorSetIdProto* opset = to.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(version_of(body, domain));
  }
}

void parse_function(const graph::GivenFunction& given, pb::FunctionProto& to) {
  if (!to.ParseFromString(given.proto)) {
    throw Error(ErrorKind::internal,
                fmt::format("{}::{} is no FunctionProto", given.domain, given.name));
  }
}

void convert_opsets(const graph::Graph& graph, pb::ModelProto& to) {
  std::set<std::string> seen;
  const auto import = [&](const std::string& domain, int version) {
    if (!seen.insert(domain).second) return;
    pb::OperatorSetIdProto* opset = to.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(version);
  };
  import("", graph.opset);
  for (const auto& [domain, version] : graph.custom_domains) import(domain, version);
  for (const graph::Function& function : graph.functions) import(function.domain, 1);
  for (const graph::GivenFunction& function : graph.given_functions) import(function.domain, 1);
}

}  // namespace

ModelParts to_proto(const graph::Graph& graph, const Program& program,
                    const Annotations& annotations, WeightWriter& weights) {
  ModelParts parts;
  pb::ModelProto& model = parts.model;
  model.set_ir_version(ir_version(graph.opset));
  model.set_producer_name(annotations.producer_name);
  model.set_producer_version(annotations.producer_version);
  convert_opsets(graph, model);
  set_metadata(annotations.model, model.mutable_metadata_props());

  GraphConverter converter(graph, program, annotations);
  pb::GraphProto& to = *model.mutable_graph();
  to.set_name(annotations.graph_name);
  for (const graph::Initializer& initializer : graph.initializers) {
    pb::TensorProto tensor;
    tensor.set_name(converter.name_of(initializer.value));
    if (annotations.initializer) {
      set_metadata(annotations.initializer(initializer), tensor.mutable_metadata_props());
    }
    if (const auto placement = weights.place(initializer.tensor)) {
      converter.convert_header(initializer.tensor, tensor);
      set_external_data(*placement, tensor);
    } else if (byte_count(program, initializer.tensor) < kStreamed) {
      converter.convert_tensor(initializer.tensor, tensor);
    } else {
      converter.convert_header(initializer.tensor, tensor);
      parts.streamed.push_back({std::move(tensor), &initializer.tensor});
      continue;
    }
    *to.add_initializer() = std::move(tensor);
  }
  converter.convert_block(graph.body, to);
  if (annotations.port) {
    for (int i = 0; i < to.input_size(); ++i) {
      set_metadata(annotations.port(graph.body.inputs[i]),
                   to.mutable_input(i)->mutable_metadata_props());
    }
    for (int i = 0; i < to.output_size(); ++i) {
      set_metadata(annotations.port(graph.body.outputs[i]),
                   to.mutable_output(i)->mutable_metadata_props());
    }
  }
  for (const graph::Function& function : graph.functions) {
    convert_function(function, program, annotations, *model.add_functions());
  }
  for (const graph::GivenFunction& function : graph.given_functions) {
    parse_function(function, *model.add_functions());
  }
  return parts;
}

}  // namespace modelexport::onnx
