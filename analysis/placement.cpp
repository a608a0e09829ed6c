#include "analysis/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "analysis/parameter_uses.h"

namespace modelexport::analysis {
namespace {

using tagging::LevelId;
using Levels = std::vector<tagging::Level>;

std::string path_of(const Levels& levels, LevelId id) {
  return levels[id].path.empty() ? "the root" : levels[id].path;
}

std::string joined(std::string_view path, std::string_view element) {
  return path.empty() ? std::string(element) : fmt::format("{}.{}", path, element);
}

// "layer" of "layer_12", the name of a later call; the whole where it does not end like that.
std::string_view without_count(std::string_view segment) {
  const size_t digits = segment.find_last_not_of("0123456789") + 1;
  const bool counted = digits > 1 && digits < segment.size() && segment[digits - 1] == '_';
  return counted ? segment.substr(0, digits - 1) : segment;
}

// Finds the levels below a level by the segments of node names.
class NameReader {
 public:
  explicit NameReader(const Levels& levels) : levels_(levels) {
    for (LevelId id = 1; id < levels.size(); ++id)
      children_.emplace(std::pair(levels[id].parent, std::string_view(levels[id].path)), id);
  }

  LevelId read(std::string_view name) const {
    if (!name.starts_with('/')) return kNone;
    LevelId level = 0;
    for (size_t end; (end = name.find('/', 1)) != std::string_view::npos; name.remove_prefix(end)) {
      const LevelId child = below(level, name.substr(1, end - 1));
      if (child == kNone) break;
      level = child;
    }
    return level;
  }

 private:
  LevelId below(LevelId level, std::string_view segment) const {
    const std::string_view path = levels_[level].path;
    const size_t dot = path.rfind('.');
    const std::string_view above = dot == std::string_view::npos ? "" : path.substr(0, dot);
    for (const std::string_view element : {segment, without_count(segment)}) {
      // The TorchScript exporter repeats the name of a Sequential: "/seq/seq.0".
      for (const std::string& candidate :
           {joined(path, element), joined(above, element), std::string(element)}) {
        const auto at = children_.find({level, candidate});
        if (at != children_.end()) return at->second;
      }
    }
    return kNone;
  }

  const Levels& levels_;
  std::map<std::pair<LevelId, std::string_view>, LevelId> children_;
};

// A level's first and last call, by the number of its scope: scopes are numbered as they are
// called.
struct Calls {
  ScopeId first = kNone;
  ScopeId last = 0;
};

std::vector<size_t> depths(const Levels& levels) {
  std::vector<size_t> out(levels.size(), 0);
  for (LevelId id = 1; id < levels.size(); ++id) out[id] = out[levels[id].parent] + 1;
  return out;
}

}  // namespace

std::vector<LevelId> levels_by_name(const FileIndex& index, const tagging::Hierarchy& hierarchy) {
  const NameReader reader(hierarchy.levels());
  std::vector<LevelId> out;
  out.reserve(index.nodes.size());
  for (const FileIndex::Node& node : index.nodes) out.push_back(reader.read(node.view->name));
  return out;
}

std::vector<Finding> check_call_order(const FileIndex& index, const std::vector<LevelId>& levels,
                                      const Program& program, const tagging::Hierarchy& hierarchy) {
  const Levels& all = hierarchy.levels();
  const std::vector<size_t> depth = depths(all);
  std::vector<Calls> calls(all.size());
  for (ScopeId scope = 0; scope < program.scopes.size(); ++scope) {
    Calls& own = calls[hierarchy.level_of(scope)];
    own.first = std::min(own.first, scope);
    own.last = std::max(own.last, scope);
  }

  std::vector<Finding> findings;
  for (uint32_t consumer = 0; consumer < index.nodes.size(); ++consumer) {
    for (uint32_t value : index.nodes[consumer].inputs) {
      if (value == kNone || index.values[value].producer == kNone) continue;
      const uint32_t producer = index.values[value].producer;
      LevelId from = levels[producer], to = levels[consumer];
      if (from == kNone || to == kNone) continue;
      // The two siblings that the edge connects; none, if one lies within the other.
      while (from != to && (depth[from] != depth[to] || all[from].parent != all[to].parent)) {
        LevelId& deeper = depth[from] >= depth[to] ? from : to;
        deeper = all[deeper].parent;
      }
      if (from == to || calls[from].first <= calls[to].last) continue;
      findings.push_back(
          {Check::tags, index.node_name(consumer),
           fmt::format("is of {} and uses {} of {}, which is called only later", path_of(all, to),
                       index.values[value].name, path_of(all, from))});
    }
  }
  return findings;
}

std::vector<Finding> check_parameter_users(const FileIndex& index,
                                           const std::vector<LevelId>& levels,
                                           const Program& program,
                                           const tagging::Hierarchy& hierarchy) {
  const Levels& all = hierarchy.levels();
  const ParameterUses uses = find_parameter_uses(program);
  std::unordered_map<std::string_view, TensorId> by_name;
  for (TensorId id = 0; id < program.tensors.size(); ++id)
    if (program.tensors[id].role != Role::constant) by_name[program.tensors[id].name] = id;

  std::vector<Finding> findings;
  for (const FileIndex::Initializer& initializer : index.initializers) {
    const auto at = by_name.find(initializer.view->name);
    if (at == by_name.end() || uses.uses[at->second].empty()) continue;
    std::set<LevelId> users;
    for (const ParameterUse& use : uses.uses[at->second])
      for (LevelId id = use.is_direct ? hierarchy.level_of(use.call) : kNone; id != kNone;
           id = all[id].parent)
        users.insert(id);
    for (uint32_t node : index.values[initializer.value].consumers)
      if (levels[node] != kNone && !users.contains(levels[node]))
        findings.push_back({Check::tags, index.node_name(node),
                            fmt::format("is of {} and uses {}, which that module does not",
                                        path_of(all, levels[node]), initializer.view->name)});
  }
  return findings;
}

std::vector<Finding> check_names(const FileIndex& index, const std::vector<LevelId>& levels,
                                 const tagging::Hierarchy& hierarchy) {
  const std::vector<LevelId> by_name = levels_by_name(index, hierarchy);
  std::vector<Finding> findings;
  for (uint32_t id = 0; id < index.nodes.size(); ++id) {
    const onnx::NodeView& node = *index.nodes[id].view;
    if (levels[id] != kNone && by_name[id] != levels[id])
      findings.push_back({Check::tags, index.node_name(id),
                          fmt::format("says that it is of {}, but its name does not",
                                      path_of(hierarchy.levels(), levels[id]))});
    const std::string_view last = std::string_view(node.name).substr(node.name.rfind('/') + 1);
    if (last != node.op_type && without_count(last) != node.op_type)
      findings.push_back({Check::values, index.node_name(id),
                          fmt::format("is a {}, but its name does not say so", node.op_type)});
  }
  return findings;
}

}  // namespace modelexport::analysis
