#include "analysis/module_tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "tagging/python_list.h"
#include "tagging/tags.h"

namespace modelexport::analysis {
namespace {

using tagging::Level;

std::string without_slashes(std::string text) {
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

// What the namespace must be, given the two lists.
std::string namespace_of(const std::vector<std::string>& names,
                         const std::vector<std::string>& classes) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += '/';
    out += without_slashes(names[i]) + ": " + without_slashes(classes[i]);
  }
  return out;
}

std::string above(const std::string& tag) { return tag.substr(0, tag.rfind('/')); }

class TagReader {
 public:
  TagReader(const FileIndex& index, const tagging::TagOptions& options)
      : index_(index), options_(options) {}

  ModuleTags run() {
    tags_.level_of.assign(index_.nodes.size(), kNone);
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) read(id);
    finish_hierarchy_tags();
    return std::move(tags_);
  }

 private:
  void report(uint32_t node, std::string text) {
    tags_.findings.push_back({Check::tags, index_.node_name(node), std::move(text)});
  }

  void read(uint32_t id) {
    const onnx::Metadata& metadata = index_.nodes[id].view->metadata;
    const std::string* class_text = find(metadata, tagging::kClassHierarchy);
    const std::string* name_text = find(metadata, tagging::kNameScopes);
    if (!class_text && !name_text) return tags_.untagged.push_back(id);
    if (!class_text || !name_text)
      return report(id, fmt::format("has no {}",
                                    class_text ? tagging::kNameScopes : tagging::kClassHierarchy));
    const auto classes = tagging::parse_python_list(*class_text);
    const auto names = tagging::parse_python_list(*name_text);
    if (!classes || !names)
      return report(id, fmt::format("{} is not a list of strings: {}",
                                    classes ? tagging::kNameScopes : tagging::kClassHierarchy,
                                    classes ? *name_text : *class_text));
    if (classes->size() != names->size() || classes->empty())
      return report(id, fmt::format("{} classes, but {} names", classes->size(), names->size()));
    if (const std::string* text = find(metadata, tagging::kNamespace);
        text && *text != namespace_of(*names, *classes))
      return report(
          id, fmt::format("namespace \"{}\" contradicts the lists of names and classes", *text));

    uint32_t level = kNone;
    for (size_t i = 0; i + 1 < classes->size(); ++i)
      level = intern(level, (*names)[i], (*classes)[i]);
    if (level == kNone) level = intern(kNone, "", "");  // an operator outside of all modules
    tags_.level_of[id] = level;
    ++tags_.tagged;
    read_hierarchy_tag(id, level);
  }

  uint32_t intern(uint32_t parent, const std::string& path, const std::string& class_name) {
    const auto [at, is_new] = known_.try_emplace({parent, path, class_name}, tags_.levels.size());
    if (is_new) {
      // A second root is wrong, and found to be by check_tags; it must stand below the first.
      const uint32_t above = parent == kNone && !tags_.levels.empty() ? 0 : parent;
      tags_.levels.push_back({.parent = above, .path = path, .class_name = class_name});
    }
    return at->second;
  }

  void read_hierarchy_tag(uint32_t id, uint32_t level) {
    const std::string* text = find(index_.nodes[id].view->metadata, tagging::kHierarchyTag);
    if (!text) return incomplete_.push_back(id);
    tags_.has_hierarchy_tags = true;
    std::string& tag = tags_.levels[level].tag;
    if (tag.empty()) tag = *text;
    if (tag != *text)
      report(id, fmt::format("{} is {}, but {} for other nodes of the same module",
                             tagging::kHierarchyTag, *text, tag));
  }

  // Levels that no node names have the tag of one below them, less its last element.
  void finish_hierarchy_tags() {
    std::vector<Level>& levels = tags_.levels;
    std::vector<Level> made = levels;
    tagging::assign_tags(made, {}, options_);
    if (!tags_.has_hierarchy_tags) {
      levels = std::move(made);
      return;
    }
    for (uint32_t id : incomplete_) report(id, fmt::format("has no {}", tagging::kHierarchyTag));
    for (uint32_t id = levels.size(); id-- > 0;) {
      Level& level = levels[id];
      level.tagged = made[id].tagged;
      if (level.tag.empty()) level.tag = made[id].tag;
      if (id > 0 && levels[level.parent].tag.empty())
        levels[level.parent].tag = level.tagged ? above(level.tag) : level.tag;
    }
  }

  const FileIndex& index_;
  const tagging::TagOptions& options_;
  std::map<std::tuple<uint32_t, std::string, std::string>, uint32_t> known_;
  std::vector<uint32_t> incomplete_;  // nodes that have the lists, but no hierarchy_tag
  ModuleTags tags_;
};

// Why the program has no such level.
std::string explain(const Level& level, const Level* above, const Program& program) {
  const std::string path = level.path.empty() ? "the root" : level.path;
  const auto module =
      std::find_if(program.modules.begin(), program.modules.end(),
                   [&](const Module& candidate) { return candidate.path == level.path; });
  if (module == program.modules.end())
    return fmt::format("names module {}, which the live module does not have", path);
  if (module->class_name != level.class_name)
    return fmt::format("says that {} is a {}, but it is a {}", path, level.class_name,
                       module->class_name);
  if (module->calls == 0) return fmt::format("names module {}, which is never called", path);
  return fmt::format("says that {} is called from {}, which it is not", path,
                     !above || above->path.empty() ? "the root" : above->path);
}

}  // namespace

ModuleTags read_module_tags(const FileIndex& index, const tagging::TagOptions& options) {
  return TagReader(index, options).run();
}

TagCheck check_tags(const FileIndex& index, const ModuleTags& tags, const Program& program,
                    const tagging::Hierarchy& hierarchy) {
  std::map<std::pair<uint32_t, std::string_view>, uint32_t> live;
  for (uint32_t id = 0; id < hierarchy.levels().size(); ++id)
    live.try_emplace({hierarchy.levels()[id].parent, hierarchy.levels()[id].path}, id);

  TagCheck check;
  check.live.assign(tags.levels.size(), kNone);
  std::unordered_map<uint32_t, std::string> problems;
  for (uint32_t id = 0; id < tags.levels.size(); ++id) {
    const Level& level = tags.levels[id];
    const Level* above = level.parent == kNone ? nullptr : &tags.levels[level.parent];
    if (above && check.live[level.parent] == kNone) continue;  // already said of the level above
    const auto at = live.find({above ? check.live[level.parent] : kNone, level.path});
    if (at == live.end() || hierarchy.levels()[at->second].class_name != level.class_name) {
      problems[id] = explain(level, above, program);
    } else {
      check.live[id] = at->second;
      const std::string& expected = hierarchy.levels()[at->second].tag;
      if (tags.has_hierarchy_tags && level.tag != expected)
        problems[id] =
            fmt::format("{}: expected {}, found {}", tagging::kHierarchyTag, expected, level.tag);
    }
  }

  // The first node at or below each level that does not hold.
  for (uint32_t node = 0; node < index.nodes.size() && !problems.empty(); ++node) {
    for (uint32_t id = tags.level_of[node]; id != kNone; id = tags.levels[id].parent) {
      const auto problem = problems.find(id);
      if (problem == problems.end()) continue;
      check.findings.push_back({Check::tags, index.node_name(node), problem->second});
      problems.erase(problem);
    }
  }
  return check;
}

}  // namespace modelexport::analysis
