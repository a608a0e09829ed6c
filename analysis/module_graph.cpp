#include "analysis/module_graph.h"

#include <algorithm>
#include <map>
#include <set>

#include "tagging/number_text.h"

namespace modelexport::analysis {
namespace {

class GraphMaker {
 public:
  GraphMaker(const ModelSummary& model, ModuleId module, int depth)
      : model_(model), modules_(model.tree.modules), module_(module), depth_(depth) {
    own_nodes_ = nodes_by_module(model);
    vertex_of_.assign(model.nodes.size(), kNone);
    out_.groups.push_back({label_of(module, kNone)});
    groups_[module] = 0;
  }

  ModuleGraph run() {
    for (uint32_t id = 0; id < model_.nodes.size(); ++id)
      if (is_within(model_.nodes[id].module)) place(id);
    for (auto& [module, vertex] : boxes_)
      out_.vertices[vertex].detail = tagging::counted(in_box_[vertex], "operator");
    for (uint32_t id = 0; id < model_.nodes.size(); ++id) connect(id);
    for (const ModelPort& port : model_.outputs)
      if (port.node != kNone && vertex_of_[port.node] != kNone)
        edges_.emplace(vertex_of_[port.node], outside(VertexKind::output, port.name, port.type));
    out_.edges.assign(edges_.begin(), edges_.end());
    return std::move(out_);
  }

 private:
  bool is_within(ModuleId id) const {
    while (id != kNone && id != module_) id = modules_[id].parent;
    return id != kNone;
  }

  // The modules below the one that is drawn, down to a node's own; but for those that have no
  // operators of their own and only hold others.
  std::vector<ModuleId> chain_to(ModuleId id) const {
    std::vector<ModuleId> chain;
    for (const ModuleId own = id; id != module_; id = modules_[id].parent)
      if (id == own || modules_[id].calls > 0 || own_nodes_[id] > 0) chain.push_back(id);
    std::reverse(chain.begin(), chain.end());
    return chain;
  }

  std::string label_of(ModuleId id, ModuleId above) const {
    const std::string& path = modules_[id].path;
    const std::string& outer = above == kNone ? "" : modules_[above].path;
    const std::string name = outer.empty() ? path : path.substr(outer.size() + 1);
    const std::string class_name(tagging::short_class_name(modules_[id].class_name));
    if (name.empty()) return class_name.empty() ? "model" : class_name;
    return class_name.empty() ? name : name + ": " + class_name;
  }

  void place(uint32_t id) {
    const ModelNode& node = model_.nodes[id];
    const std::vector<ModuleId> chain = chain_to(node.module);
    const size_t open =
        depth_ == 0 ? chain.size() : std::min(chain.size(), static_cast<size_t>(depth_ - 1));
    uint32_t group = 0;
    ModuleId above = module_;
    for (size_t i = 0; i < open; above = chain[i++]) {
      const auto [at, is_new] = groups_.try_emplace(chain[i], out_.groups.size());
      if (is_new) out_.groups.push_back({label_of(chain[i], above), group});
      group = at->second;
    }
    if (open == chain.size()) {
      vertex_of_[id] = out_.vertices.size();
      out_.vertices.push_back({VertexKind::op, node.op, node.type, group});
      return;
    }
    const auto [at, is_new] = boxes_.try_emplace(chain[open], out_.vertices.size());
    if (is_new)
      out_.vertices.push_back({VertexKind::module, label_of(chain[open], above), "", group});
    vertex_of_[id] = at->second;
    ++in_box_[at->second];
  }

  void connect(uint32_t id) {
    const ModelNode& node = model_.nodes[id];
    const uint32_t to = vertex_of_[id];
    for (uint32_t source : node.nodes) {
      const uint32_t from = vertex_of_[source];
      const ModelNode& other = model_.nodes[source];
      if (from == to) continue;
      if (from != kNone && to != kNone)
        edges_.emplace(from, to);
      else if (to != kNone)
        edges_.emplace(outside(VertexKind::input, place_of(other), other.type), to);
      else
        edges_.emplace(from, outside(VertexKind::output, place_of(node), other.type));
    }
    if (to == kNone) return;
    for (uint32_t input : node.inputs)
      edges_.emplace(
          outside(VertexKind::input, model_.inputs[input].name, model_.inputs[input].type), to);
  }

  // Where data comes from or goes to: the module of that node, or the operator if it is the root's.
  std::string place_of(const ModelNode& node) const {
    return modules_[node.module].path.empty() ? node.op : modules_[node.module].path;
  }

  uint32_t outside(VertexKind kind, const std::string& label, const std::string& type) {
    const auto [at, is_new] = outside_.try_emplace({kind, label}, out_.vertices.size());
    if (is_new) out_.vertices.push_back({kind, label, type});
    return at->second;
  }

  const ModelSummary& model_;
  const std::vector<Module>& modules_;
  ModuleId module_;
  int depth_;
  std::vector<int64_t> own_nodes_;
  std::vector<uint32_t> vertex_of_;  // by node; kNone: it is elsewhere
  std::map<ModuleId, uint32_t> groups_, boxes_;
  std::map<uint32_t, int64_t> in_box_;  // operators
  std::map<std::pair<VertexKind, std::string>, uint32_t> outside_;
  std::set<std::pair<uint32_t, uint32_t>> edges_;
  ModuleGraph out_;
};

}  // namespace

std::optional<ModuleId> find_module(const ModelSummary& model, std::string_view path) {
  for (ModuleId id = 0; id < model.tree.modules.size(); ++id)
    if (model.tree.modules[id].path == path) return id;
  for (ModuleId id = 0; id < model.tags.size(); ++id)
    if (!model.tags[id].empty() && model.tags[id] == path) return id;
  return std::nullopt;
}

ModuleGraph module_graph(const ModelSummary& model, ModuleId module, int depth) {
  return GraphMaker(model, module, depth).run();
}

}  // namespace modelexport::analysis
