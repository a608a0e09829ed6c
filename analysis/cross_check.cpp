#include "analysis/cross_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_set>

#include "analysis/structure.h"
#include "exporter/graph/scopes.h"

namespace modelexport::analysis {
namespace {

void add_nodes(const graph::Block& block, const Program& program,
               const tagging::Hierarchy& hierarchy, Expectation& out) {
  for (const graph::Node& node : block.nodes) {
    out.nodes.emplace(node.name, hierarchy.level_of(graph::scope_of(node, program)));
    for (const graph::Attribute& attribute : node.attributes)
      if (const auto* body = std::get_if<std::shared_ptr<graph::Block>>(&attribute.value))
        add_nodes(**body, program, hierarchy, out);
  }
}

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
    if (found.name != port.name)
      findings.push_back(
          {Check::ports, port.name, fmt::format("expected this {}, found {}", what, found.name)});
    if (!found.type) return findings.push_back({Check::ports, port.name, "has no type"});
    if (found.type->dtype != value.dtype)
      findings.push_back({Check::ports, port.name,
                          fmt::format("dtype: expected {}, found {}", name(value.dtype),
                                      name(found.type->dtype))});
    if (value.kind != Kind::tensor || !found.type->shape) return;
    const std::string expected_shape = shape_text(value.shape, program_);
    const std::string found_shape = to_string(*found.type->shape);
    if (expected_shape != found_shape)
      findings.push_back(
          {Check::ports, port.name,
           fmt::format("shape: expected {}, found {}", expected_shape, found_shape)});
  }

  void check_nodes() {
    std::vector<Finding> structure = check_structure(index_);
    count(index_.nodes.size(), structure);
    add(std::move(structure));
    result_.tags = read_module_tags(index_, hierarchy_.options());
    TagCheck tags = check_tags(index_, result_.tags, program_, hierarchy_);
    add(result_.tags.findings);
    add(std::move(tags.findings));
    result_.checks += index_.nodes.size();
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) {
      const uint32_t level = result_.tags.level_of[id];
      if (level == kNone || !tags.holds[level] || !is_expected_node(id, tags.live[level]))
        ++result_.failures;
    }
    if (!expectation_.nodes.empty()) check_missing_nodes();
  }

  // Is the node one that was written, and does it say what it was lowered from?
  bool is_expected_node(uint32_t id, tagging::LevelId found) {
    if (expectation_.nodes.empty()) return true;
    const auto at = expectation_.nodes.find(index_.nodes[id].view->name);
    if (at == expectation_.nodes.end()) {
      add({{Check::values, index_.node_name(id), "is no node that was written"}});
      return false;
    }
    if (at->second == found) return true;
    const auto path = [&](tagging::LevelId level) {
      const std::string& text = hierarchy_.levels()[level].path;
      return text.empty() ? "the root" : text;
    };
    add({{Check::tags, index_.node_name(id),
          fmt::format("says that it is of {}, but it is of {}", path(found), path(at->second))}});
    return false;
  }

  void check_missing_nodes() {
    std::unordered_set<std::string_view> found;
    for (const FileIndex::Node& node : index_.nodes) found.insert(node.view->name);
    std::vector<Finding> findings;
    for (const auto& [name, level] : expectation_.nodes)
      if (!found.contains(name))
        findings.push_back({Check::values, name, "was written, but is not there"});
    std::sort(findings.begin(), findings.end(),
              [](const Finding& a, const Finding& b) { return a.subject < b.subject; });
    count(findings.size(), findings);
    add(std::move(findings));
  }

  void check_weights() {
    result_.parameters = check_parameters(index_, program_, expectation_.tensors);
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

  add_nodes(graph.body, program, hierarchy, out);
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
