// modelexport extract: export and the whole analysis, in a folder of its own.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/command.h"
#include "exporter/cli/summary.h"
#include "exporter/error.h"
#include "exporter/export.h"
#include "exporter/onnx/pending_file.h"

namespace modelexport::cli {
namespace {

struct ExtractCommand {
  std::string model, folder;
  ExportOptions options;
  Console console;
  Settings settings;
  ConfigOption config;

  int run() {
    config.read_into(settings);
    check_model_file(model);
    make_folder();
    options.output = in_folder("model.onnx");
    options.hierarchy = in_folder("hierarchy.json");
    options.report = in_folder("report.html");
    const ExportResult result = export_showing_progress(console, model, options);
    onnx::write_file(in_folder("metrics.json"), metrics_json(result).dump(2) + "\n");
    if (console.json) fmt::print("{}\n", result_json(result).dump(2));
    print_summary(console, result, options.extraction.max_depth);
    require_match(result.report.numbers);
    return exit_code_of(result);
  }

  void make_folder() const {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error && !std::filesystem::is_directory(folder)) {
      throw Error(ErrorKind::unwritable,
                  fmt::format("cannot make the folder {}: {}", folder, error.message()));
    }
  }

  std::string in_folder(const char* name) const {
    return (std::filesystem::path(folder) / name).string();
  }
};

}  // namespace

void add_extract_command(CLI::App& app, int& exit_code) {
  CLI::App* sub = app.add_subcommand(
      "extract", "Export a checkpoint into a folder, with its whole analysis and a report");
  auto command = std::make_shared<ExtractCommand>();
  add_model_option(*sub, command->model);
  sub->add_option("-o,--output", command->folder,
                  "folder to write: model.onnx, hierarchy.json, report.html, metrics.json")
      ->required()
      ->type_name("DIR");
  declare_export_settings(command->settings, command->options);
  command->console.declare(command->settings);
  declare_report_settings(command->settings, command->options);
  command->settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "Examples:\n"
      "  modelexport extract --model bert.pt --output results/bert --verify\n"
      "  modelexport extract --model bert.pt --output results/bert --config extraction.yaml\n"
      "  modelexport validate --input results/bert --model bert.pt");
  sub->callback([command, &exit_code] { exit_code = command->run(); });
}

}  // namespace modelexport::cli
