#include "analysis/report_html.h"

#include <filesystem>
#include <map>

#include "analysis/comparison_text.h"
#include "analysis/report_page.h"

namespace modelexport::analysis {
namespace {

// Numbers texts that come again and again, in the order in which they are met.
class Texts {
 public:
  size_t number(const std::string& text) {
    const auto [at, is_new] = numbers_.try_emplace(text, texts_.size());
    if (is_new) texts_.push_back(text);
    return at->second;
  }
  const std::vector<std::string>& all() const { return texts_; }

 private:
  std::map<std::string, size_t> numbers_;
  std::vector<std::string> texts_;
};

// A list whose places report/model.js names.
template <typename... T>
void write_row(JsonWriter& json, const T&... items) {
  json.begin_array();
  (json.value(items), ...);
  json.end_array();
}

int64_t number_or_none(uint32_t id) { return id == kNone ? -1 : static_cast<int64_t>(id); }

class ModelDataWriter {
 public:
  ModelDataWriter(const ModelSummary& model, JsonWriter& json) : model_(model), json_(json) {}

  void run() {
    json_.begin_object();
    json_.member("file", std::filesystem::path(model_.file).filename().string());
    json_.member("format", model_.format);
    json_.member("producer", model_.producer);
    json_.member("opset", model_.opset);
    json_.member("class", model_.tree.class_name);
    write_ports("inputs", model_.inputs);
    write_ports("outputs", model_.outputs);
    write_modules();
    write_tensors();
    write_nodes();
    write_sharing();
    json_.end_object();
  }

 private:
  void write_ports(const char* key, const std::vector<ModelPort>& ports) {
    json_.key(key);
    json_.begin_array();
    for (const ModelPort& port : ports)
      write_row(json_, port.name, port.type, number_or_none(port.node));
    json_.end_array();
  }

  void write_texts(const char* key, const Texts& texts) { json_.member(key, texts.all()); }

  void write_modules() {
    Texts classes;
    json_.key("modules");
    json_.begin_array();
    for (ModuleId id = 0; id < model_.tree.modules.size(); ++id) {
      const Module& module = model_.tree.modules[id];
      write_row(json_, module.path, classes.number(module.class_name),
                number_or_none(module.parent), number_or_none(module.same_as), module.calls,
                model_.tags[id], own_tensors(module));
    }
    json_.end_array();
    write_texts("classes", classes);
  }

  // Those that the frontend keeps for itself have no name and keep their place.
  void write_tensors() {
    json_.key("tensors");
    json_.begin_array();
    for (const Tensor& tensor : model_.tree.tensors) {
      if (tensor.role == Role::constant)
        json_.null();
      else
        write_row(json_, tensor.name, std::string(name(tensor.dtype)), tensor.sizes,
                  byte_count(tensor), static_cast<int>(tensor.role), tensor.aliases);
    }
    json_.end_array();
  }

  void write_nodes() {
    Texts ops, types, sources;
    json_.key("nodes");
    json_.begin_array();
    for (const ModelNode& node : model_.nodes)
      write_row(json_, node.name, ops.number(node.op), node.module, types.number(node.type),
                sources.number(node.source), node.attributes, node.nodes, node.inputs,
                node.weights);
    json_.end_array();
    write_texts("ops", ops);
    write_texts("types", types);
    write_texts("sources", sources);
  }

  void write_sharing() {
    const Sharing& sharing = model_.sharing;
    json_.key("sharing");
    json_.begin_object();
    json_.member("percentage", sharing.percentage());
    json_.member("total", sharing.total_parameters);
    json_.member("bytes_saved", sharing.bytes_saved);
    json_.key("parameters");
    json_.begin_array();
    for (const SharedParameter& shared : sharing.parameters)
      write_row(json_, shared.name, std::string(name(shared.pattern)), shared.bytes,
                shared.share_count, shared.used_by, shared.aliases);
    json_.end_array();
    json_.end_object();
  }

