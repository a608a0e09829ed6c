#include "exporter/export.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "exporter/archive_check.h"
#include "exporter/check_written.h"
#include "exporter/error.h"
#include "exporter/lower_program.h"
#include "exporter/onnx/writer.h"
#include "exporter/time_nodes.h"
#include "tagging/hierarchy.h"

namespace modelexport {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Tells the user what begins, and adds the time until its end to a metric.
class Stage {
 public:
  Stage(const ExportOptions& options, std::string_view name, double& metric)
      : metric_(metric), begin_(Clock::now()) {
    if (options.progress) options.progress(name);
  }
  ~Stage() { metric_ += seconds_since(begin_); }

 private:
  double& metric_;
  Clock::time_point begin_;
};

double memory_peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

onnx::WeightMode weight_mode(Weights weights) {
  switch (weights) {
    case Weights::external:
      return onnx::WeightMode::external;
    case Weights::embed:
      return onnx::WeightMode::embed;
    case Weights::in_place:
      return onnx::WeightMode::in_place;
  }
  throw Error(ErrorKind::internal, "unknown way to store weights");
}

std::string sidecar_path(const std::string& output, const ExportOptions& options) {
  if (!options.hierarchy.empty()) return options.hierarchy + (options.compress ? ".gz" : "");
  return std::filesystem::path(output)
      .replace_extension(options.compress ? ".hierarchy.json.gz" : ".hierarchy.json")
      .string();
}

bool can_be_run(const ExportReport& report) {
  return std::none_of(report.unsupported.begin(), report.unsupported.end(),
                      [](const lowering::UnsupportedOp& op) { return op.approximated; });
}

std::string describe_unsupported(const ExportResult& result, const ExportOptions& options) {
  const ExportReport& report = result.report;
  std::vector<lowering::UnsupportedOp> kept, left_out;
  for (const lowering::UnsupportedOp& op : report.unsupported) {
    (op.approximated ? kept : left_out).push_back(op);
  }
  std::string text = "the file is not the whole module (exit code 3)\n";
  if (!left_out.empty()) {
    text += "left out, with all that depends on them:\n" + lowering::list(left_out, result.program);
  }
  if (!report.missing_outputs.empty()) {
    text += fmt::format("outputs that are missing: {}\n", fmt::join(report.missing_outputs, ", "));
  }
  if (!kept.empty()) {
    text += "nodes that stand for operators, and cannot be run:\n" +
            lowering::list(kept, result.program);
  }
  if (options.verify && !kept.empty()) text += "numbers were not compared\n";
  text.pop_back();
  return text;
}

// bert.onnx; of a submodule bert.encoder.layer.0.onnx.
std::string output_path(const std::string& checkpoint, const ExportOptions& options) {
  std::filesystem::path path = std::filesystem::path(checkpoint).replace_extension();
  if (!options.module.empty()) path += "." + options.module;
  path += ".onnx";
  return path.string();
}

// "writing 3.2 of 16.1 GB"
onnx::WeightWriter::Progress weight_progress(const ExportOptions& options) {
  if (!options.progress) return {};
  return [&options](uint64_t done, uint64_t total) {
    options.progress(fmt::format("writing {:.1f} of {:.1f} GB", static_cast<double>(done) / 1e9,
                                 static_cast<double>(total) / 1e9));
  };
}

}  // namespace

std::vector<std::pair<std::string, double>> metrics_of(const ExportResult& result) {
  const Metrics& m = result.report.metrics;
  const auto number = [](auto count) { return static_cast<double>(count); };
  const tagging::TagCounts& tags = result.report.tags;
  return {{"load_time", m.load_time},
          {"analysis_time", m.analysis_time},
          {"export_time", m.export_time},
          {"tag_injection_time", m.tag_injection_time},
          {"write_time", m.write_time},
          {"check_time", m.check_time},
          {"verify_time", m.verify_time},
          {"report_time", m.report_time},
          {"total_time", m.total_time},
          {"memory_peak_mb", m.memory_peak_mb},
          {"total_nodes", number(tags.total)},
          {"tagged_nodes", number(tags.tagged)},
          {"coverage_percentage",
           tags.total == 0 ? 100 : 100 * number(tags.tagged) / number(tags.total)},
          {"direct_tags", number(tags.direct)},
          {"merged_tags", number(tags.merged)},
          {"root_tags", number(tags.root)},
          {"validation_success_rate", result.report.validation_success_rate},
          {"parameters", number(result.report.parameters)},
          {"parameter_bytes", number(result.report.parameter_bytes)},
          {"weight_bytes_written", number(result.model.data_bytes)}};
}

