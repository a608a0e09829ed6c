#include "exporter/export.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "analysis/cross_check.h"
#include "exporter/error.h"
#include "exporter/graph/naming.h"
#include "exporter/graph/passes/run_passes.h"
#include "exporter/lowering/lower.h"
#include "exporter/onnx/reader.h"
#include "exporter/onnx/writer.h"
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

graph::Graph lower(const Program& program, const ExportOptions& options) {
  lowering::Result lowered = lowering::lower(program, {options.opset});
  if (!lowered.unsupported.empty()) {
    throw Error(ErrorKind::unsupported, lowering::describe(lowered.unsupported, program));
  }
  graph::run_passes(lowered.graph, program);
  graph::assign_names(lowered.graph, program);
  return std::move(lowered.graph);
}

onnx::Annotations annotations_of(const tagging::Tagger& tagger, const graph::Graph& graph) {
  onnx::Annotations annotations;
  annotations.producer_version = MODELEXPORT_VERSION;
  annotations.node = [&](const graph::Node& node) { return tagger.node(node); };
  annotations.initializer = [&](const graph::Initializer& initializer) {
    return tagger.initializer(initializer);
  };
  annotations.port = [&](graph::ValueId value) {
    const auto& inputs = graph.body.inputs;
    const bool is_input = std::find(inputs.begin(), inputs.end(), value) != inputs.end();
    return is_input ? tagger.input() : tagger.output();
  };
  return annotations;
}

void check(ExportResult& result, const tagging::Hierarchy& hierarchy) {
  const onnx::ModelFile file = onnx::read_model(result.model.onnx);
  const analysis::FileIndex index(file);
  const analysis::CrossCheck checked =
      analysis::cross_check(index, result.program, hierarchy,
                            analysis::expectation_of(result.graph, result.program, hierarchy));
  if (!checked.holds()) throw Error(ErrorKind::mismatch, analysis::describe(checked));
  for (const analysis::ParameterCheck& parameter : checked.parameters.parameters) {
    if (parameter.found()) ++result.report.parameters;
  }
  result.report.parameter_bytes = checked.parameters.bytes_compared;
  result.report.validation_success_rate = checked.success_rate();
}

}  // namespace

Program trace(frontend::LiveModule& module) {
  try {
    return module.trace();
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

  auto module = [&] {
    const Stage stage(options, "loading", metrics.load_time);
    return frontend::LiveModule(path, options.load_library);
  }();
  {
    const Stage stage(options, "running the module", metrics.analysis_time);
    module.set_examples(options.inputs);
    result.program = trace(module);
  }
  const std::string output = options.output.empty()
                                 ? std::filesystem::path(path).replace_extension(".onnx").string()
                                 : options.output;
  onnx::ModelWriter writer(output, result.program, weight_mode(options.weights));
  writer.start_weights(onnx::tensors_in_use(result.program));
  {
    const Stage stage(options, "lowering", metrics.export_time);
    result.graph = lower(result.program, options);
  }
  const tagging::Hierarchy hierarchy = [&] {
    const Stage stage(options, "tagging", metrics.tag_injection_time);
    return tagging::Hierarchy(result.program, {options.include_torch_nn});
  }();
  const tagging::Tagger tagger(result.program, hierarchy);
  result.report.tags = tagging::count_tags(result.graph);
  {
    const Stage stage(options, "writing", metrics.write_time);
    const onnx::WrittenModel written =
        writer.write(result.graph, annotations_of(tagger, result.graph));
    result.model.onnx = written.path;
    result.model.data = written.data_path;
    result.model.onnx_bytes = written.file_bytes;
    result.model.data_bytes = written.weight_bytes;
  }
  {
    const Stage stage(options, "checking", metrics.check_time);
    check(result, hierarchy);
  }
  if (options.verify) {
    const Stage stage(options, "verifying", metrics.verify_time);
    result.report.numbers =
        compare_numbers(module, result.program, result.model.onnx, options.runtime);
  }
  result.diagnostics = result.program.warnings;
  metrics.total_time = seconds_since(begin);
  metrics.memory_peak_mb = memory_peak_mb();
  return result;
}

}  // namespace modelexport
