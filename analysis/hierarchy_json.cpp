#include "analysis/hierarchy_json.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <unordered_map>

#include "analysis/sha256.h"
#include "analysis/sharing.h"
#include "analysis/sharing_json.h"
#include "analysis/structure.h"
#include "exporter/program/module_tensor.h"
#include "tagging/tags.h"

namespace modelexport::analysis {
namespace {

class HierarchyWriter {
 public:
  HierarchyWriter(const HierarchyDocument& document, const Sink& sink)
      : document_(document),
        index_(document.index),
        program_(document.program),
        check_(document.check),
        dags_(module_dags(index_, check_.tags, document.extraction)),
        sharing_(analyze_sharing(program_, document.hierarchy)),
        json_(sink, 2) {
    for (const Module& module : program_.modules) classes_[module.path] = module.class_name;
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) {
      const uint32_t level = check_.tags.level_of[id];
      const auto time = document.times.seconds.find(index_.nodes[id].view->name);
      if (level != kNone && time != document.times.seconds.end())
        module_seconds_[check_.tags.levels[level].path] += time->second;
    }
  }

  void run() {
    json_.begin_object();
    write_model();
    write_modules();
    if (document_.include_metadata) write_operations();
    write_dags();
    write_validation();
    write_sharing(sharing_, json_);
    write_unsupported(document_.unsupported, json_);
    write_metrics();
    if (document_.times.runs > 0) write_timing();
    json_.end_object();
  }

 private:
  // Whole numbers are written as such.
  void write_number(double number) {
    if (std::abs(number) < 1e15 && number == std::floor(number))
      json_.value(static_cast<int64_t>(number));
    else
      json_.value(number);
  }

  void write_shape(const std::vector<onnx::DimensionView>& shape) {
    json_.begin_array();
    for (const onnx::DimensionView& dim : shape) {
      if (dim.size >= 0)
        json_.value(dim.size);
      else if (dim.symbol.empty())
        json_.null();
      else
        json_.value(dim.symbol);
    }
    json_.end_array();
  }

  // Members shape and dtype of a value, null where the file does not tell.
  void write_type(uint32_t value) {
    const onnx::PortView* type = value == kNone ? nullptr : index_.values[value].type;
    json_.key("shape");
    if (type && type->shape)
      write_shape(*type->shape);
    else
      json_.null();
    json_.key("dtype");
    if (type && type->dtype != DType::undefined)
      json_.value(name(type->dtype));
    else
      json_.null();
  }

  void write_value_names(std::string_view key, const std::vector<uint32_t>& values) {
    json_.key(key);
    json_.begin_array();
    for (uint32_t value : values) json_.value(value == kNone ? "" : index_.values[value].name);
    json_.end_array();
  }

  void write_node_names(std::string_view key, const std::vector<uint32_t>& nodes) {
    json_.key(key);
    json_.begin_array();
    for (uint32_t node : nodes) json_.value(index_.node_name(node));
    json_.end_array();
  }

  // ---- sections
  // -----------------------------------------------------------------------------------

  void write_model() {
    const onnx::ModelFile& file = index_.file;
    json_.key("model");
    json_.begin_object();
    json_.member("file", std::filesystem::path(file.path).filename().string());
    json_.member("sha256", sha256_of_file(file.path));
    json_.member("source", std::filesystem::path(program_.source_file).filename().string());
    json_.member("class", program_.class_name);
    json_.member("producer", file.producer_name + " " + file.producer_version);
    json_.member("ir_version", file.ir_version);
    for (const auto& [domain, version] : file.opsets)
      if (domain.empty()) json_.member("opset", version);
    write_ports("inputs", index_.inputs);
    write_ports("outputs", index_.outputs);
    json_.end_object();
  }

