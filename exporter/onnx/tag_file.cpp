#include "exporter/onnx/tag_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "exporter/error.h"
#include "exporter/onnx/from_proto.h"
#include "exporter/onnx/pending_file.h"

namespace modelexport::onnx {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNodeMetadata = 10;  // the first IR version that has it

using Entries = google::protobuf::RepeatedPtrField<pb::StringStringEntryProto>;

void set_metadata(const tagging::Metadata& metadata, Entries& to) {
  to.Clear();
  for (const auto& [key, value] : metadata) {
    pb::StringStringEntryProto* entry = to.Add();
    entry->set_key(key);
    entry->set_value(value);
  }
}

// Goes through all nodes, those of blocks after the node that owns them.
template <typename Graph, typename Visit>
void for_each_node(Graph& graph, const Visit& visit) {
  for (int i = 0; i < graph.node_size(); ++i) {
    auto& node = *graph.mutable_node(i);
    visit(node);
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) for_each_node(*attribute.mutable_g(), visit);
    }
  }
}

template <typename Visit>
void for_each_graph(pb::GraphProto& graph, const Visit& visit) {
  visit(graph);
  for_each_node(graph, [&](pb::NodeProto& node) {
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) visit(*attribute.mutable_g());
    }
  });
}

tagging::FlowNode flow_node(const pb::NodeProto& node) {
  tagging::FlowNode flow{.name = node.name(), .op_type = node.op_type(), .domain = node.domain()};
  if (flow.domain == "ai.onnx") flow.domain.clear();
  flow.inputs.assign(node.input().begin(), node.input().end());
  flow.outputs.assign(node.output().begin(), node.output().end());
  for (const pb::AttributeProto& attribute : node.attribute()) {
    for (const auto& output : attribute.g().output()) flow.inputs.push_back(output.name());
  }
  flow.tags = to_metadata(node.metadata_props());
  return flow;
}

// The external data of a tensor, seen from another folder.
void move_reference(pb::TensorProto& tensor, const fs::path& from, const fs::path& to) {
  for (pb::StringStringEntryProto& entry : *tensor.mutable_external_data()) {
    if (entry.key() != "location") continue;
    const fs::path seen = (from / entry.value()).lexically_normal().lexically_relative(to);
    if (seen.empty() || *seen.begin() == "..") {
      throw Error(ErrorKind::usage,
                  fmt::format("the data of {} is in {}, and an ONNX file can only refer to its own "
                              "folder and those below; write it to {}",
                              tensor.name(), (from / entry.value()).lexically_normal().native(),
                              from.native()));
    }
    entry.set_value(seen.native());
  }
}

void move_references(pb::GraphProto& graph, const fs::path& from, const fs::path& to) {
  for_each_graph(graph, [&](pb::GraphProto& inner) {
    for (pb::TensorProto& tensor : *inner.mutable_initializer()) move_reference(tensor, from, to);
  });
  for_each_node(graph, [&](pb::NodeProto& node) {
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_t()) move_reference(*attribute.mutable_t(), from, to);
    }
  });
}

fs::path folder_of(const std::string& path) {
  return fs::weakly_canonical(fs::absolute(path).parent_path());
}

}  // namespace

tagging::FlowGraph read_flow(const std::string& path) {
  pb::ModelProto model;
  parse_model(path, model);
  tagging::FlowGraph flow;
  for_each_node(*model.mutable_graph(),
                [&](const pb::NodeProto& node) { flow.nodes.push_back(flow_node(node)); });
  for_each_graph(*model.mutable_graph(), [&](const pb::GraphProto& graph) {
    const auto add = [&](const auto& entries, bool is_source) {
      for (const auto& entry : entries) {
        if (is_source) flow.sources.push_back(entry.name());
        if (!entry.metadata_props().empty())
          flow.ports[entry.name()] = to_metadata(entry.metadata_props());
      }
    };
    add(graph.input(), true);
    add(graph.initializer(), true);
    add(graph.output(), false);
  });
  return flow;
}

void write_tags(const std::string& path, const std::string& output,
                const tagging::FlowGraph& flow) {
  pb::ModelProto model;
  parse_model(path, model);
  pb::GraphProto& graph = *model.mutable_graph();
  size_t index = 0;
  for_each_node(graph, [&](pb::NodeProto& node) {
    set_metadata(flow.nodes.at(index++).tags, *node.mutable_metadata_props());
  });
  for_each_graph(graph, [&](pb::GraphProto& inner) {
    const auto tag = [&](auto& entries) {
      for (auto& entry : entries) {
        const auto at = flow.ports.find(entry.name());
        if (at != flow.ports.end()) set_metadata(at->second, *entry.mutable_metadata_props());
      }
    };
    tag(*inner.mutable_input());
    tag(*inner.mutable_initializer());
    tag(*inner.mutable_output());
  });
  move_references(graph, folder_of(path), folder_of(output));
  model.set_ir_version(std::max(model.ir_version(), kNodeMetadata));
  std::string bytes;
  if (!model.SerializeToString(&bytes)) {
    throw Error(ErrorKind::usage,
                fmt::format("{} is too large for an ONNX file with its weights in "
                            "it",
                            output));
  }
  write_file(output, bytes);
}

}  // namespace modelexport::onnx
