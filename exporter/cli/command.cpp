#include "exporter/cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "analysis/file_index.h"
#include "exporter/error.h"
#include "exporter/onnx/reader.h"
#include "tagging/tags.h"

namespace modelexport::cli {
namespace {

// What a file says of an input that the examples may not show.
void add_input(const onnx::PortView& input, frontend::InputOptions& options) {
  options.numbers.insert(input.name);
  if (!input.shape) return;
  for (size_t axis = 0; axis < input.shape->size(); ++axis) {
    const std::string& symbol = (*input.shape)[axis].symbol;
    if (!symbol.empty()) options.dim_names[{input.name, static_cast<int64_t>(axis)}] = symbol;
  }
}

}  // namespace

void Console::declare(Settings& settings) {
  settings.add("json", json, "one JSON object on standard output, for programs");
  settings.add("quiet", quiet, "no summary");
}

void Console::say(std::string_view line) const {
  if (!json && !quiet) fmt::print("{}\n", line);
}

void Console::warn(std::string_view text) const {
  fmt::print(stderr, "modelexport: warning: {}\n", text);
}

void Console::progress(std::string_view stage) const {
  if (quiet || !isatty(STDERR_FILENO)) return;
  fmt::print(stderr, "\r\033[K{}{}", stage, stage.empty() ? "" : "...");
  std::fflush(stderr);
}

void ConfigOption::add_to(CLI::App& app) {
  app.add_option("--config", path_, "options in a YAML file, by the same names")->type_name("FILE");
}

void ConfigOption::read_into(Settings& settings) const {
  if (!path_.empty()) settings.read_yaml(path_);
}

void add_model_option(CLI::App& app, std::string& model) {
  app.add_option("MODEL,--model", model, "TorchScript checkpoint (.pt)")->type_name("");
}

void check_model_file(const std::string& model) {
  if (model.empty()) {
    throw Error(ErrorKind::usage, "a checkpoint is expected: modelexport COMMAND MODEL.pt");
  }
  std::error_code ignored;
  if (std::filesystem::is_regular_file(model, ignored)) return;
  const std::string name = std::filesystem::path(model).filename().replace_extension().string();
  throw Error(ErrorKind::unreadable,
              fmt::format("'{}' is no file; models/trace.py NAME -o {}.pt makes a TorchScript "
                          "checkpoint of a transformers model",
                          model, name.empty() ? "NAME" : name));
}

void LiveCommand::add_model_to(CLI::App& app) {
  app.add_option("--model", model, "TorchScript checkpoint (.pt)")->required()->type_name("MODEL");
}

frontend::LiveModule LiveCommand::load_module() {
  config.read_into(settings);
  check_model_file(model);
  frontend::LiveModule module(model, options.load_library);
  const onnx::ModelFile file = onnx::read_model(onnx_file);
  const std::string* made_of = analysis::find(file.metadata, tagging::kModule);
  if (made_of && options.module.empty()) options.module = *made_of;
  if (options.module.empty()) {
    for (const auto& input : file.graph.inputs) add_input(input, options.inputs);
  }
  module.set_examples(options.inputs);
  if (!options.module.empty()) module.select(options.module);
  return module;
}

void LiveCommand::add_settings_to(CLI::App& app) {
  declare_module_setting(settings, options);
  console.declare(settings);
  settings.add_to(app);
  config.add_to(app);
}

void declare_example_settings(Settings& settings, ExportOptions& options) {
  settings.add(
      "inputs", options.inputs.files,
      "example inputs: a torch.save'd tensor, tuple, list or dict (.pt), or .npz; a second file "
      "of other sizes makes what differs dynamic, and numbers that differ inputs");
  settings.add_choice("dynamic", "find the dynamic dimensions by running the module at other sizes",
                      {"none", "auto"},
                      [&options](size_t index) { options.inputs.dynamic_auto = index == 1; });
  settings.add_choice(
      "state",
      "what forward changes of the module itself (caches, counters): a warning, or inputs and "
      "outputs of the model",
      {"warn", "inputs-outputs"},
      [&options](size_t index) { options.inputs.state_as_ports = index == 1; });
  settings.add("seed", options.inputs.seed, "of made-up inputs");
  settings.add("load-library", options.load_library, "shared library with custom operators");
}

void declare_input_settings(Settings& settings, ExportOptions& options) {
  settings.add(
      "input", options.inputs.specs,
      "an input to make up: 'NAME:DTYPE[batch=2,seq=16,64]=range(LO,HI)'; dimensions with a "
      "name are dynamic; of an int, float or bool: 'steps:int=4', or 'steps=4' for a constant");
  declare_example_settings(settings, options);
}

void declare_lowering_settings(Settings& settings, ExportOptions& options) {
  settings.add("ops", options.ops,
               "YAML file that maps custom operators to ONNX operators or functions");
  settings.add("load-lowerings", options.load_lowerings,
               "shared library with lowerings of custom operators");
}

void declare_runtime_setting(Settings& settings, ExportOptions& options) {
  settings.add("runtime", options.runtime, "libonnxruntime.so, or the folder that holds it");
}

void declare_module_setting(Settings& settings, ExportOptions& options) {
  settings.add("module", options.module,
               "path of a submodule to look at alone, with the inputs that the model passes to it");
}

void declare_export_settings(Settings& settings, ExportOptions& options) {
  declare_input_settings(settings, options);
  declare_lowering_settings(settings, options);
  settings.add_choice("on-unsupported",
                      "operators that cannot be exported: an error that lists them, left out with "
                      "all that depends on them, or kept as nodes of another domain; exit code 3",
                      {"raise", "skip", "approximate"}, [&options](size_t index) {
                        options.on_unsupported = static_cast<lowering::OnUnsupported>(index);
                      });
  declare_module_setting(settings, options);
  settings.add("opset", options.opset, "target opset", 17, 23);
  settings.add("functions", options.functions,
               "each module class is an ONNX local function, which its calls share");
  settings.add_choice("weights", "where the weights go", {"external", "embed", "in-place"},
                      [&options](size_t index) { options.weights = static_cast<Weights>(index); });
  settings.add("verify", options.verify, "compare numbers: ONNX Runtime against LibTorch");
  declare_runtime_setting(settings, options);
}

void declare_validation_settings(Settings& settings, ExportOptions& options) {
  settings.section("validation");
  settings.add("min-coverage", options.validation.min_coverage,
               "share of the parameters and modules that the file must have", 0, 1);
  settings.add("check-cycles", options.validation.check_cycles, "allow cycles");
  settings.add("verify-connections", options.validation.verify_connections,
               "allow values that nothing defines or uses");
}

void declare_report_settings(Settings& settings, ExportOptions& options) {
  settings.section("extraction");
  settings.add("include-constants", options.extraction.include_constants,
               "hierarchy.json also lists constants");
  settings.add("min-parameter-count", options.extraction.min_parameter_count,
               "modules with fewer parameters have no DAG in hierarchy.json");
  settings.add("max-depth", options.extraction.max_depth,
               "levels of the module tree, in the summary and in hierarchy.json; 0: all", 0);
  settings.add("include-torch-nn", options.include_torch_nn,
               "torch.nn modules have a part in hierarchy_tag");
  declare_validation_settings(settings, options);
  settings.section("output");
  settings.add_choice("format", "of the sidecar", {"json"}, [](size_t) {});
  settings.add("include-metadata", options.include_metadata,
               "leave the single operations out of hierarchy.json");
  settings.add("compress", options.compress, "compress hierarchy.json by gzip");
}

}  // namespace modelexport::cli
