#include "exporter/onnx/expose.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "exporter/graph/dtype_onnx.h"
#include "exporter/onnx/expand_functions.h"
#include "exporter/onnx/from_proto.h"

namespace modelexport::onnx {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<pb::NodeProto>;

bool is_control_flow(const pb::NodeProto& node) {
  return node.domain().empty() && (node.op_type() == "Loop" || node.op_type() == "If");
}

template <typename Entry>
Entry& insert_at(google::protobuf::RepeatedPtrField<Entry>& entries, int index) {
  entries.Add();
  for (int i = entries.size() - 1; i > index; --i) entries.SwapElements(i, i - 1);
  return entries[index];
}

pb::NodeProto& add_node(Nodes& nodes, const char* op_type, const std::vector<std::string>& inputs,
                        const std::string& output) {
  pb::NodeProto& node = *nodes.Add();
  node.set_op_type(op_type);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

pb::AttributeProto& add_attribute(pb::NodeProto& node, const char* name,
                                  pb::AttributeProto::AttributeType type) {
  pb::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

// Hands a sequence for each value into the loops and branches around it and out again; where the
// value is made, it is put into its sequence if that is empty.
class Tracer {
 public:
  explicit Tracer(const std::vector<ExposedValue>& values) {
    for (const ExposedValue& value : values) {
      if (value.dtype != DType::undefined)
        types_.emplace(value.name, graph::onnx_number(value.dtype));
    }
  }

  using Sequences = std::map<std::string, std::string>;  // by value, what it is called by now

  // Those of the values made within loops and branches, as they are in the end.
  Sequences run(pb::GraphProto& graph) {
    Sequences sequences;
    Nodes nodes;
    for (const pb::NodeProto& node : graph.node()) {
      for (const std::string& name : within(node)) {
        sequences[name] = fresh(name);
        pb::NodeProto& empty = add_node(nodes, "SequenceEmpty", {}, sequences[name]);
        add_attribute(empty, "dtype", pb::AttributeProto::INT).set_i(types_.at(name));
      }
    }
    trace(graph, sequences, std::move(nodes), false);
    return sequences;
  }

 private:
  std::string fresh(const std::string& name) { return fmt::format("{}@{}", name, ++count_); }

  // The values that the blocks of the node are given or make.
  std::set<std::string> within(const pb::NodeProto& node) const {
    std::set<std::string> names;
    if (!is_control_flow(node)) return names;
    for (const pb::AttributeProto& attribute : node.attribute()) {
      for (const auto& input : attribute.g().input()) names.insert(input.name());
      for (const pb::NodeProto& inner : attribute.g().node()) {
        names.insert(inner.output().begin(), inner.output().end());
        names.merge(within(inner));
      }
    }
    std::erase_if(names, [&](const std::string& name) { return !types_.contains(name); });
    return names;
  }

  // Takes `sequences`, those of all that is made in the graph at any level, from its beginning to
  // its end.
  void trace(pb::GraphProto& graph, Sequences& sequences, Nodes nodes, bool is_inner) {
    const auto keep = [&](const std::string& name) {
      const auto at = sequences.find(name);
      if (is_inner && at != sequences.end()) at->second = keep_first(name, at->second, nodes);
    };
    for (const auto& input : graph.input()) keep(input.name());
    for (pb::NodeProto& node : *graph.mutable_node()) {
      const std::set<std::string> names = within(node);
      if (!names.empty())
        node.op_type() == "If" ? through_if(node, names, sequences)
                               : through_loop(node, names, sequences);
      *nodes.Add() = node;
      for (const std::string& output : node.output()) keep(output);
    }
    graph.mutable_node()->Swap(&nodes);
  }

  // Adds what puts a value into its sequence unless one is there already.
  std::string keep_first(const std::string& name, const std::string& sequence, Nodes& nodes) {
    const std::string length = fresh(name), is_there = fresh(name), after = fresh(name);
    add_node(nodes, "SequenceLength", {sequence}, length);
    pb::NodeProto& cast = add_node(nodes, "Cast", {length}, is_there);
    add_attribute(cast, "to", pb::AttributeProto::INT).set_i(pb::TensorProto::BOOL);
    pb::NodeProto& choice = add_node(nodes, "If", {is_there}, after);
    const auto add_branch = [&](const char* branch, const char* op_type,
                                const std::vector<std::string>& inputs) {
      pb::GraphProto& block = *add_attribute(choice, branch, pb::AttributeProto::GRAPH).mutable_g();
      block.set_name(branch);
      block.add_output()->set_name(fresh(name));
      add_node(*block.mutable_node(), op_type, inputs, block.output(0).name());
    };
    add_branch("then_branch", "Identity", {sequence});
    add_branch("else_branch", "SequenceInsert", {sequence, name});
    return after;
  }

  void through_if(pb::NodeProto& node, const std::set<std::string>& names, Sequences& sequences) {
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      pb::GraphProto& branch = *attribute.mutable_g();
      Sequences inner;
      for (const std::string& name : names) inner[name] = sequences[name];
      trace(branch, inner, {}, true);
      for (const std::string& name : names) {
        std::string& last = inner[name];
        if (last == sequences[name])  // not made here
          add_node(*branch.mutable_node(), "Identity", {sequences[name]}, last = fresh(name));
        branch.add_output()->set_name(last);
      }
    }
    for (const std::string& name : names) node.add_output(sequences[name] = fresh(name));
  }

  void through_loop(pb::NodeProto& node, const std::set<std::string>& names, Sequences& sequences) {
    pb::GraphProto& body = *node.mutable_attribute(0)->mutable_g();
    int carried = node.input_size() - 2;
    Sequences inner;
    for (const std::string& name : names) {
      auto& input = *body.add_input();
      input.set_name(inner[name] = fresh(name));
      input.mutable_type()
          ->mutable_sequence_type()
          ->mutable_elem_type()
          ->mutable_tensor_type()
          ->set_elem_type(types_.at(name));
    }
    trace(body, inner, {}, true);
    for (const std::string& name : names) {
      node.add_input(sequences[name]);
      insert_at(*node.mutable_output(), carried) = sequences[name] = fresh(name);
      insert_at(*body.mutable_output(), 1 + carried).set_name(inner[name]);
      ++carried;
    }
  }

  int count_ = 0;
  std::map<std::string, int> types_;  // numbers of ONNX, by value
};

}  // namespace

ExposedModel expose_values(const std::string& path, const std::vector<ExposedValue>& values) {
  pb::ModelProto model;
  parse_model(path, model);
  expand_functions(model);
  pb::GraphProto& graph = *model.mutable_graph();
  std::unordered_set<std::string> made;
  for (const pb::NodeProto& node : graph.node()) {
    made.insert(node.output().begin(), node.output().end());
  }
  Tracer::Sequences sequences = Tracer(values).run(graph);
  ExposedModel exposed;
  graph.clear_output();
  for (const ExposedValue& value : values) {
    const auto inner = sequences.find(value.name);
    const bool is_inner = inner != sequences.end();
    if (value.name.empty() || (!is_inner && made.erase(value.name) == 0)) continue;  // each once
    graph.add_output()->set_name(is_inner ? inner->second : value.name);  // its type is inferred
    exposed.outputs.push_back(value.name);
    exposed.is_inner.push_back(is_inner);
    if (is_inner) sequences.erase(inner);
  }
  exposed.bytes = model.SerializeAsString();
  return exposed;
}

std::string expanded_model(const std::string& path) {
  pb::ModelProto model;
  parse_model(path, model);
  if (std::ranges::none_of(model.functions(), is_module_call)) return "";
  expand_functions(model);
  return model.SerializeAsString();
}

}  // namespace modelexport::onnx
