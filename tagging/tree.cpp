#include "tagging/tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>

#include "exporter/graph/functions.h"
#include "exporter/program/module_tensor.h"
#include "tagging/hierarchy.h"
#include "tagging/number_text.h"

namespace modelexport::tagging {
namespace {

// One entry of a module's list of children after its containers have been opened.
struct Child {
  ModuleId module;
  std::string name;  // relative to the module: "layer.0"
};

// "layer." and 3 of "layer.3"; nullopt if the last element is no number.
struct Numbered {
  std::string prefix;
  int64_t number;
};
std::optional<Numbered> split_number(const std::string& name) {
  const size_t at = name.find_last_not_of("0123456789") + 1;
  const size_t digits = name.size() - at;
  if (digits == 0 || digits > 9 || (at > 0 && name[at - 1] != '.')) return std::nullopt;
  return Numbered{name.substr(0, at), std::stoll(name.substr(at))};
}

ModuleId module_of(const Program& program, ScopeId scope) {
  while (program.scopes[scope].module == kNone && program.scopes[scope].parent != kNone)
    scope = program.scopes[scope].parent;
  return program.scopes[scope].module == kNone ? 0 : program.scopes[scope].module;
}

class Tree {
 public:
  Tree(const Program& program, std::vector<int64_t> nodes)
      : program_(program), children_(program.modules.size()), nodes_(std::move(nodes)) {
    nodes_.resize(program.modules.size(), 0);
    std::vector<std::vector<ModuleId>> direct(program.modules.size());
    std::vector<char> runs(program.modules.size(), 0);  // itself or something below it
    for (ModuleId id = program.modules.size(); id-- > 0;) {
      const Module& module = program.modules[id];
      runs[id] |= module.calls > 0;
      if (module.parent == kNone) continue;
      runs[module.parent] |= runs[id];
      direct[module.parent].push_back(id);
    }
    for (auto& list : direct) std::reverse(list.begin(), list.end());
    root_ = program.scopes.empty() ? 0 : module_of(program, program.entry);
    any_runs_ = !runs.empty() && runs[root_];

    // Children come after their parents, so going backwards each container is opened before its
    // holder asks for it, and each signature is there.
    signatures_.resize(program.modules.size());
    for (ModuleId id = program.modules.size(); id-- > 0;) {
      for (ModuleId child : direct[id]) {
        std::string name(last_element(program.modules[child].path));
        if (!is_container(child, direct[child], runs[child])) {
          children_[id].push_back({child, std::move(name)});
          continue;
        }
        for (const Child& inner : children_[child])
          children_[id].push_back({inner.module, name + "." + inner.name});
      }
      signatures_[id] = signature(id);
    }
    for (ModuleId id = program.modules.size(); id-- > 1;)
      if (program.modules[id].parent != kNone) nodes_[program.modules[id].parent] += nodes_[id];
  }

  std::vector<TreeRow> rows(int max_depth) {
    std::vector<TreeRow> out;
    if (!program_.modules.empty()) add({root_}, "", 0, true, max_depth, out);
    return out;
  }

 private:
  // Holds modules and nothing else, and is never called: ModuleList, ModuleDict. In a program that
  // was not run only the class can tell.
  bool is_container(ModuleId id, const std::vector<ModuleId>& direct, bool runs) const {
    const Module& module = program_.modules[id];
    if (direct.empty() || module.calls > 0 || module.same_as != kNone) return false;
    if (!module.parameters.empty() || !module.buffers.empty()) return false;
    return runs || module.class_name == "torch.nn.modules.container.ModuleList" ||
           module.class_name == "torch.nn.modules.container.ModuleDict";
  }

  // A number that is the same for modules that are alike in class, tensors and children.
  int signature(ModuleId id) {
    const Module& module = program_.modules[id];
    std::string text = module.class_name;
    text += module.calls > 0 ? '!' : '?';
    for (const auto* list : {&module.parameters, &module.buffers}) {
      for (TensorId tensor : *list)
        text += fmt::format("|{}[{}]", name(program_.tensors[tensor].dtype),
                            fmt::join(program_.tensors[tensor].sizes, ","));
      text += ';';
    }
    for (const Child& child : children_[id])
      text += fmt::format("{}={};", child.name, signatures_[child.module]);
    return interned_.try_emplace(std::move(text), static_cast<int>(interned_.size())).first->second;
  }

  void collect_tensors(ModuleId id, std::vector<TensorId>& out) const {
    const Module& module = program_.modules[id];
    out.insert(out.end(), module.parameters.begin(), module.parameters.end());
    for (const Child& child : children_[id]) collect_tensors(child.module, out);
  }

