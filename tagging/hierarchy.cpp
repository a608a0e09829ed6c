#include "tagging/hierarchy.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "exporter/graph/scopes.h"

namespace modelexport::tagging {
namespace {

std::string_view after_last(std::string_view text, char separator) {
  const size_t at = text.rfind(separator);
  return at == std::string_view::npos ? text : text.substr(at + 1);
}

// The separator of tags must not appear in a name (keys of a ModuleDict may hold anything).
std::string tag_segment(std::string_view class_name, std::string_view name) {
  std::string out(short_class_name(class_name));
  if (!name.empty()) {
    out += '.';
    out += name;
  }
  std::replace(out.begin(), out.end(), '/', '_');
  return out;
}

}  // namespace

std::string_view short_class_name(std::string_view class_name) {
  return after_last(class_name, '.');
}

bool is_torch_nn(std::string_view class_name) { return class_name.starts_with("torch.nn."); }

std::string_view last_element(std::string_view path) { return after_last(path, '.'); }

Hierarchy::Hierarchy(const Program& program, const TagOptions& options) : options_(options) {
  make_levels(program);
  assign_tags(levels_, program.modules, options);
}

LevelId Hierarchy::level_of(ScopeId scope) const {
  return scope < level_of_scope_.size() ? level_of_scope_[scope] : 0;
}

void Hierarchy::make_levels(const Program& program) {
  levels_.push_back({.module = 0, .class_name = program.class_name});
  if (!program.scopes.empty() && !program.scopes[0].class_name.empty())
    levels_[0].class_name = program.scopes[0].class_name;
  std::map<std::pair<LevelId, std::string_view>, LevelId> known;
  level_of_scope_.assign(program.scopes.size(), 0);
  for (ScopeId id = 0; id < program.scopes.size(); ++id) {
    const Scope& scope = program.scopes[id];
    const LevelId above = scope.parent == kNone ? 0 : level_of_scope_[scope.parent];
    const bool same_module = scope.module == kNone || (scope.module == levels_[above].module &&
                                                       scope.path == levels_[above].path);
    if (same_module) {
      level_of_scope_[id] = above;
      continue;
    }
    const auto [at, is_new] = known.try_emplace({above, scope.path}, levels_.size());
    if (is_new)
      levels_.push_back({.parent = above,
                         .module = scope.module,
                         .path = scope.path,
                         .class_name = scope.class_name});
    level_of_scope_[id] = at->second;
  }
}

void assign_tags(std::vector<Level>& levels, const std::vector<Module>& tree,
                 const TagOptions& options) {
  if (levels.empty()) return;
  // The tagged level above each level; parents come first.
  std::vector<LevelId> above(levels.size(), 0);
  for (LevelId id = 1; id < levels.size(); ++id) {
    Level& level = levels[id];
    level.tagged = options.include_torch_nn || !is_torch_nn(level.class_name);
    above[id] = levels[level.parent].tagged ? level.parent : above[level.parent];
  }

  // Siblings that share a class, among the called ones and in the tree.
  using Class = std::string_view;
  using Paths = std::set<std::string_view>;
  std::map<std::pair<LevelId, Class>, Paths> called;
  std::map<std::tuple<LevelId, Class, std::string_view>, Paths> called_by_name;
  std::map<std::pair<ModuleId, Class>, int> side_by_side;
  for (LevelId id = 1; id < levels.size(); ++id) {
    const Level& level = levels[id];
    if (!level.tagged) continue;
    const Class name = short_class_name(level.class_name);
    called[{above[id], name}].insert(level.path);
    called_by_name[{above[id], name, last_element(level.path)}].insert(level.path);
  }
  for (const Module& module : tree)
    ++side_by_side[{module.parent, short_class_name(module.class_name)}];

  levels[0].tag = "/" + tag_segment(levels[0].class_name, "");
  for (LevelId id = 1; id < levels.size(); ++id) {
    Level& level = levels[id];
    const Level& upper = levels[above[id]];
    if (!level.tagged) {
      level.tag = upper.tag;
      continue;
    }
    const Class class_name = short_class_name(level.class_name);
    const std::string_view last = last_element(level.path);
    const ModuleId parent = level.module < tree.size() ? tree[level.module].parent : kNone;
    std::string_view name;
    if (called_by_name[{above[id], class_name, last}].size() > 1)
      name = graph::relative_path(level.path, upper.path);
    else if (called[{above[id], class_name}].size() > 1 || side_by_side[{parent, class_name}] > 1)
      name = last;
    level.tag = upper.tag + "/" + tag_segment(level.class_name, name);
  }
}

}  // namespace modelexport::tagging
