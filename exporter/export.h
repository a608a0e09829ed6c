// TorchScript checkpoint in, tagged and cross-checked ONNX file out: what the command's `export`
// does.
//
//   ExportResult result = export_checkpoint("bert.pt", {.output = "bert.onnx", .verify = true});
//   for (const std::string& text : result.diagnostics) ...
//
// Throws Error (error.h) whose kind tells what went wrong. Whatever is thrown before the files are
// written leaves nothing under the output's name; a mismatch found in the written files leaves
// them, to be looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/module_dags.h"
#include "analysis/node_times.h"
#include "analysis/numeric.h"
#include "exporter/frontend/live_module.h"
#include "exporter/graph/graph.h"
#include "exporter/lowering/lower.h"
#include "exporter/program/program.h"
#include "tagging/tags.h"

namespace modelexport {

enum class Weights : uint8_t {
  external,  // in OUT.onnx.data, beside the ONNX file
  embed,     // within the ONNX file, which must stay under 2 GB
  in_place,  // in the checkpoint itself, to which the ONNX file refers
};

// What is looked at when the written file is held against the live module.
struct ValidationOptions {
  double min_coverage = 0.9;  // of the parameters and modules that must be there
  bool check_cycles = true;
  bool verify_connections = true;
};

// Each has the name of its command-line option.
struct ExportOptions {
  std::string output;                       // default: the checkpoint's path, ending in .onnx
  frontend::InputOptions inputs;            // --inputs, --input, --dynamic auto, --seed
  std::string module;                       // the path of a submodule, to be exported alone
  std::vector<std::string> load_library;    // custom operators: with their code...
  std::vector<std::string> ops;             // ...what they become (ops_file.h)...
  std::vector<std::string> load_lowerings;  // ...or how they are lowered (lowering/plugin.h)
  lowering::OnUnsupported on_unsupported = lowering::OnUnsupported::raise;
  int opset = 20;          // 17..23
  bool functions = false;  // each module class is an ONNX local function
  Weights weights = Weights::external;
  bool include_torch_nn = false;    // torch.nn modules have a part in hierarchy_tag
  analysis::DagOptions extraction;  // of hierarchy.json
  bool include_metadata = true;     // the same
  bool compress = false;            // hierarchy.json.gz
  std::string hierarchy;            // its path; default: that of the ONNX file
  std::string report;  // path of report.html; empty: none (with `verify`: and time by node)
  ValidationOptions validation;
  bool verify = false;  // compare numbers: ONNX Runtime against LibTorch
  std::string runtime;  // libonnxruntime; empty: as exporter/runtime/session.h says
  // Told the name of each stage as it begins, and how much is written; while that happens, from
  // another thread.
  std::function<void(std::string_view)> progress;
};

// Files, sizes in bytes.
struct WrittenFiles {
  std::string onnx;
  std::string data;       // empty if there is none
  std::string hierarchy;  // OUT.hierarchy.json, or .json.gz
  std::string report;     // empty if there is none
  uint64_t onnx_bytes = 0;
  uint64_t data_bytes = 0;
};

// The metrics that are written by these names, in seconds and MB (10^6 bytes).
struct Metrics {
  double load_time = 0;           // the checkpoint
  double analysis_time = 0;       // running the module on its examples, and what it does
  double export_time = 0;         // lowering and passes
  double tag_injection_time = 0;  // names and tags
  double write_time = 0;
  double check_time = 0;   // of the written files against the live module
  double verify_time = 0;  // numbers and time by node, if asked for
  double report_time = 0;  // hierarchy.json, report.html
  double total_time = 0;
  double memory_peak_mb = 0;  // of the process so far
};

// One run at certain sizes.
struct NumericRun {
  std::string inputs;  // as describe_inputs has it
  std::vector<analysis::Difference> outputs;
};

struct ExportReport {
  Metrics metrics;
  tagging::TagCounts tags;
  size_t parameters = 0;  // in the file, each equal to the live module's, byte for byte
  uint64_t parameter_bytes = 0;
  double validation_success_rate = 0;  // of all checks made, 0..1
  std::vector<NumericRun> numbers;     // empty unless asked for
  analysis::NodeTimes times;           // the same
  // Operators that are not in the file, or only in name (--on-unsupported), and what is lost.
  std::vector<lowering::UnsupportedOp> unsupported;
  std::vector<std::string> missing_outputs;
};

struct ExportResult {
  WrittenFiles model;
  ExportReport report;
  std::vector<std::string> diagnostics;  // what the user should know
  Program program;
  graph::Graph graph;
};

// By the names that scripts rely on: "load_time", "total_nodes", "coverage_percentage"...
std::vector<std::pair<std::string, double>> metrics_of(const ExportResult& result);

ExportResult export_checkpoint(const std::string& path, const ExportOptions& options);

// LiveModule::trace, with `lowerings` for what need not be taken apart; where the module raises,
// the error also says what it was given and what it takes.
Program trace(frontend::LiveModule& module, const lowering::Lowerings& lowerings = {});

// "input_ids int64 [2, 16], attention_mask int64 [2, 16], steps=4"
std::string describe_inputs(const std::vector<HostValue>& inputs);

// The numbers alone: the examples of `module`, and three other sizes at which it runs. `program` is
// its trace().
std::vector<NumericRun> compare_numbers(const frontend::LiveModule& module, const Program& program,
                                        const std::string& onnx_path, const std::string& runtime);

}  // namespace modelexport