Program trace(frontend::LiveModule& module, const lowering::Lowerings& lowerings) {
  try {
    return module.trace([&](const std::string& key) { return lowerings.is_lowered(key); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    throw Error(ErrorKind::usage,
                fmt::format("{}\n  it was given {}\n  it takes {}", error.what(),
                            describe_inputs(module.example(0)), module.signature()));
  }
}

ExportResult export_checkpoint(const std::string& path, const ExportOptions& options) {
  const Clock::time_point begin = Clock::now();
  ExportResult result;
  Metrics& metrics = result.report.metrics;

  // Weights that stay in the checkpoint are not read.
  ArchiveCheck archive(path, options.weights != Weights::in_place);
  auto module = [&] {
    const Stage stage(options, "loading", metrics.load_time);
    return frontend::LiveModule(path, options.load_library);
  }();
  const lowering::Lowerings lowerings =
      read_lowerings(options.load_lowerings, options.ops, options.opset);
  {
    const Stage stage(options, "running the module", metrics.analysis_time);
    module.set_examples(options.inputs);
    if (!options.module.empty()) module.select(options.module);
    result.program = trace(module, lowerings);
  }
  const std::string output = options.output.empty() ? output_path(path, options) : options.output;
  onnx::ModelWriter writer(output, result.program, weight_mode(options.weights));
  writer.start_weights(onnx::tensors_in_use(result.program));
  {
    const Stage stage(options, "lowering", metrics.export_time);
    LoweredProgram lowered =
        lower_program(result.program, {.opset = options.opset,
                                       .on_unsupported = options.on_unsupported,
                                       .lowerings = lowerings,
                                       .functions = options.functions});
    result.graph = std::move(lowered.graph);
    result.report.unsupported = std::move(lowered.unsupported);
    result.report.missing_outputs = std::move(lowered.missing_outputs);
  }
  const tagging::Hierarchy hierarchy = [&] {
    const Stage stage(options, "tagging", metrics.tag_injection_time);
    return tagging::Hierarchy(result.program, {options.include_torch_nn});
  }();
  const tagging::Tagger tagger(result.program, hierarchy);
  result.report.tags = tagging::count_tags(result.graph);
  const onnx::WrittenModel written = [&] {
    const Stage stage(options, "writing", metrics.write_time);
    archive.finish();
    return writer.write(result.graph, annotations_of(tagger, result.graph, options.module),
                        weight_progress(options));
  }();
  result.model.onnx = written.path;
  result.model.data = written.data_path;
  result.model.onnx_bytes = written.file_bytes;
  result.model.data_bytes = written.weight_bytes;
  const WrittenCheck check = [&] {
    const Stage stage(options, "checking", metrics.check_time);
    return WrittenCheck(written, result.program, result.graph, hierarchy);
  }();
  result.report.parameters = check.parameters();
  result.report.parameter_bytes = check.parameter_bytes();
  result.report.validation_success_rate = check.success_rate();
  if (options.verify && can_be_run(result.report)) {
    const Stage stage(options, "verifying", metrics.verify_time);
    result.report.numbers = compare_numbers(module, result.program, output, options.runtime);
    if (!options.report.empty() && module.state().empty())
      result.report.times = time_nodes(output, module.example(0), options.runtime);
  }
  result.diagnostics = result.program.warnings;
  if (!result.report.unsupported.empty()) {
    result.diagnostics.push_back(describe_unsupported(result, options));
  }
  const auto measure = [&] {
    metrics.total_time = seconds_since(begin);
    metrics.memory_peak_mb = memory_peak_mb();
  };
  {
    const Stage stage(options, "reporting", metrics.report_time);
    measure();
    result.model.hierarchy = sidecar_path(output, options);
    check.write_sidecar(result.model.hierarchy, options, result);
    result.model.report = options.report;
    if (!options.report.empty()) check.write_report(result);
  }
  check.require(options.validation);
  measure();
  return result;
}

}  // namespace modelexport
