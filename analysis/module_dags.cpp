#include "analysis/module_dags.h"

#include <algorithm>
#include <map>
#include <set>

#include "tagging/tags.h"

namespace modelexport::analysis {
namespace {

int64_t element_count(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

class DagMaker {
 public:
  DagMaker(const FileIndex& index, const ModuleTags& tags, const DagOptions& options)
      : index_(index), tags_(tags), options_(options) {}

  std::vector<ModuleDag> run() {
    choose_dags();
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) add_node(id);
    // What a block hands to the node that owns it is used by that node.
    std::vector<std::vector<uint32_t>> receivers(index_.values.size());
    for (uint32_t id = 0; id < index_.nodes.size(); ++id)
      for (uint32_t value : index_.nodes[id].block_outputs) receivers[value].push_back(id);
    for (uint32_t id = 0; id < index_.values.size(); ++id) add_value(id, receivers[id]);
    for (ModuleDag& dag : dags_) {
      std::sort(dag.edges.begin(), dag.edges.end());
      dag.edges.erase(std::unique(dag.edges.begin(), dag.edges.end()), dag.edges.end());
    }
    return std::move(dags_);
  }

 private:
  // Elements of the weights that each level and those below it use, each weight once.
  std::vector<int64_t> parameter_counts() const {
    std::vector<std::set<uint32_t>> weights(tags_.levels.size());
    for (uint32_t id = 0; id < index_.initializers.size(); ++id) {
      if (!is_weight(index_, id)) continue;
      for (uint32_t node : index_.values[index_.initializers[id].value].consumers)
        for (uint32_t level = tags_.level_of[node]; level != kNone;
             level = tags_.levels[level].parent)
          if (!weights[level].insert(id).second) break;
    }
    std::vector<int64_t> counts;
    for (const std::set<uint32_t>& set : weights) {
      counts.push_back(0);
      for (uint32_t id : set) counts.back() += element_count(index_.initializers[id].view->dims);
    }
    return counts;
  }

  // Gives each level its DAG: one of its own, or that of the level above.
  void choose_dags() {
    const std::vector<tagging::Level>& levels = tags_.levels;
    const std::vector<int64_t> counts = parameter_counts();
    dags_.push_back({.tag = "/"});
    if (!levels.empty())
      dags_[0] = {.tag = levels[0].tag, .path = levels[0].path, .class_name = levels[0].class_name};
    std::map<std::string_view, uint32_t> by_tag;
    if (!levels.empty()) by_tag[levels[0].tag] = 0;
    dag_of_level_.assign(levels.size(), 0);
    for (uint32_t id = 1; id < levels.size(); ++id) {
      const tagging::Level& level = levels[id];
      const uint32_t above = dag_of_level_[level.parent];
      const auto depth = std::count(level.tag.begin(), level.tag.end(), '/');
      const bool too_deep = options_.max_depth > 0 && depth > options_.max_depth;
      if (!level.tagged || too_deep || counts[id] < options_.min_parameter_count) {
        dag_of_level_[id] = above;
        continue;
      }
      const auto [at, is_new] = by_tag.try_emplace(level.tag, dags_.size());
      if (is_new)
        dags_.push_back({.tag = level.tag,
                         .path = level.path,
                         .class_name = level.class_name,
                         .parent = above});
      dag_of_level_[id] = at->second;
    }
  }

  uint32_t dag_of(uint32_t node) const {
    const uint32_t level = tags_.level_of[node];
    return level == kNone ? 0 : dag_of_level_[level];
  }

  void add_node(uint32_t id) {
    const uint32_t own = dag_of(id);
    dags_[own].own_nodes.push_back(id);
    for (uint32_t dag = own; dag != kNone; dag = dags_[dag].parent) dags_[dag].nodes.push_back(id);
  }

  uint32_t common_dag(uint32_t a, uint32_t b) const {
    while (a != b) (a > b ? a : b) = dags_[std::max(a, b)].parent;  // parents have lower numbers
    return a;
  }

  void connect(uint32_t from, uint32_t to) {
    for (uint32_t dag = common_dag(dag_of(from), dag_of(to)); dag != kNone; dag = dags_[dag].parent)
      dags_[dag].edges.emplace_back(from, to);
  }

  void add_value(uint32_t id, const std::vector<uint32_t>& receivers) {
    const FileIndex::Value& value = index_.values[id];
    if (value.initializer != kNone) return add_initializer(value);
    std::vector<uint32_t> consumers = value.consumers;
    consumers.insert(consumers.end(), receivers.begin(), receivers.end());
    // A block's input comes from the node that owns the block. That is no edge: the node waits for
    // the block, and edges make no cycles.
    const uint32_t producer = value.producer != kNone ? value.producer : value.block_owner;
    const uint32_t source = producer == kNone ? kNone : dag_of(producer);
    std::set<uint32_t> inputs, outputs;  // DAGs of which it is one
    for (uint32_t consumer : consumers) {
      const uint32_t target = dag_of(consumer);
      if (value.producer != kNone) connect(producer, consumer);
      const uint32_t common = source == kNone ? kNone : common_dag(source, target);
      for (uint32_t dag = target; dag != common; dag = dags_[dag].parent) inputs.insert(dag);
      for (uint32_t dag = source; dag != common; dag = dags_[dag].parent) outputs.insert(dag);
    }
    if (std::find(index_.outputs.begin(), index_.outputs.end(), id) != index_.outputs.end())
      for (uint32_t dag = source; dag != kNone; dag = dags_[dag].parent) outputs.insert(dag);
    for (uint32_t dag : inputs) dags_[dag].inputs.push_back(id);
    for (uint32_t dag : outputs) dags_[dag].outputs.push_back(id);
  }

  void add_initializer(const FileIndex::Value& value) {
    if (!options_.include_constants && !is_weight(index_, value.initializer)) return;
    std::set<uint32_t> users;
    for (uint32_t consumer : value.consumers)
      for (uint32_t dag = dag_of(consumer); dag != kNone; dag = dags_[dag].parent)
        users.insert(dag);
    for (uint32_t dag : users) dags_[dag].parameters.push_back(value.initializer);
  }

  const FileIndex& index_;
  const ModuleTags& tags_;
  const DagOptions& options_;
  std::vector<ModuleDag> dags_;
  std::vector<uint32_t> dag_of_level_;
};

}  // namespace

std::vector<ModuleDag> module_dags(const FileIndex& index, const ModuleTags& tags,
                                   const DagOptions& options) {
  return DagMaker(index, tags, options).run();
}

bool is_weight(const FileIndex& index, uint32_t initializer) {
  const auto& [view, value] = index.initializers[initializer];
  const onnx::PortView* type = index.values[value].type;  // where the dynamo exporter says it
  return find(view->metadata, tagging::kInputKind) ||
         (type && find(type->metadata, tagging::kInputKind));
}

}  // namespace modelexport::analysis
