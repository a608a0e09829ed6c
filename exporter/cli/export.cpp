// modelexport export: checkpoint to tagged ONNX.
#include "exporter/export.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/command.h"
#include "exporter/cli/summary.h"
#include "exporter/onnx/pending_file.h"

namespace modelexport::cli {
namespace {

struct ExportCommand {
  std::string model;
  ExportOptions options;
  std::string metrics_file;
  Console console;
  Settings settings;
  ConfigOption config;

  int run() {
    config.read_into(settings);
    check_model_file(model);
    const ExportResult result = export_showing_progress(console, model, options);
    if (!metrics_file.empty()) {
      onnx::write_file(metrics_file, metrics_json(result).dump(2) + "\n");
    }
    if (console.json) fmt::print("{}\n", result_json(result).dump(2));
    print_summary(console, result, options.extraction.max_depth);
    require_match(result.report.numbers);
    return exit_code_of(result);
  }
};

}  // namespace

void add_export_command(CLI::App& app, int& exit_code) {
  CLI::App* sub = app.add_subcommand("export", "Export a TorchScript checkpoint to tagged ONNX");
  auto command = std::make_shared<ExportCommand>();
  add_model_option(*sub, command->model);
  sub->add_option("-o,--output", command->options.output,
                  "ONNX file to write (default MODEL.onnx; weights beside it, in FILE.data)")
      ->type_name("FILE");
  Settings& settings = command->settings;
  declare_export_settings(settings, command->options);
  settings.add("metrics", command->metrics_file,
               "write times, memory and counts to this JSON file");
  command->console.declare(settings);
  declare_report_settings(settings, command->options);
  settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "Examples:\n"
      "  modelexport export bert.pt --verify\n"
      "  modelexport export bert.pt -o bert.onnx --inputs short.pt --inputs long.pt\n"
      "  modelexport export bert.pt --input 'input_ids:int64[batch=2,seq=16]=range(0,30522)' \\\n"
      "                             --input 'attention_mask:int64[batch,seq]'\n"
      "  modelexport export vit.pt --dynamic auto --opset 23 --weights in-place");
  sub->callback([command, &exit_code] { exit_code = command->run(); });
}

}  // namespace modelexport::cli
