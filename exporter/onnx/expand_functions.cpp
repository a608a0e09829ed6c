#include "exporter/onnx/expand_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "exporter/error.h"
#include "exporter/onnx/from_proto.h"
#include "tagging/tags.h"

namespace modelexport::onnx {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<pb::NodeProto>;

constexpr int kDeepest = 200;          // calls within calls
constexpr int64_t kMost = 10'000'000;  // nodes; files that mean harm can have 2^200

class Expander {
 public:
  explicit Expander(const pb::ModelProto& model) {
    for (const pb::FunctionProto& function : model.functions()) {
      if (!is_module_call(function)) continue;
      functions_[{function.domain(), function.name(), function.overload()}] = &function;
    }
  }

  void expand(Nodes& nodes, int depth) {
    if (depth > kDeepest) throw Error(ErrorKind::unreadable, "a local function calls itself");
    Nodes expanded;
    for (pb::NodeProto& node : nodes) {
      if (const pb::FunctionProto* function = function_of(node)) {
        Nodes body = body_of(*function, node);
        expand(body, depth + 1);
        for (pb::NodeProto& inner : body) *expanded.Add() = std::move(inner);
        if (expanded.size() > kMost) {
          throw Error(ErrorKind::unreadable,
                      fmt::format("local functions stand for more than {} nodes", kMost));
        }
        continue;
      }
      for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) expand(*attribute.mutable_g()->mutable_node(), depth);
      }
      *expanded.Add() = std::move(node);
    }
    nodes = std::move(expanded);
  }

 private:
  struct Call {
    const pb::NodeProto& node;
    std::string prefix;
    std::map<std::string, std::string> names;  // outside, by those inside
  };

  const pb::FunctionProto* function_of(const pb::NodeProto& node) const {
    const auto at = functions_.find({node.domain(), node.op_type(), node.overload()});
    return at == functions_.end() ? nullptr : at->second;
  }

  Nodes body_of(const pb::FunctionProto& function, const pb::NodeProto& node) {
    Call call{node, node.name(), {}};
    if (call.prefix.empty()) call.prefix = fmt::format("{}_{}", node.op_type(), ++unnamed_);
    for (int i = 0; i < function.input_size(); ++i)
      call.names[function.input(i)] = i < node.input_size() ? node.input(i) : "";
    for (int i = 0; i < function.output_size(); ++i) {
      if (i < node.output_size() && !node.output(i).empty())
        call.names[function.output(i)] = node.output(i);
    }
    Nodes body = function.node();
    for (pb::NodeProto& inner : body) place(inner, function, call);
    return body;
  }

  void place(pb::NodeProto& inner, const pb::FunctionProto& function, const Call& call) {
    const tagging::Metadata tags =
        tagging::nested_tags(to_metadata(call.node.metadata_props()),
                             to_metadata(inner.metadata_props()), function_of(inner) != nullptr);
    inner.clear_metadata_props();
    for (const auto& [key, value] : tags) {
      pb::StringStringEntryProto* entry = inner.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
    if (!inner.name().empty()) inner.set_name(prefixed(inner.name(), call));
    for (std::string& name : *inner.mutable_input()) name = outside(name, call);
    for (std::string& name : *inner.mutable_output()) name = outside(name, call);
    bind_attributes(inner, function, call.node);
    for (pb::AttributeProto& attribute : *inner.mutable_attribute()) {
      if (attribute.has_g()) place(*attribute.mutable_g(), function, call);
    }
  }

  void place(pb::GraphProto& graph, const pb::FunctionProto& function, const Call& call) {
    const auto rename = [&](auto& entries) {
      for (auto& entry : entries) entry.set_name(outside(entry.name(), call));
    };
    rename(*graph.mutable_input());
    rename(*graph.mutable_output());
    rename(*graph.mutable_value_info());
    rename(*graph.mutable_initializer());
    for (pb::NodeProto& inner : *graph.mutable_node()) place(inner, function, call);
  }

  static std::string prefixed(const std::string& name, const Call& call) {
    return call.prefix + (name.starts_with('/') ? "" : "/") + name;
  }

  static std::string outside(const std::string& name, const Call& call) {
    if (name.empty()) return name;
    const auto at = call.names.find(name);
    return at == call.names.end() ? prefixed(name, call) : at->second;
  }

  // Attributes that refer to those of the function: the call's, the default, or none.
  static void bind_attributes(pb::NodeProto& inner, const pb::FunctionProto& function,
                              const pb::NodeProto& call) {
    google::protobuf::RepeatedPtrField<pb::AttributeProto> bound;
    for (pb::AttributeProto& attribute : *inner.mutable_attribute()) {
      const std::string& wanted = attribute.ref_attr_name();
      const pb::AttributeProto* value = wanted.empty() ? &attribute : nullptr;
      for (const auto* given : {&call.attribute(), &function.attribute_proto()}) {
        for (const pb::AttributeProto& other : *given) {
          if (!value && other.name() == wanted) value = &other;
        }
      }
      if (!value) continue;
      pb::AttributeProto copy = *value;
      copy.set_name(attribute.name());
      *bound.Add() = std::move(copy);
    }
    *inner.mutable_attribute() = std::move(bound);
  }

  std::map<std::tuple<std::string, std::string, std::string>, const pb::FunctionProto*> functions_;
  int unnamed_ = 0;
};

}  // namespace

bool is_module_call(const pb::FunctionProto& function) {
  return std::any_of(function.metadata_props().begin(), function.metadata_props().end(),
                     [](const auto& entry) { return entry.key() == tagging::kModuleClass; });
}

void expand_functions(pb::ModelProto& model) {
  if (std::none_of(model.functions().begin(), model.functions().end(), is_module_call)) return;
  Expander(model).expand(*model.mutable_graph()->mutable_node(), 0);
  std::map<std::string, int64_t> imported;
  for (const auto& opset : model.opset_import()) imported[opset.domain()] = opset.version();
  for (const pb::FunctionProto& function : model.functions()) {
    if (!is_module_call(function)) continue;
    for (const auto& opset : function.opset_import()) {
      if (imported.try_emplace(opset.domain(), opset.version()).second)
        *model.add_opset_import() = opset;
    }
  }
  auto* functions = model.mutable_functions();
  functions->erase(std::remove_if(functions->begin(), functions->end(), is_module_call),
                   functions->end());
}

}  // namespace modelexport::onnx