  void write_ports(std::string_view key, const std::vector<uint32_t>& values) {
    json_.key(key);
    json_.begin_array();
    for (uint32_t value : values) {
      json_.begin_object();
      json_.member("name", index_.values[value].name);
      write_type(value);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_modules() {
    json_.key("modules");
    json_.begin_array();
    for (const ModuleCheck& checked : check_.modules) {
      const Module& module = program_.modules[checked.module];
      int64_t elements = 0;
      for (TensorId id : module.parameters) {
        elements += module_element_count(program_.tensors[id]);
      }
      json_.begin_object();
      json_.member("path", module.path);
      json_.member("class", module.class_name);
      json_.member("parameters", elements);
      json_.member("executed", module.calls > 0);
      json_.member("calls", module.calls);
      json_.member("in_onnx", checked.present);
      if (document_.times.runs > 0) json_.member("time", module_seconds_[module.path]);
      if (module.same_as != kNone) json_.member("same_as", program_.modules[module.same_as].path);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_operations() {
    json_.key("operation_metadata");
    json_.begin_object();
    for (uint32_t id = 0; id < index_.initializers.size(); ++id)
      if (document_.extraction.include_constants || is_weight(index_, id)) write_initializer(id);
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) write_node(id);
    json_.end_object();
  }

  void write_initializer(uint32_t id) {
    const auto& [view, value] = index_.initializers[id];
    std::vector<std::string_view> tags;
    for (uint32_t node : index_.values[value].consumers) {
      const uint32_t level = check_.tags.level_of[node];
      if (level == kNone) continue;
      const std::string_view tag = check_.tags.levels[level].tag;
      if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
    }
    const std::string* owner = find(view->metadata, tagging::kModule);
    json_.key(view->name);
    json_.begin_object();
    json_.member("op_type", "Initializer");
    json_.member("domain", "");
    json_.member("inputs", std::vector<std::string>{});
    json_.member("outputs", std::vector<std::string>{view->name});
    json_.member("tags", tags);
    json_.member("hierarchy_tag", tags.empty() ? std::string_view() : tags[0]);
    json_.member("module", owner ? *owner : "");
    json_.member("class", class_of(owner));
    json_.member("source", "");
    json_.member("shape", view->dims);
    json_.member("dtype", name(view->dtype));
    json_.end_object();
  }

  std::string_view class_of(const std::string* path) const {
    const auto at = path ? classes_.find(*path) : classes_.end();
    return at == classes_.end() ? "" : at->second;
  }

  void write_node(uint32_t id) {
    const onnx::NodeView& view = *index_.nodes[id].view;
    const uint32_t level_id = check_.tags.level_of[id];
    static const tagging::Level kNowhere;
    const tagging::Level& level = level_id == kNone ? kNowhere : check_.tags.levels[level_id];
    const std::string* source = find(view.metadata, tagging::kStackTrace);
    json_.key(index_.node_name(id));
    json_.begin_object();
    json_.member("op_type", view.op_type);
    json_.member("domain", view.domain);
    json_.member("inputs", view.inputs);
    json_.member("outputs", view.outputs);
    json_.key("tags");
    json_.begin_array();
    if (level_id != kNone) json_.value(level.tag);
    json_.end_array();
    json_.member("hierarchy_tag", level.tag);
    json_.member("module", level.path);
    json_.member("class", level.class_name);
    json_.member("source", source ? *source : "");
    write_type(index_.nodes[id].outputs.empty() ? kNone : index_.nodes[id].outputs[0]);
    const auto time = document_.times.seconds.find(view.name);
    if (time != document_.times.seconds.end()) json_.member("time", time->second);
    json_.end_object();
  }

  void write_dags() {
    json_.key("module_dags");
    json_.begin_object();
    for (const ModuleDag& dag : dags_) {
      json_.key(dag.tag);
      json_.begin_object();
      json_.member("module", dag.path);
      json_.member("class", dag.class_name);
      write_node_names("nodes", dag.nodes);
      write_node_names("own_nodes", dag.own_nodes);
      json_.key("edges");
      json_.begin_array();
      for (const auto& [from, to] : dag.edges)
        json_.value(std::vector<std::string>{index_.node_name(from), index_.node_name(to)});
      json_.end_array();
      json_.key("parameters");
      json_.begin_array();
      for (uint32_t id : dag.parameters) json_.value(index_.initializers[id].view->name);
      json_.end_array();
      write_value_names("inputs", dag.inputs);
      write_value_names("outputs", dag.outputs);
      json_.end_object();
    }
    json_.end_object();
  }

  void write_validation() {
    const std::vector<uint32_t> orphans = orphaned_nodes(index_);
    const std::vector<uint32_t> cyclic = nodes_on_cycles(index_);
    json_.key("validation_results");
    json_.begin_object();
    json_.member("success_rate", check_.success_rate());
    json_.member("param_coverage", check_.parameter_coverage());
    json_.member("module_coverage", check_.module_coverage());
    json_.member("total_operations", index_.nodes.size());
    write_node_names("orphaned_nodes", orphans);
    json_.key("invalid_connections");
    json_.begin_array();
    for (const Finding& finding : check_.findings)
      if (finding.check == Check::values || finding.check == Check::order)
        json_.value(finding.subject + ": " + finding.text);
    json_.end_array();
    write_node_names("cycles", cyclic);
    json_.key("findings");
    json_.begin_array();
    for (const Finding& finding : check_.findings) json_.value(to_string(finding));
    json_.end_array();
    write_validated_modules(orphans, cyclic);
    write_validated_parameters();
    json_.end_object();
  }

  void write_validated_modules(const std::vector<uint32_t>& orphans,
                               const std::vector<uint32_t>& cyclic) {
    json_.key("modules");
    json_.begin_array();
    for (const ModuleDag& dag : dags_) {
      std::vector<uint32_t> own_orphans;  // both lists are ascending
      std::set_intersection(orphans.begin(), orphans.end(), dag.nodes.begin(), dag.nodes.end(),
                            std::back_inserter(own_orphans));
      const bool has_cycle = std::any_of(cyclic.begin(), cyclic.end(), [&](uint32_t node) {
        return std::binary_search(dag.nodes.begin(), dag.nodes.end(), node);
      });
      json_.begin_object();
      json_.member("tag", dag.tag);
      json_.member("node_count", dag.nodes.size());
      json_.member("edge_count", dag.edges.size());
      write_node_names("orphaned_nodes", own_orphans);
      json_.member("has_cycle", has_cycle);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_validated_parameters() {
    json_.key("parameters");
    json_.begin_object();
    for (const ParameterCheck& parameter : check_.parameters.parameters) {
      json_.key(parameter.name);
      json_.begin_object();
      json_.member("found_in_onnx", parameter.found());
      json_.member("required", parameter.required);
      const Tensor& tensor = program_.tensors[parameter.tensor];
      json_.member("pytorch_shape", module_sizes(tensor));
      if (tensor.is_complex) json_.member("complex", true);
      if (parameter.found()) {
        json_.member("found_as", parameter.found_as);
        json_.member("transposed", parameter.transposed);
        json_.member("onnx_shape", parameter.found_shape);
        json_.member("shape_match", parameter.shape_matches);
        json_.member("dtype_match", parameter.dtype_matches);
        json_.member("value_match", parameter.value_matches);
      }
      json_.end_object();
    }
    json_.end_object();
  }

  void write_timing() {
    json_.key("timing");
    json_.begin_object();
    json_.member("inputs", document_.times.inputs);
    json_.member("runs", document_.times.runs);
    json_.end_object();
  }

  void write_metrics() {
    json_.key("metrics");
    json_.begin_object();
    for (const auto& [name, number] : document_.metrics) {
      json_.key(name);
      write_number(number);
    }
    json_.end_object();
  }

  const HierarchyDocument& document_;
  const FileIndex& index_;
  const Program& program_;
  const CrossCheck& check_;
  std::vector<ModuleDag> dags_;
  Sharing sharing_;
  std::unordered_map<std::string_view, std::string_view> classes_;  // of modules, by path
  std::unordered_map<std::string, double> module_seconds_;          // the same, of their own nodes
  JsonWriter json_;
};

}  // namespace

void write_hierarchy(const HierarchyDocument& document, const Sink& sink) {
  HierarchyWriter(document, sink).run();
}

}  // namespace modelexport::analysis