  const ModelSummary& model_;
  JsonWriter& json_;
};

class ReportDataWriter {
 public:
  ReportDataWriter(const ReportContents& contents, const Sink& sink)
      : contents_(contents), json_(sink, 0) {}

  void run() {
    json_.begin_object();
    json_.key("models");
    json_.begin_array();
    for (const ModelSummary* model : contents_.models) ModelDataWriter(*model, json_).run();
    json_.end_array();
    if (contents_.comparison) write_comparison_data();
    if (contents_.check) write_validation(*contents_.check);
    write_numbers();
    if (contents_.times.runs > 0) write_times();
    write_unsupported(contents_.unsupported, json_);
    json_.key("metrics");
    json_.begin_object();
    for (const auto& [name, number] : contents_.metrics) json_.member(name, number);
    json_.end_object();
    json_.member("notes", contents_.notes);
    json_.end_object();
    json_.flush();
  }

 private:
  void write_comparison_data() {
    json_.key("comparison");
    write_comparison(*contents_.models[0], *contents_.models[1], *contents_.comparison, json_);
    json_.key("alignment");  // by module of the first model
    json_.begin_array();
    for (ModuleId other : contents_.comparison->alignment.second)
      json_.value(number_or_none(other));
    json_.end_array();
  }

  void write_validation(const CrossCheck& check) {
    json_.key("validation");
    json_.begin_object();
    json_.member("checks", check.checks);
    json_.member("failures", check.failures);
    json_.member("success_rate", check.success_rate());
    json_.member("param_coverage", check.parameter_coverage());
    json_.member("module_coverage", check.module_coverage());
    json_.member("bytes_compared", check.parameters.bytes_compared);
    json_.key("findings");
    json_.begin_array();
    for (const Finding& finding : check.findings)
      write_row(json_, std::string(name(finding.check)), finding.subject, finding.text);
    json_.end_array();
    json_.key("parameters");  // name, found as, required, shape, its shape, what holds
    json_.begin_array();
    for (const ParameterCheck& parameter : check.parameters.parameters)
      write_row(json_, parameter.name, parameter.found_as, parameter.required, parameter.shape,
                parameter.found_shape, parameter.shape_matches, parameter.dtype_matches,
                parameter.value_matches);
    json_.end_array();
    json_.end_object();
  }

  void write_numbers() {
    json_.key("numbers");
    json_.begin_array();
    for (const ReportContents::Run& run : contents_.numbers) {
      json_.begin_object();
      json_.member("inputs", run.inputs);
      json_.key("outputs");
      json_.begin_array();
      for (const Difference& output : *run.outputs)
        write_row(json_, output.name, output.matches, std::string(name(output.dtype)), output.dims,
                  output.max_abs, output.max_rel, output.mismatched, output.reason);
      json_.end_array();
      json_.end_object();
    }
    json_.end_array();
  }

  void write_times() {
    json_.key("times");
    json_.begin_object();
    json_.member("inputs", contents_.times.inputs);
    json_.member("runs", contents_.times.runs);
    json_.key("seconds");  // by node of the first model
    json_.begin_array();
    for (const ModelNode& node : contents_.models[0]->nodes) {
      const auto at = contents_.times.seconds.find(node.name);
      json_.value(at == contents_.times.seconds.end() ? 0 : at->second);
    }
    json_.end_array();
    json_.end_object();
  }

  const ReportContents& contents_;
  JsonWriter json_;
};

}  // namespace

void write_report(const ReportContents& contents, const Sink& sink) {
  static constexpr std::string_view kPlace = "{{DATA}}";
  const std::string_view page = report_page();
  const size_t place = page.find(kPlace);
  sink(page.substr(0, place));
  // "</script>" within the data would end it.
  const Sink escaping = [&](std::string_view text) {
    for (size_t at; (at = text.find('<')) != std::string_view::npos; text.remove_prefix(at + 1)) {
      sink(text.substr(0, at));
      sink("\\u003c");
    }
    sink(text);
  };
  ReportDataWriter(contents, escaping).run();
  sink(page.substr(place + kPlace.size()));
}

}  // namespace modelexport::analysis
