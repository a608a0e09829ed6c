// modelexport verify: numbers, ONNX Runtime against LibTorch.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "exporter/cli/command.h"
#include "exporter/cli/module_numbers.h"
#include "exporter/cli/summary.h"
#include "exporter/compare_modules.h"

namespace modelexport::cli {
namespace {

struct VerifyCommand : LiveCommand {
  bool per_module = false;

  void run() {
    frontend::LiveModule module = load_module();
    const Program program = trace(module);
    const std::vector<NumericRun> runs =
        compare_numbers(module, program, onnx_file, options.runtime);
    nlohmann::ordered_json json = {{"numbers", numbers_json(runs)}};
    std::optional<ModuleNumbers> modules;
    if (per_module) {
      modules = compare_modules(module, program, onnx_file, options.runtime);
      json.update(modules_json(*modules, program));
    }
    if (console.json) fmt::print("{}\n", json.dump(2));
    print_numbers(console, runs);
    if (modules) {
      print_modules(console, *modules, program);
      require_match(*modules, program);
    }
    require_match(runs);
  }
};

}  // namespace

void add_verify_command(CLI::App& app, int&) {
  CLI::App* sub = app.add_subcommand(
      "verify", "Compare the numbers of an ONNX file with those of the live module");
  auto command = std::make_shared<VerifyCommand>();
  sub->add_option("FILE", command->onnx_file, "ONNX file, of any exporter")
      ->required()
      ->type_name("");
  command->add_model_to(*sub);
  declare_input_settings(command->settings, command->options);
  declare_runtime_setting(command->settings, command->options);
  command->settings.add("per-module", command->per_module,
                        "also compare what each module gives, and say where the two part first");
  command->add_settings_to(*sub);
  sub->footer(
      "Outputs are compared at the examples and, where dimensions are dynamic, at three other "
      "sizes:\n"
      "relative tolerance 1e-3, absolute 1e-4 for float32. Modules that quantise are allowed one "
      "step\n"
      "of their scale, and the output says where. --per-module takes a file that modelexport "
      "wrote;\n"
      "it looks at the first example.\n\n"
      "Examples:\n"
      "  modelexport verify bert.onnx --model bert.pt\n"
      "  modelexport verify bert.onnx --model bert.pt --per-module\n"
      "  modelexport verify bert.onnx --model bert.pt --inputs short.pt --inputs long.pt --json");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
