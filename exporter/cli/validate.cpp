// modelexport validate: completeness, structure, parameters and tags of an ONNX file against the
// live module.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/check_written.h"
#include "exporter/cli/command.h"

namespace modelexport::cli {
namespace {

struct ValidateCommand : LiveCommand {
  void run() {
    if (std::filesystem::is_directory(onnx_file)) onnx_file += "/model.onnx";
    frontend::LiveModule module = load_module();
    const Program program = trace(module);
    const tagging::Hierarchy hierarchy(program, {options.include_torch_nn});
    const WrittenCheck check(onnx_file, program, hierarchy);
    report(check);
    check.require(options.validation);
  }

  void report(const WrittenCheck& check) const {
    const analysis::CrossCheck& result = check.result();
    if (console.json) {
      nlohmann::ordered_json findings = nlohmann::ordered_json::array();
      for (const analysis::Finding& finding : result.findings) {
        findings.push_back({{"check", analysis::name(finding.check)},
                            {"subject", finding.subject},
                            {"text", finding.text}});
      }
      const nlohmann::ordered_json json = {{"checks", result.checks},
                                           {"failures", result.failures},
                                           {"success_rate", result.success_rate()},
                                           {"parameter_coverage", result.parameter_coverage()},
                                           {"module_coverage", result.module_coverage()},
                                           {"findings", findings}};
      fmt::print("{}\n", json.dump(2));
    }
    console.say(fmt::format("{}: {} of {} checks hold", onnx_file, result.checks - result.failures,
                            result.checks));
    const auto& parameters = result.parameters.parameters;
    const auto equal = std::count_if(
        parameters.begin(), parameters.end(),
        [](const analysis::ParameterCheck& check) { return check.found() && check.holds(); });
    console.say(fmt::format("  {} parameters and buffers are equal, byte for byte", equal));
    console.say(
        fmt::format("  {:.1f} % of the parameters and {:.1f} % of the modules that ran are there",
                    100 * result.parameter_coverage(), 100 * result.module_coverage()));
  }
};

}  // namespace

void add_validate_command(CLI::App& app, int&) {
  CLI::App* sub = app.add_subcommand(
      "validate", "Check structure, parameters and tags of an ONNX file against the live module");
  auto command = std::make_shared<ValidateCommand>();
  sub->add_option("FILE,--input", command->onnx_file,
                  "ONNX file of any exporter, or a folder with a model.onnx")
      ->required()
      ->type_name("");
  command->add_model_to(*sub);
  declare_example_settings(command->settings, command->options);
  declare_validation_settings(command->settings, command->options);
  command->add_settings_to(*sub);
  sub->footer(
      "Examples:\n"
      "  modelexport validate bert.onnx --model bert.pt\n"
      "  modelexport validate theirs.onnx --model bert.pt --json");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
