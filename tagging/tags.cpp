#include "tagging/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "exporter/graph/scopes.h"
#include "tagging/python_list.h"

namespace modelexport::tagging {
namespace {

// A segment of the namespace: Model Explorer splits it at each "/".
std::string without_slashes(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '/', '_');
  return out;
}

// As Python prints a traceback: two spaces before all but the first line.
std::string stack_trace(const Source& source) {
  std::string out;
  for (const Frame& frame : source) {
    if (!out.empty()) out += "\n  ";
    out += fmt::format("File \"{}\"", frame.file);
    if (frame.line > 0) out += fmt::format(", line {}", frame.line);
    if (!frame.function.empty()) out += fmt::format(", in {}", frame.function);
  }
  return out;
}

void count_block(const graph::Block& block, TagCounts& counts) {
  for (const graph::Node& node : block.nodes) {
    ++counts.total;
    if (node.tag == graph::TagKind::root)
      ++counts.root;
    else if (node.origin != kNone)
      ++(node.tag == graph::TagKind::merged ? counts.merged : counts.direct);
    for (const graph::Attribute& attribute : node.attributes)
      if (const auto* body = std::get_if<std::shared_ptr<graph::Block>>(&attribute.value))
        count_block(**body, counts);
  }
}

}  // namespace

TagCounts count_tags(const graph::Graph& graph) {
  TagCounts counts;
  count_block(graph.body, counts);
  for (const graph::Function& function : graph.functions)
    if (function.body) count_block(function.body->body, counts);
  counts.tagged = counts.direct + counts.merged + counts.root;
  return counts;
}

Tagger::Tagger(const Program& program, const Hierarchy& hierarchy)
    : program_(program), hierarchy_(hierarchy) {
  prefixes_.reserve(hierarchy.levels().size());
  for (const Level& level : hierarchy.levels()) {
    Prefix prefix{.class_hierarchy = "[", .name_scopes = "["};
    if (level.parent != kNone) prefix = prefixes_[level.parent];
    prefix.namespaces +=
        fmt::format("{}: {}/", without_slashes(level.path), without_slashes(level.class_name));
    prefix.class_hierarchy += python_repr(level.class_name) + ", ";
    prefix.name_scopes += python_repr(level.path) + ", ";
    prefixes_.push_back(std::move(prefix));
  }
  stack_traces_.reserve(program.sources.size());
  for (const Source& source : program.sources) stack_traces_.push_back(stack_trace(source));
}

Metadata Tagger::node(const graph::Node& node) const {
  const Origin* origin =
      node.origin < program_.origins.size() ? &program_.origins[node.origin] : nullptr;
  const LevelId level = hierarchy_.level_of(graph::scope_of(node, program_));
  const Prefix& prefix = prefixes_[level];
  const std::string own_op =
      node.domain.empty() ? "onnx::" + node.op_type : node.domain + "::" + node.op_type;
  const std::string& op = origin ? origin->op : own_op;
  const std::string_view name = origin
                                    ? std::string_view(origin->name)
                                    : std::string_view(node.name).substr(node.name.rfind('/') + 1);

  Metadata out;
  out.reserve(5);
  out.emplace_back(kNamespace,
                   prefix.namespaces + without_slashes(name) + ": " + without_slashes(op));
  out.emplace_back(kClassHierarchy, prefix.class_hierarchy + python_repr(op) + "]");
  out.emplace_back(kNameScopes, prefix.name_scopes + python_repr(name) + "]");
  if (origin && origin->source < stack_traces_.size() && !stack_traces_[origin->source].empty())
    out.emplace_back(kStackTrace, stack_traces_[origin->source]);
  out.emplace_back(kHierarchyTag, hierarchy_.levels()[level].tag);
  return out;
}

Metadata Tagger::input() const { return {{kInputKind, "USER_INPUT"}, {kInputPersistent, "None"}}; }

Metadata Tagger::output() const { return {{kOutputKind, "USER_OUTPUT"}}; }

Metadata Tagger::initializer(const graph::Initializer& initializer) const {
  const auto* id = std::get_if<TensorId>(&initializer.tensor.data);
  if (!id || *id >= program_.tensors.size()) return {};
  const Tensor& tensor = program_.tensors[*id];
  Metadata out;
  switch (tensor.role) {
    case Role::parameter:
      out = {{kInputKind, "PARAMETER"}, {kInputPersistent, "None"}};
      break;
    // A buffer that is in the checkpoint was saved with it, which is what persistent means.
    case Role::buffer:
      out = {{kInputKind, "BUFFER"}, {kInputPersistent, "True"}};
      break;
    case Role::constant:
      out = {{kInputKind, "CONSTANT_TENSOR"}, {kInputPersistent, "None"}};
      break;
  }
  if (tensor.module < program_.modules.size())
    out.emplace_back(kModule, program_.modules[tensor.module].path);
  if (!tensor.aliases.empty()) out.emplace_back(kAliases, python_list(tensor.aliases));
  return out;
}

}  // namespace modelexport::tagging
