// summarize() of an ONNX file: its operators are ONNX's, its modules those that nodes and weights
// name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "analysis/file_index.h"
#include "analysis/model_summary.h"
#include "analysis/module_dags.h"
#include "analysis/module_tags.h"
#include "tagging/python_list.h"
#include "tagging/tags.h"

namespace modelexport::analysis {
namespace {

std::string type_text(const onnx::PortView* type) {
  if (!type || type->dtype == DType::undefined) return "";
  return fmt::format("{}{} {}", type->is_sequence ? "sequence of " : "", name(type->dtype),
                     type->shape ? to_string(*type->shape) : "");
}

struct AttributeText {
  std::string operator()(std::monostate) const { return "?"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(float value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return "'" + value + "'"; }
  std::string operator()(const onnx::TensorView& value) const {
    return fmt::format("{} [{}]", name(value.dtype), fmt::join(value.dims, ", "));
  }
  template <typename T>
  std::string operator()(const std::vector<T>& values) const {
    return fmt::format("[{}]", fmt::join(values, ", "));
  }
};

std::string attributes_text(const onnx::NodeView& node) {
  std::vector<std::string> texts;
  for (const onnx::AttributeView& attribute : node.attributes)
    texts.push_back(attribute.name + "=" + std::visit(AttributeText{}, attribute.value));
  std::sort(texts.begin(), texts.end());
  return fmt::format("{}", fmt::join(texts, ", "));
}

// Levels by the names of nodes, for a file without tags: "/encoder/layer.0/MatMul".
ModuleTags tags_by_name(const FileIndex& index) {
  ModuleTags tags;
  tags.levels.push_back({});
  tags.level_of.assign(index.nodes.size(), 0);
  std::map<std::pair<uint32_t, std::string>, uint32_t> known;
  for (uint32_t id = 0; id < index.nodes.size(); ++id) {
    const std::string& name = index.nodes[id].view->name;
    uint32_t level = 0;
    if (!name.starts_with('/')) continue;
    for (size_t begin = 1, end; (end = name.find('/', begin)) != std::string::npos;
         begin = end + 1) {
      const std::string segment = name.substr(begin, end - begin);
      const auto [at, is_new] = known.try_emplace({level, segment}, tags.levels.size());
      if (is_new) {
        const std::string& above = tags.levels[level].path;
        tags.levels.push_back(
            {.parent = level, .path = above.empty() ? segment : above + "." + segment});
      }
      level = at->second;
    }
    tags.level_of[id] = level;
  }
  for (tagging::Level& level : tags.levels) level.tag = "/" + level.path;
  return tags;
}

class FileSummarizer {
 public:
  FileSummarizer(const onnx::ModelFile& file, const tagging::TagOptions& options)
      : index_(file), tags_(read_module_tags(index_, options)) {
    if (tags_.levels.empty()) tags_ = tags_by_name(index_);
    out_.file = file.path;
    out_.format = "ONNX";
    out_.producer = file.producer_version.empty()
                        ? file.producer_name
                        : file.producer_name + " " + file.producer_version;
    for (const auto& [domain, version] : file.opsets)
      if (domain.empty()) out_.opset = version;
    out_.tree.source_file = file.path;
    out_.tree.owners = {file.owner};
  }

  ModelSummary run() {
    add_modules();
    add_tensors();
    add_nodes();
    add_ports();
    find_sharing();
    number_modules();
    return std::move(out_);
  }

 private:
  // The module of a path, made with those above it where it is not known yet.
  ModuleId module_at(const std::string& path) {
    const auto at = modules_.find(path);
    if (at != modules_.end()) return at->second;
    ModuleId parent = kNone;
    if (!path.empty()) {
      const size_t dot = path.rfind('.');
      parent = module_at(dot == std::string::npos ? "" : path.substr(0, dot));
    }
    const auto id = static_cast<ModuleId>(out_.tree.modules.size());
    out_.tree.modules.push_back({.path = path, .parent = parent});
    out_.tags.emplace_back();
    return modules_[path] = id;
  }

  void add_modules() {
    module_at("");
    for (const tagging::Level& level : tags_.levels) {
      const ModuleId id = module_at(level.path);
      level_modules_.push_back(id);
      out_.tree.modules[id].class_name = level.class_name;
      if (out_.tags[id].empty()) out_.tags[id] = level.tag;
    }
    out_.tree.class_name = out_.tree.modules[0].class_name;
  }

  // The module that owns a weight: as the file says, or the one that its name begins with.
  ModuleId owner_of(const onnx::TensorView& view) {
    if (const std::string* path = find(view.metadata, tagging::kModule)) return module_at(*path);
    const size_t dot = view.name.rfind('.');
    return dot == std::string::npos ? 0 : module_at(view.name.substr(0, dot));
  }

  Role role_of(uint32_t initializer) const {
    const auto& [view, value] = index_.initializers[initializer];
    const onnx::PortView* type = index_.values[value].type;
    const std::string* kind = find(view->metadata, tagging::kInputKind);
    if (!kind && type) kind = find(type->metadata, tagging::kInputKind);
    if (!kind) return has_kinds_ ? Role::constant : Role::parameter;
    if (kind->find("PARAMETER") != std::string::npos) return Role::parameter;
    return kind->find("BUFFER") != std::string::npos ? Role::buffer : Role::constant;
  }

