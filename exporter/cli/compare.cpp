// modelexport compare: what differs between two models.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "analysis/comparison_text.h"
#include "analysis/report_html.h"
#include "exporter/cli/command.h"
#include "exporter/describe_model.h"
#include "exporter/error.h"
#include "exporter/onnx/pending_file.h"

namespace modelexport::cli {
namespace {

using analysis::Comparison;
using analysis::ModelSummary;

constexpr int kDiffers = 4;

// Does a dimension of an input have a name?
bool has_dynamic_inputs(const ModelSummary& model) {
  return std::any_of(model.inputs.begin(), model.inputs.end(), [](const analysis::ModelPort& port) {
    const size_t shape = port.type.find('[');
    return shape != std::string::npos &&
           port.type.find_first_not_of("0123456789, ]", shape + 1) != std::string::npos;
  });
}

struct CompareCommand {
  std::string model1, model2, output;
  ExportOptions options;
  bool values = true;
  analysis::TextFormat format = analysis::TextFormat::plain;
  Console console;
  Settings settings;
  ConfigOption config;

  int run() {
    config.read_into(settings);
    const ModelPath first = find_model(model1), second = find_model(model2);
    analysis::CompareOptions how{.values = values};
    std::vector<std::string> notes;
    std::vector<ModelSummary> models = describe(first, second, how, notes);
    models[0].file = model1;
    models[1].file = model2;
    Comparison comparison = analysis::compare_models(models[0], models[1], how);
    comparison.notes = std::move(notes);
    report(models, comparison);
    return comparison.same() ? 0 : kDiffers;
  }

  std::vector<ModelSummary> describe(const ModelPath& first, const ModelPath& second,
                                     analysis::CompareOptions& how,
                                     std::vector<std::string>& notes) const {
    DescribeOptions options = describe_options();
    options.read_weights = true;
    if (first.format == second.format) {
      std::vector<ModelSummary> models = {describe_model(first, options),
                                          describe_model(second, options)};
      for (const ModelSummary& model : models)
        for (const std::string& text : model.tree.warnings)
          notes.push_back(model.file + ": " + text);
      return models;
    }
    const bool onnx_first = first.format == ModelFormat::onnx;
    ModelSummary file = describe_model(onnx_first ? first : second, options);
    ModelSummary module = describe_like(file, (onnx_first ? second : first).file, how, notes);
    std::vector<ModelSummary> models;
    models.push_back(std::move(onnx_first ? file : module));
    models.push_back(std::move(onnx_first ? module : file));
    return models;
  }

  DescribeOptions describe_options() const {
    return {.inputs = options.inputs,
            .load_library = options.load_library,
            .ops = options.ops,
            .load_lowerings = options.load_lowerings,
            .include_torch_nn = options.include_torch_nn};
  }

  // The checkpoint in the terms of the ONNX file: as it would be exported.
  ModelSummary describe_like(const ModelSummary& file, const std::string& checkpoint,
                             analysis::CompareOptions& how, std::vector<std::string>& notes) const {
    DescribeOptions options = describe_options();
    if (options.inputs.files.empty() && options.inputs.specs.empty() && has_dynamic_inputs(file))
      options.inputs.dynamic_auto = true;
    try {
      return describe_as_onnx(checkpoint, options, static_cast<int>(file.opset));
    } catch (const Error& error) {
      const bool is_mapped = !options.ops.empty() || !options.load_lowerings.empty();
      const bool may_be_usage = error.kind() == ErrorKind::usage && !is_mapped;
      if (!may_be_usage && error.kind() != ErrorKind::unsupported) throw;
      notes.push_back(fmt::format("modules and parameters only, because {} cannot be exported: {}",
                                  checkpoint, error.what()));
    }
    how.operators = false;
    how.only_holders = true;
    return describe_model({ModelFormat::checkpoint, checkpoint}, options);
  }

  void report(const std::vector<ModelSummary>& models, const Comparison& comparison) const {
    if (console.json) {
      analysis::JsonWriter json([](std::string_view text) { fmt::print("{}", text); }, 2);
      analysis::write_comparison(models[0], models[1], comparison, json);
      json.flush();
      fmt::print("\n");
    }
    if (!output.empty()) write_page(models, comparison);
    console.say(analysis::to_text(models[0], models[1], comparison, format));
  }

  void write_page(const std::vector<ModelSummary>& models, const Comparison& comparison) const {
    const bool is_folder = std::filesystem::is_directory(output);
    onnx::PendingFile file(is_folder ? (std::filesystem::path(output) / "report.html").string()
                                     : output);
    analysis::write_report({.models = {&models[0], &models[1]}, .comparison = &comparison},
                           [&](std::string_view text) { file.append(text); });
    file.commit();
  }
};

}  // namespace

void add_compare_command(CLI::App& app, int& exit_code) {
  CLI::App* sub = app.add_subcommand("compare", "Show what differs between two models");
  auto command = std::make_shared<CompareCommand>();
  const char* kinds = "TorchScript checkpoint, ONNX file or folder with a model.onnx";
  sub->add_option("MODEL1,--model1", command->model1, kinds)->required()->type_name("");
  sub->add_option("MODEL2,--model2", command->model2, kinds)->required()->type_name("");
  sub->add_option("-o,--output", command->output, "report to write: an HTML page, or its folder")
      ->type_name("FILE");
  Settings& settings = command->settings;
  declare_input_settings(settings, command->options);
  declare_lowering_settings(settings, command->options);
  settings.add("values", command->values, "do not compare what parameters hold");
  settings.add_choice("format", "of what is printed", {"text", "markdown"},
                      [command = command.get()](size_t index) {
                        command->format = static_cast<analysis::TextFormat>(index);
                      });
  command->console.declare(settings);
  settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "Modules are aligned by class, structure and contents, so that one that was renamed, "
      "inserted\n"
      "or taken out does not misplace the others. Exit code: 0 no differences, 4 differences.\n\n"
      "Examples:\n"
      "  modelexport compare before.pt after.pt\n"
      "  modelexport compare --model1 bert.pt --model2 bert.onnx --json\n"
      "  modelexport compare results/a results/b --format markdown\n"
      "  modelexport compare before.onnx after.onnx --output differences.html");
  sub->callback([command, &exit_code] { exit_code = command->run(); });
}

}  // namespace modelexport::cli