  // `group`: the modules that the row stands for; alike, so that their children match one by one.
  void add(const std::vector<ModuleId>& group, const std::string& name, int depth, bool last,
           int max_depth, std::vector<TreeRow>& out) {
    const Module& first = program_.modules[group[0]];
    TreeRow row{.depth = depth, .last = last, .name = name};
    row.class_name = short_class_name(first.class_name);
    if (first.same_as != kNone) row.same_as = program_.modules[first.same_as].path;
    row.repeat = static_cast<int64_t>(group.size());
    row.executed = first.calls > 0 || !any_runs_;
    std::vector<TensorId> tensors;
    for (ModuleId id : group) {
      collect_tensors(id, tensors);
      row.nodes += nodes_[id];
    }
    std::sort(tensors.begin(), tensors.end());
    tensors.erase(std::unique(tensors.begin(), tensors.end()), tensors.end());
    for (TensorId id : tensors) {
      const Tensor& tensor = program_.tensors[id];
      row.parameters += module_element_count(tensor);
      row.bytes += tensor.element_count() * static_cast<int64_t>(byte_size(tensor.dtype));
    }
    out.push_back(std::move(row));
    if (max_depth > 0 && depth >= max_depth) return;

    const std::vector<Child>& children = children_[group[0]];
    for (size_t begin = 0; begin < children.size();) {
      const size_t end = end_of_run(children, begin);
      std::vector<ModuleId> inner;
      for (ModuleId id : group)
        for (size_t i = begin; i < end; ++i) inner.push_back(children_[id][i].module);
      std::string inner_name = children[begin].name;
      if (end - begin > 1)
        inner_name += fmt::format("-{}", split_number(children[end - 1].name)->number);
      add(inner, inner_name, depth + 1, end == children.size(), max_depth, out);
      begin = end;
    }
  }

  // One past the last of the children from `begin` on that are alike and numbered consecutively.
  size_t end_of_run(const std::vector<Child>& children, size_t begin) const {
    const std::optional<Numbered> first = split_number(children[begin].name);
    size_t end = begin + 1;
    if (!first || program_.modules[children[begin].module].same_as != kNone) return end;
    for (; end < children.size(); ++end) {
      const std::optional<Numbered> next = split_number(children[end].name);
      const ModuleId module = children[end].module;
      if (!next || next->prefix != first->prefix ||
          next->number != first->number + static_cast<int64_t>(end - begin) ||
          signatures_[module] != signatures_[children[begin].module] ||
          program_.modules[module].same_as != kNone)
        break;
    }
    return end;
  }

  const Program& program_;
  ModuleId root_ = 0;
  bool any_runs_ = false;
  std::vector<std::vector<Child>> children_;
  std::vector<int64_t> nodes_;
  std::vector<int> signatures_;
  std::unordered_map<std::string, int> interned_;
};

// Number of characters, not bytes, of UTF-8 text.
size_t width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

std::string padded(const std::string& text, size_t to, bool right) {
  const std::string spaces(to > width(text) ? to - width(text) : 0, ' ');
  return right ? spaces + text : text + spaces;
}

}  // namespace

std::vector<TreeRow> tree_rows(const Program& program, const graph::Graph* graph,
                               const TreeOptions& options) {
  std::vector<int64_t> nodes(program.modules.size(), 0);
  if (graph) {
    graph::for_each_node(*graph, program, [&](const graph::ExpandedNode&, ScopeId scope) {
      ++nodes[module_of(program, scope)];
    });
  }
  return tree_rows(program, std::move(nodes), options);
}

std::vector<TreeRow> tree_rows(const Program& program, std::vector<int64_t> nodes,
                               const TreeOptions& options) {
  return Tree(program, std::move(nodes)).rows(options.max_depth);
}

std::string format_tree(const std::vector<TreeRow>& rows, const TreeOptions& options) {
  const std::string down = options.ascii ? "|  " : "│  ";
  const std::string branch = options.ascii ? "|- " : "├─ ";
  const std::string end = options.ascii ? "`- " : "└─ ";
  const bool with_nodes =
      std::any_of(rows.begin(), rows.end(), [](const TreeRow& row) { return row.nodes > 0; });

  std::vector<std::vector<std::string>> cells = {
      {"module", "class", "parameters", "bytes", with_nodes ? "nodes" : ""}};
  std::vector<bool> open;  // at each depth: does a sibling follow?
  for (const TreeRow& row : rows) {
    open.resize(row.depth + 1);
    open[row.depth] = !row.last;
    std::string module;
    for (int depth = 1; depth < row.depth; ++depth) module += open[depth] ? down : "   ";
    if (row.depth > 0) module += row.last ? end : branch;
    module += row.depth == 0 ? row.class_name : row.name;
    std::string type = row.depth == 0 ? "" : row.class_name;
    if (row.repeat > 1) type += fmt::format(" ({}x)", row.repeat);
    if (!row.same_as.empty()) type += fmt::format(" (is {})", row.same_as);
    if (!row.executed) type += " (not called)";
    cells.push_back({module, type, with_commas(row.parameters), readable_bytes(row.bytes),
                     with_nodes ? with_commas(row.nodes) : ""});
  }

  std::vector<size_t> widths(5, 0);
  for (const auto& line : cells)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  std::string out;
  for (const auto& line : cells) {
    std::string text = padded(line[0], widths[0], false) + "  " + padded(line[1], widths[1], false);
    for (size_t i = 2; i < (with_nodes ? 5u : 4u); ++i)
      text += "  " + padded(line[i], widths[i], true);
    out += text + "\n";
  }
  return out;
}

}  // namespace modelexport::tagging
