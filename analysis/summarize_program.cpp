// summarize() of a TorchScript module that was walked: its operators are ATen's.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "analysis/model_summary.h"

namespace modelexport::analysis {
namespace {

std::string source_text(const Source& source) {
  std::string text;
  for (const Frame& frame : source) {
    if (!text.empty()) text += '\n';
    text += fmt::format("File \"{}\", line {}, in {}", frame.file, frame.line, frame.function);
  }
  return text;
}

class ProgramSummarizer {
 public:
  ProgramSummarizer(const Program& program, const tagging::Hierarchy& hierarchy)
      : program_(program), hierarchy_(hierarchy), made_by_(program.values.size(), kNone) {}

  ModelSummary run() {
    out_.file = program_.source_file;
    out_.format = "TorchScript";
    out_.sharing = analyze_sharing(program_, hierarchy_);
    find_parameters();
    add_tags();
    for (const Port& port : program_.inputs) {
      input_of_[port.value] = out_.inputs.size();
      out_.inputs.push_back({port.name, type_of(port.value)});
    }
    add(program_.body);
    for (const Port& port : program_.outputs)
      out_.outputs.push_back({port.name, type_of(port.value), made_by_[port.value]});
    return std::move(out_);
  }

 private:
  // Parameters and buffers by storage: what operators get may be views of them.
  void find_parameters() {
    for (TensorId id = 0; id < program_.tensors.size(); ++id)
      if (program_.tensors[id].role != Role::constant)
        by_storage_[program_.tensors[id].storage].push_back(id);
  }

  void add_tags() {
    out_.tags.resize(program_.modules.size());
    for (const tagging::Level& level : hierarchy_.levels())
      if (level.module != kNone && out_.tags[level.module].empty())
        out_.tags[level.module] = level.tag;
  }

  std::string type_of(ValueId id) const {
    if (id == kNone) return "";
    const Value& value = program_.values[id];
    std::vector<std::string> dims;
    for (Dim dim : value.shape)
      dims.push_back(is_static(dim) ? std::to_string(dim)
                                    : program_.symbols[symbol_index(dim)].name);
    return fmt::format("{}{} [{}]", value.kind == Kind::sequence ? "sequence of " : "",
                       name(value.dtype), fmt::join(dims, ", "));
  }

  void add(const Block& block) {
    for (const Op& op : block.ops) {
      const auto id = static_cast<uint32_t>(out_.nodes.size());
      out_.nodes.push_back(node_of(op));
      for (ValueId value : op.outputs)
        if (value != kNone) made_by_[value] = id;
      for (const Block& inner : op.blocks) {
        for (ValueId value : inner.inputs) made_by_[value] = kNone;
        add(inner);
        // What a block hands out goes to the operator that owns it, which waits for it.
        std::set<uint32_t> users(out_.nodes[id].nodes.begin(), out_.nodes[id].nodes.end());
        for (ValueId value : inner.outputs)
          if (value != kNone && made_by_[value] != kNone && made_by_[value] != id)
            users.insert(made_by_[value]);
        out_.nodes[id].nodes.assign(users.begin(), users.end());
      }
    }
  }

  ModelNode node_of(const Op& op) {
    const Origin& origin = program_.origins[op.origin];
    const Schema& schema = program_.schemas[op.schema];
    const Scope& scope = program_.scopes[origin.scope];
    ModelNode node{.op = schema.key};
    node.name =
        unique_name(fmt::format("{}{}{}", scope.path, scope.path.empty() ? "" : ".", origin.name));
    node.module = module_of(origin.scope);
    if (!op.outputs.empty()) node.type = type_of(op.outputs[0]);
    if (origin.source != kNone) node.source = source_text(program_.sources[origin.source]);
    std::set<uint32_t> nodes, inputs, weights;
    for (size_t i = 0; i < op.arguments.size(); ++i) {
      collect(op.arguments[i], nodes, inputs, weights);
      const std::string known = known_text(op.arguments[i]);
      if (known.empty()) continue;
      if (!node.attributes.empty()) node.attributes += ", ";
      node.attributes += i < schema.arguments.size() ? schema.arguments[i] + "=" + known : known;
    }
    node.nodes.assign(nodes.begin(), nodes.end());
    node.inputs.assign(inputs.begin(), inputs.end());
    node.weights.assign(weights.begin(), weights.end());
    return node;
  }

  std::string unique_name(const std::string& name) {
    const size_t count = names_[name]++;
    return count == 0 ? name : fmt::format("{} ({})", name, count + 1);
  }

  ModuleId module_of(ScopeId scope) const {
    while (program_.scopes[scope].module == kNone && program_.scopes[scope].parent != kNone)
      scope = program_.scopes[scope].parent;
    return program_.scopes[scope].module == kNone ? 0 : program_.scopes[scope].module;
  }

  void collect(const Argument& argument, std::set<uint32_t>& nodes, std::set<uint32_t>& inputs,
               std::set<uint32_t>& weights) const {
    if (const auto* list = std::get_if<ArgumentList>(&argument))
      for (const Argument& element : *list) collect(element, nodes, inputs, weights);
    const auto* value = std::get_if<ValueRef>(&argument);
    if (!value || value->id == kNone) return;
    if (made_by_[value->id] != kNone) nodes.insert(made_by_[value->id]);
    if (const auto at = input_of_.find(value->id); at != input_of_.end()) inputs.insert(at->second);
    const TensorId constant = program_.values[value->id].constant;
    if (constant == kNone) return;
    const auto at = by_storage_.find(program_.tensors[constant].storage);
    if (at == by_storage_.end()) return;
    const auto same = std::find(at->second.begin(), at->second.end(), constant);
    weights.insert(same == at->second.end() ? at->second[0] : constant);
  }

  // "" for None and for what is not known.
  static std::string known_text(const Argument& argument) {
    if (const auto* value = std::get_if<bool>(&argument)) return *value ? "True" : "False";
    if (const auto* value = std::get_if<int64_t>(&argument)) return std::to_string(*value);
    if (const auto* value = std::get_if<double>(&argument)) return fmt::format("{}", *value);
    if (const auto* value = std::get_if<std::string>(&argument)) return "'" + *value + "'";
    const auto* list = std::get_if<ArgumentList>(&argument);
    if (!list || list->empty()) return "";
    std::vector<std::string> elements;
    for (const Argument& element : *list) {
      elements.push_back(known_text(element));
      if (elements.back().empty()) return "";
    }
    return fmt::format("[{}]", fmt::join(elements, ", "));
  }

  const Program& program_;
  const tagging::Hierarchy& hierarchy_;
  std::vector<uint32_t> made_by_;  // by value: node
  std::unordered_map<ValueId, uint32_t> input_of_;
  std::unordered_map<StorageId, std::vector<TensorId>> by_storage_;
  std::unordered_map<std::string, size_t> names_;
  ModelSummary out_;
};

}  // namespace

ModelSummary summarize(Program program, const tagging::Hierarchy& hierarchy) {
  ModelSummary summary = ProgramSummarizer(program, hierarchy).run();
  summary.tree = std::move(program);
  return summary;
}

}  // namespace modelexport::analysis