  void add_tensors() {
    for (uint32_t id = 0; id < index_.initializers.size(); ++id)
      has_kinds_ = has_kinds_ || is_weight(index_, id);
    for (uint32_t id = 0; id < index_.initializers.size(); ++id) {
      const onnx::TensorView& view = *index_.initializers[id].view;
      const Role role = role_of(id);
      tensor_of_.push_back(kNone);
      if (role == Role::constant || view.dtype == DType::undefined) continue;
      tensor_of_.back() = out_.tree.tensors.size();
      out_.tree.storages.push_back({view.bytes.data(), view.bytes.size()});
      Tensor tensor{.storage = static_cast<StorageId>(out_.tree.storages.size() - 1),
                    .dtype = view.dtype,
                    .sizes = view.dims,
                    .role = role,
                    .name = view.name,
                    .module = owner_of(view)};
      tensor.strides.assign(tensor.sizes.size(), 1);
      for (size_t i = tensor.sizes.size(); i-- > 1;)
        tensor.strides[i - 1] = tensor.strides[i] * tensor.sizes[i];
      if (const std::string* text = find(view.metadata, tagging::kAliases))
        tensor.aliases = tagging::parse_python_list(*text).value_or(std::vector<std::string>{});
      Module& owner = out_.tree.modules[tensor.module];
      (role == Role::parameter ? owner.parameters : owner.buffers).push_back(tensor_of_.back());
      out_.tree.tensors.push_back(std::move(tensor));
    }
  }

  void add_nodes() {
    std::vector<std::set<uint32_t>> users(index_.nodes.size());
    for (uint32_t id = 0; id < index_.inputs.size(); ++id) input_of_[index_.inputs[id]] = id;
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) {
      const onnx::NodeView& view = *index_.nodes[id].view;
      const std::string* source = find(view.metadata, tagging::kStackTrace);
      const uint32_t level = tags_.level_of[id];
      ModelNode node{.name = index_.node_name(id),
                     .op = view.domain.empty() ? view.op_type : view.domain + "." + view.op_type,
                     .attributes = attributes_text(view),
                     .source = source ? *source : "",
                     .module = level == kNone ? 0 : level_modules_[level]};
      if (!index_.nodes[id].outputs.empty() && index_.nodes[id].outputs[0] != kNone)
        node.type = type_text(index_.values[index_.nodes[id].outputs[0]].type);
      connect(id, node);
      for (ModuleId at = node.module; at != kNone; at = out_.tree.modules[at].parent)
        if (at == node.module || !out_.tree.modules[at].class_name.empty())
          out_.tree.modules[at].calls = 1;
      out_.nodes.push_back(std::move(node));
    }
  }

  void connect(uint32_t id, ModelNode& node) const {
    std::set<uint32_t> nodes, inputs, weights;
    const auto uses = [&](uint32_t value) {
      if (value == kNone) return;
      const FileIndex::Value& used = index_.values[value];
      if (used.producer != kNone && used.producer != id) nodes.insert(used.producer);
      if (used.initializer != kNone && tensor_of_[used.initializer] != kNone)
        weights.insert(tensor_of_[used.initializer]);
      if (const auto at = input_of_.find(value); at != input_of_.end()) inputs.insert(at->second);
    };
    for (uint32_t value : index_.nodes[id].inputs) uses(value);
    for (uint32_t value : index_.nodes[id].block_outputs) uses(value);
    node.nodes.assign(nodes.begin(), nodes.end());
    node.inputs.assign(inputs.begin(), inputs.end());
    node.weights.assign(weights.begin(), weights.end());
  }

  void add_ports() {
    const auto port = [&](uint32_t value) {
      return ModelPort{std::string(index_.values[value].name), type_text(index_.values[value].type),
                       index_.values[value].producer};
    };
    for (uint32_t value : index_.inputs) out_.inputs.push_back(port(value));
    for (uint32_t value : index_.outputs) out_.outputs.push_back(port(value));
  }

  void find_sharing() {
    const ParameterUses uses = find_parameter_uses(index_, tags_, tensor_of_, out_.tree);
    std::vector<std::string_view> tags;
    for (const ParameterUses::Call& call : uses.calls) tags.push_back(tags_.levels[call.level].tag);
    out_.sharing = analyze_sharing(out_.tree, uses, tags);
  }

  // Modules stand in the order in which they are met; here, each after the one above it and in the
  // order of the tree, as those of a checkpoint do.
  void number_modules() {
    std::vector<Module>& modules = out_.tree.modules;
    std::vector<std::vector<ModuleId>> children(modules.size());
    for (ModuleId id = 1; id < modules.size(); ++id) children[modules[id].parent].push_back(id);
    std::vector<ModuleId> order, stack = {0};
    while (!stack.empty()) {
      const ModuleId id = stack.back();
      stack.pop_back();
      order.push_back(id);
      stack.insert(stack.end(), children[id].rbegin(), children[id].rend());
    }
    std::vector<ModuleId> number(modules.size());
    for (ModuleId id = 0; id < order.size(); ++id) number[order[id]] = id;
    std::vector<Module> sorted;
    std::vector<std::string> tags;
    for (ModuleId id : order) {
      sorted.push_back(std::move(modules[id]));
      if (sorted.back().parent != kNone) sorted.back().parent = number[sorted.back().parent];
      tags.push_back(std::move(out_.tags[id]));
    }
    modules = std::move(sorted);
    out_.tags = std::move(tags);
    for (ModelNode& node : out_.nodes) node.module = number[node.module];
    for (Tensor& tensor : out_.tree.tensors) tensor.module = number[tensor.module];
  }

  FileIndex index_;
  ModuleTags tags_;
  bool has_kinds_ = false;  // does the file tell parameters from constants?
  std::map<std::string, ModuleId> modules_;
  std::vector<ModuleId> level_modules_;
  std::vector<TensorId> tensor_of_;  // by initializer
  std::map<uint32_t, uint32_t> input_of_;
  ModelSummary out_;
};

}  // namespace

ModelSummary summarize(const onnx::ModelFile& file, const tagging::TagOptions& options) {
  return FileSummarizer(file, options).run();
}

}  // namespace modelexport::analysis
