#include "analysis/cross_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_set>

#include "analysis/parameter_uses.h"
#include "analysis/placement.h"
#include "analysis/structure.h"
#include "exporter/graph/functions.h"

namespace modelexport::analysis {
namespace {

// "[batch, 16]" of a shape of the program.
std::string shape_text(const Shape& shape, const Program& program) {
  std::vector<onnx::DimensionView> dims;
  for (Dim dim : shape) {
    if (is_static(dim))
      dims.push_back({dim, ""});
    else
      dims.push_back({-1, program.symbols[symbol_index(dim)].name});
  }
  return to_string(dims);
}

class CrossChecker {
 public:
  CrossChecker(const FileIndex& index, const Program& program, const tagging::Hierarchy& hierarchy,
               const Expectation& expectation)
      : index_(index), program_(program), hierarchy_(hierarchy), expectation_(expectation) {}

  CrossCheck run() {
    check_ports("input", index_.inputs, program_.inputs);
    check_ports("output", index_.outputs, program_.outputs);
    check_nodes();
    check_weights();
    check_modules();
    return std::move(result_);
  }

 private:
  void add(std::vector<Finding> findings) {
    std::move(findings.begin(), findings.end(), std::back_inserter(result_.findings));
  }

  // Things of which each that has a finding counts as one failure.
  void count(size_t checks, const std::vector<Finding>& findings) {
    std::unordered_set<std::string_view> subjects;
    for (const Finding& finding : findings) subjects.insert(finding.subject);
    result_.checks += checks;
    result_.failures += std::min(checks, subjects.size());
  }

  void check_ports(const char* what, const std::vector<uint32_t>& found,
                   const std::vector<Port>& expected) {
    std::vector<Finding> findings;
    for (size_t i = 0; i < std::max(found.size(), expected.size()); ++i) {
      if (i >= found.size()) {
        findings.push_back({Check::ports, expected[i].name, fmt::format("{} is missing", what)});
      } else if (i >= expected.size()) {
        findings.push_back({Check::ports, std::string(index_.values[found[i]].name),
                            fmt::format("the live module has no such {}", what)});
      } else {
        check_port(what, index_.values[found[i]], expected[i], findings);
      }
    }
    count(expected.size(), findings);
    add(std::move(findings));
  }

  void check_port(const char* what, const FileIndex::Value& found, const Port& port,
                  std::vector<Finding>& findings) {
    const Value& value = program_.values[port.value];
    if (expectation_.own && found.name != port.name)
      findings.push_back(
          {Check::ports, port.name, fmt::format("expected this {}, found {}", what, found.name)});
    if (!found.type) return findings.push_back({Check::ports, port.name, "has no type"});
    if (found.type->dtype != value.dtype)
      findings.push_back({Check::ports, port.name,
                          fmt::format("dtype: expected {}, found {}", name(value.dtype),
                                      name(found.type->dtype))});
    if (value.kind != Kind::tensor || !found.type->shape) return;
    if (!shape_agrees(value.shape, *found.type->shape))
      findings.push_back(
          {Check::ports, port.name,
           fmt::format("shape: expected {}, found {}", shape_text(value.shape, program_),
                       to_string(*found.type->shape))});
  }

  // In a file of another exporter only sizes that both tell can disagree.
  bool shape_agrees(const Shape& expected, const std::vector<onnx::DimensionView>& found) const {
    if (expectation_.own) return shape_text(expected, program_) == to_string(found);
    if (expected.size() != found.size()) return false;
    for (size_t i = 0; i < expected.size(); ++i)
      if (is_static(expected[i]) && found[i].size >= 0 && expected[i] != found[i].size)
        return false;
    return true;
  }

