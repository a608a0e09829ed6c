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
std::string trace_text(const Source& source, size_t begin, size_t end) {
  std::string out;
  for (size_t i = begin; i < std::min(end, source.size()); ++i) {
    const Frame& frame = source[i];
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
    Prefix prefix;
    if (level.parent != kNone) prefix = prefixes_[level.parent];
    add_level(prefix, level.path, level.class_name);
    prefix.hierarchy_tag = level.tag;
    prefixes_.push_back(std::move(prefix));
  }
  stack_traces_.reserve(program.sources.size());
  for (const Source& source : program.sources)
    stack_traces_.push_back(trace_text(source, 0, source.size()));
}

void Tagger::add_level(Prefix& prefix, std::string_view path, std::string_view class_name) const {
  const char* separator = prefix.class_hierarchy.empty() ? "[" : "";
  prefix.namespaces += fmt::format("{}: {}/", without_slashes(path), without_slashes(class_name));
  prefix.class_hierarchy += separator + python_repr(class_name) + ", ";
  prefix.name_scopes += separator + python_repr(path) + ", ";
}

// That of `level` as if `above` were the root.
Tagger::Prefix Tagger::prefix_within(LevelId level, LevelId above) const {
  const std::vector<Level>& levels = hierarchy_.levels();
  if (level == above || levels[level].parent == kNone) {
    Prefix prefix;
    add_level(prefix, "", levels[level].class_name);
    prefix.hierarchy_tag = fmt::format("/{}", short_class_name(levels[level].class_name));
    return prefix;
  }
  Prefix prefix = prefix_within(levels[level].parent, above);
  add_level(prefix, graph::relative_path(levels[level].path, levels[above].path),
            levels[level].class_name);
  const std::string& outer = levels[levels[level].parent].tag;
  prefix.hierarchy_tag += std::string_view(levels[level].tag).substr(outer.size());
  return prefix;
}

// `outer_frames`: how many of the frames are those of callers of the function around it.
std::string Tagger::stack_trace(const graph::Node& node, size_t outer_frames, size_t end) const {
  if (node.origin >= program_.origins.size()) return "";
  const SourceId source = program_.origins[node.origin].source;
  if (source >= stack_traces_.size()) return "";
  if (outer_frames == 0 && end == SIZE_MAX) return stack_traces_[source];
  return trace_text(program_.sources[source], outer_frames, end);
}

Metadata Tagger::call(const graph::Node& node, const Prefix& prefix, size_t outer_frames) const {
  const auto without = [](std::string text, size_t characters) {
    text.resize(text.size() - characters);
    return text;
  };
  Metadata out;
  out.emplace_back(kNamespace, without(prefix.namespaces, 1));
  out.emplace_back(kClassHierarchy, without(prefix.class_hierarchy, 2) + "]");
  out.emplace_back(kNameScopes, without(prefix.name_scopes, 2) + "]");
  std::string trace = stack_trace(node, outer_frames, program_.scopes[node.call].callers);
  if (!trace.empty()) out.emplace_back(kStackTrace, std::move(trace));
  out.emplace_back(kHierarchyTag, prefix.hierarchy_tag);
  return out;
}

Metadata Tagger::node(const graph::Node& node, const graph::Function* function) const {
  const ScopeId scope = node.call != kNone ? node.call : graph::scope_of(node, program_);
  const LevelId level = hierarchy_.level_of(scope);
  const Prefix within =
      function ? prefix_within(level, hierarchy_.level_of(function->scope)) : Prefix{};
  const Prefix& prefix = function ? within : prefixes_[level];
  const size_t outer_frames = function ? program_.scopes[function->scope].callers : 0;
  if (node.call != kNone) return call(node, prefix, outer_frames);

  const Origin* origin =
      node.origin < program_.origins.size() ? &program_.origins[node.origin] : nullptr;
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
  std::string trace = stack_trace(node, outer_frames, SIZE_MAX);
  if (!trace.empty()) out.emplace_back(kStackTrace, std::move(trace));
  out.emplace_back(kHierarchyTag, prefix.hierarchy_tag);
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
