// What the subcommands share. Each stands in a file of its own and has one function:
// add_<name>_command(app, exit_code) declares it; it runs while the command line is parsed, throws
// Error, and sets the exit code where it is not 0.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/cli/settings.h"
#include "exporter/export.h"

namespace modelexport::cli {

void add_export_command(CLI::App& app, int& exit_code);
void add_extract_command(CLI::App& app, int& exit_code);
void add_validate_command(CLI::App& app, int& exit_code);
void add_verify_command(CLI::App& app, int& exit_code);
void add_analyze_command(CLI::App& app, int& exit_code);
void add_compare_command(CLI::App& app, int& exit_code);
void add_batch_command(CLI::App& app, int& exit_code);
void add_bench_command(CLI::App& app, int& exit_code);
void add_ops_command(CLI::App& app, int& exit_code);
void add_retag_command(CLI::App& app, int& exit_code);

// How to speak to the user: --json (one object on standard output instead of a summary) and
// --quiet.
struct Console {
  bool json = false;
  bool quiet = false;

  void declare(Settings& settings);
  // A line for people; nothing with --json or --quiet.
  void say(std::string_view line) const;
  // On standard error, even with --quiet.
  void warn(std::string_view text) const;
  // Shows what is being done, if standard error is a terminal; "" removes it.
  void progress(std::string_view stage) const;
};

// --config FILE.yaml: after the command line, before the command runs.
class ConfigOption {
 public:
  void add_to(CLI::App& app);
  void read_into(Settings& settings) const;

 private:
  std::string path_;
};

// The checkpoint, as MODEL or --model.
void add_model_option(CLI::App& app, std::string& model);
// Throws Error if `model` is no file, and says how to make one.
void check_model_file(const std::string& model);

// What commands that hold a file against the live module begin with.
struct LiveCommand {
  std::string onnx_file;
  std::string model;
  ExportOptions options;
  Console console;
  Settings settings;
  ConfigOption config;

  void add_model_to(CLI::App& app);  // --model
  // With the examples, after --config has been read. The submodule that --module names is selected,
  // otherwise the one that the file says it was made of.
  frontend::LiveModule load_module();
  void add_settings_to(CLI::App& app);  // all that are declared, and --config; once, at the end
};

// The options of `export` (but the output), by their names.
void declare_example_settings(Settings& settings,
                              ExportOptions& options);  // all inputs but --input
void declare_input_settings(Settings& settings, ExportOptions& options);
void declare_lowering_settings(Settings& settings, ExportOptions& options);
void declare_module_setting(Settings& settings, ExportOptions& options);
void declare_runtime_setting(Settings& settings, ExportOptions& options);
void declare_export_settings(Settings& settings, ExportOptions& options);
// Those that have a section in files: extraction, validation, output; and those of validation
// alone.
void declare_validation_settings(Settings& settings, ExportOptions& options);
void declare_report_settings(Settings& settings, ExportOptions& options);

}  // namespace modelexport::cli