  void check_nodes() {
    std::vector<Finding> structure = check_structure(index_);
    count(index_.nodes.size(), structure);
    add(std::move(structure));

    result_.tags = read_module_tags(index_, hierarchy_.options());
    TagCheck checked = check_tags(index_, result_.tags, program_, hierarchy_);
    std::vector<tagging::LevelId> levels(index_.nodes.size(), kNone);  // of the hierarchy
    for (uint32_t id = 0; id < levels.size(); ++id)
      if (const uint32_t level = result_.tags.level_of[id]; level != kNone)
        levels[id] = checked.live[level];

    std::vector<Finding> findings = std::move(result_.tags.findings);
    add_to(findings, std::move(checked.findings));
    if (expectation_.own)
      for (uint32_t id : result_.tags.untagged)
        findings.push_back({Check::tags, index_.node_name(id), "has no tags"});
    else
      place_by_name(checked, levels);
    if (!expectation_.nodes.empty()) {
      add_to(findings, check_expected_nodes(levels));
    } else {
      add_to(findings, check_call_order(index_, levels, program_, hierarchy_));
      if (expectation_.own) {
        add_to(findings, check_parameter_users(index_, levels, program_, hierarchy_));
        add_to(findings, check_names(index_, levels, hierarchy_));
      }
    }
    count(index_.nodes.size(), findings);
    add(std::move(findings));
  }

  static void add_to(std::vector<Finding>& all, std::vector<Finding> more) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }

  // Gives nodes without tags the level that their names say, and all levels the exporter's tags.
  void place_by_name(const TagCheck& checked, std::vector<tagging::LevelId>& levels) {
    ModuleTags& tags = result_.tags;
    const std::vector<tagging::Level>& all = hierarchy_.levels();
    std::vector<uint32_t> own(all.size(), kNone);  // index in `tags` of each level
    for (uint32_t id = 0; id < tags.levels.size(); ++id) {
      if (checked.live[id] == kNone) continue;
      own[checked.live[id]] = id;
      if (!tags.has_hierarchy_tags) tags.levels[id].tag = all[checked.live[id]].tag;
      tags.levels[id].tagged = all[checked.live[id]].tagged;
    }
    const std::vector<tagging::LevelId> by_name = levels_by_name(index_, hierarchy_);
    for (uint32_t node : tags.untagged) {
      levels[node] = by_name[node];
      if (by_name[node] != kNone) tags.level_of[node] = own_level(by_name[node], own);
    }
  }

  uint32_t own_level(tagging::LevelId live, std::vector<uint32_t>& own) {
    if (own[live] != kNone) return own[live];
    tagging::Level level = hierarchy_.levels()[live];
    if (level.parent != kNone) level.parent = own_level(level.parent, own);
    result_.tags.levels.push_back(std::move(level));
    return own[live] = static_cast<uint32_t>(result_.tags.levels.size() - 1);
  }

  // The nodes are those that were written, and say what they were lowered from.
  std::vector<Finding> check_expected_nodes(const std::vector<tagging::LevelId>& levels) const {
    std::vector<Finding> findings;
    const auto path = [&](tagging::LevelId level) {
      const std::string& text = hierarchy_.levels()[level].path;
      return text.empty() ? "the root" : text;
    };
    std::set<std::string_view> found;
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) {
      const auto at = expectation_.nodes.find(index_.nodes[id].view->name);
      if (at == expectation_.nodes.end()) {
        findings.push_back({Check::values, index_.node_name(id), "is no node that was written"});
        continue;
      }
      found.insert(at->first);
      if (levels[id] != kNone && levels[id] != at->second)
        findings.push_back({Check::tags, at->first,
                            fmt::format("says that it is of {}, but it is of {}", path(levels[id]),
                                        path(at->second))});
    }
    std::set<std::string_view> missing;
    for (const auto& [name, level] : expectation_.nodes)
      if (!found.contains(name)) missing.insert(name);
    for (const std::string_view name : missing)
      findings.push_back({Check::values, std::string(name), "was written, but is not there"});
    return findings;
  }

  void check_weights() {
    result_.parameters = check_parameters(index_, program_, expectation_.tensors,
                                          expectation_.own ? FindBy::name : FindBy::name_or_value,
                                          expectation_.checked);
    for (const ParameterCheck& parameter : result_.parameters.parameters) {
      if (!parameter.required && !parameter.found()) continue;
      ++result_.checks;
      if (!parameter.holds()) ++result_.failures;
    }
    add(result_.parameters.findings);
  }

