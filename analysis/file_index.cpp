#include "analysis/file_index.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

namespace modelexport::analysis {

// Goes through the blocks; each has a table of the names that it defines, and sees those around it.
class FileIndex::Builder {
 public:
  explicit Builder(FileIndex& index) : index_(index) {}

  void build() {
    open_block(index_.file.graph, kNone);
    for (const onnx::PortView& port : index_.file.graph.inputs) {
      const uint32_t value = lookup(port.name);
      if (index_.values[value].initializer == kNone) index_.inputs.push_back(value);
    }
    index_.outputs = fill_block(index_.file.graph, kNone);
  }

 private:
  using Names = std::unordered_map<std::string_view, uint32_t>;

  uint32_t add_value(std::string_view name) {
    index_.values.push_back({.name = name});
    return index_.values.size() - 1;
  }

  uint32_t define(std::string_view name) {
    const auto [at, is_new] = blocks_.back().try_emplace(name, 0);
    if (is_new)
      at->second = add_value(name);
    else if (index_.values[at->second].is_defined())
      index_.redefined.emplace_back(name);
    return at->second;
  }

  uint32_t lookup(std::string_view name) {
    for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block)
      if (const auto at = block->find(name); at != block->end()) return at->second;
    // Defined nowhere. It gets an entry at the outermost level, so that all its uses share it.
    return blocks_.front().try_emplace(name, add_value(name)).first->second;
  }

  // Defines what does not depend on the nodes: inputs and initializers.
  void open_block(const onnx::GraphView& graph, uint32_t owner) {
    blocks_.emplace_back();
    for (const onnx::TensorView& tensor : graph.initializers) {
      const uint32_t value = define(tensor.name);
      index_.values[value].initializer = index_.initializers.size();
      index_.initializers.push_back({&tensor, value});
    }
    for (const onnx::PortView& port : graph.inputs) {
      const auto at = blocks_.back().find(port.name);
      const bool names_initializer =  // which old files list among the inputs
          at != blocks_.back().end() && index_.values[at->second].initializer != kNone;
      const uint32_t value = names_initializer ? at->second : define(port.name);
      index_.values[value].is_input = !names_initializer;
      index_.values[value].block_owner = owner;
      index_.values[value].type = &port;
    }
  }

  // Adds the nodes of a block that has been opened, closes it and returns its outputs. All outputs
  // are defined before any input is resolved, so that a node that comes too early can be seen.
  std::vector<uint32_t> fill_block(const onnx::GraphView& graph, uint32_t owner) {
    Names& own = blocks_.back();
    std::vector<std::vector<uint32_t>> outputs;
    outputs.reserve(graph.nodes.size());
    for (const onnx::NodeView& node : graph.nodes) {
      outputs.emplace_back();
      for (const std::string& name : node.outputs) {
        const uint32_t value = name.empty() ? kNone : define(name);
        // Marks it as defined; the number is the node's only once it is added below.
        if (value != kNone) index_.values[value].producer = kPending;
        outputs.back().push_back(value);
      }
    }
    for (const std::vector<onnx::PortView>* ports : {&graph.values, &graph.outputs})
      for (const onnx::PortView& port : *ports)
        if (const auto at = own.find(port.name); at != own.end())
          index_.values[at->second].type = &port;

    for (size_t i = 0; i < graph.nodes.size(); ++i) add_node(graph.nodes[i], outputs[i], owner);

    std::vector<uint32_t> results;
    for (const onnx::PortView& port : graph.outputs) {
      results.push_back(lookup(port.name));
      index_.values[results.back()].is_output = true;
    }
    blocks_.pop_back();
    return results;
  }

  void add_node(const onnx::NodeView& view, std::vector<uint32_t>& outputs, uint32_t owner) {
    const uint32_t id = index_.nodes.size();
    Node node{.view = &view, .outputs = std::move(outputs), .owner = owner};
    for (const std::string& name : view.inputs) {
      node.inputs.push_back(name.empty() ? kNone : lookup(name));
      if (!name.empty()) add_consumer(node.inputs.back(), id);
    }
    for (uint32_t value : node.outputs)
      if (value != kNone) index_.values[value].producer = id;
    index_.nodes.push_back(std::move(node));
    for (const auto& [attribute, graph] : view.subgraphs) {
      open_block(graph, id);
      const std::vector<uint32_t> results = fill_block(graph, id);
      auto& all = index_.nodes[id].block_outputs;
      all.insert(all.end(), results.begin(), results.end());
    }
  }

  void add_consumer(uint32_t value, uint32_t node) {
    std::vector<uint32_t>& consumers = index_.values[value].consumers;
    if (consumers.empty() || consumers.back() != node) consumers.push_back(node);
  }

  static constexpr uint32_t kPending = kNone - 1;

  FileIndex& index_;
  std::vector<Names> blocks_;
};

FileIndex::FileIndex(const onnx::ModelFile& model_file) : file(model_file) {
  Builder(*this).build();
}

std::string FileIndex::node_name(uint32_t node) const {
  const onnx::NodeView& view = *nodes[node].view;
  return view.name.empty() ? fmt::format("node {} ({})", node, view.op_type) : view.name;
}

const std::string* find(const onnx::Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata)
    if (name == key) return &value;
  return nullptr;
}

std::string to_string(const std::vector<onnx::DimensionView>& shape) {
  std::string out = "[";
  for (const onnx::DimensionView& dim : shape) {
    if (out.size() > 1) out += ", ";
    if (dim.size >= 0)
      out += std::to_string(dim.size);
    else
      out += dim.symbol.empty() ? "?" : dim.symbol;
  }
  return out + "]";
}

}  // namespace modelexport::analysis