  void check_modules() {
    std::set<std::string_view> present;
    for (const tagging::Level& level : result_.tags.levels) present.insert(level.path);
    result_.modules.reserve(program_.modules.size());
    for (ModuleId id = 0; id < program_.modules.size(); ++id)
      result_.modules.push_back({.module = id,
                                 .calls = program_.modules[id].calls,
                                 .present = present.contains(program_.modules[id].path)});
    for (ModuleId id : expectation_.modules) {
      ModuleCheck& module = result_.modules[id];
      module.expected = true;
      ++result_.checks;
      if (module.present) continue;
      ++result_.failures;
      const std::string& path = program_.modules[id].path;
      add({{Check::modules, path.empty() ? "the root" : path,
            fmt::format("ran ({}), but no node names it", program_.modules[id].class_name)}});
    }
  }

  const FileIndex& index_;
  const Program& program_;
  const tagging::Hierarchy& hierarchy_;
  const Expectation& expectation_;
  CrossCheck result_;
};

}  // namespace

Expectation expectation_of(const graph::Graph& graph, const Program& program,
                           const tagging::Hierarchy& hierarchy) {
  Expectation out;
  for (const graph::Initializer& initializer : graph.initializers)
    if (const auto* id = std::get_if<TensorId>(&initializer.tensor.data))
      out.tensors.push_back({*id, graph.values[initializer.value].name});

  graph::for_each_node(graph, program, [&](const graph::ExpandedNode& node, ScopeId scope) {
    out.nodes.emplace(node.prefix + node.node.name, hierarchy.level_of(scope));
  });
  const std::vector<tagging::Level>& levels = hierarchy.levels();
  std::vector<char> used(levels.size(), 0);
  for (const auto& [name, level] : out.nodes) used[level] = 1;
  std::set<ModuleId> modules;
  for (tagging::LevelId id = levels.size(); id-- > 0;) {
    if (!used[id]) continue;
    if (levels[id].parent != kNone) used[levels[id].parent] = 1;
    if (levels[id].module != kNone) modules.insert(levels[id].module);
  }
  out.modules.assign(modules.begin(), modules.end());
  return out;
}

Expectation expectation_of(const Program& program, const tagging::Hierarchy& hierarchy,
                           const onnx::ModelFile& file) {
  Expectation out;
  out.own = file.producer_name == "modelexport";
  const ParameterUses uses = find_parameter_uses(program);
  std::set<ModuleId> modules;
  for (TensorId id = 0; id < program.tensors.size(); ++id) {
    if (program.tensors[id].role != Role::parameter || uses.uses[id].empty()) continue;
    out.tensors.push_back({id, ""});
    std::set<tagging::LevelId> users;
    for (const ParameterUse& use : uses.uses[id])
      if (use.is_direct) users.insert(hierarchy.level_of(use.call));
    if (users.size() > 1) continue;
    for (tagging::LevelId level = *users.begin(); level != kNone;
         level = hierarchy.levels()[level].parent)
      if (hierarchy.levels()[level].module != kNone)
        modules.insert(hierarchy.levels()[level].module);
  }
  out.modules.assign(modules.begin(), modules.end());
  return out;
}

double CrossCheck::parameter_coverage() const {
  size_t required = 0, found = 0;
  for (const ParameterCheck& parameter : parameters.parameters) {
    required += parameter.required;
    found += parameter.required && parameter.found();
  }
  return required == 0 ? 1.0 : static_cast<double>(found) / static_cast<double>(required);
}

double CrossCheck::module_coverage() const {
  size_t expected = 0, present = 0;
  for (const ModuleCheck& module : modules) {
    expected += module.expected;
    present += module.expected && module.present;
  }
  return expected == 0 ? 1.0 : static_cast<double>(present) / static_cast<double>(expected);
}

CrossCheck cross_check(const FileIndex& index, const Program& program,
                       const tagging::Hierarchy& hierarchy, const Expectation& expectation) {
  return CrossChecker(index, program, hierarchy, expectation).run();
}

std::string describe(const CrossCheck& check, size_t limit) {
  if (check.holds()) return fmt::format("all {} checks of the written file hold", check.checks);
  std::string out =
      fmt::format("{} of {} checks of the written file against the live module failed",
                  std::max(check.failures, size_t{1}), check.checks);
  for (size_t i = 0; i < std::min(limit, check.findings.size()); ++i)
    out += "\n  " + to_string(check.findings[i]);
  if (check.findings.size() > limit)
    out += fmt::format("\n  and {} more", check.findings.size() - limit);
  return out;
}

}  // namespace modelexport::analysis
