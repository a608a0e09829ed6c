// modelexport ops: the operators that can be exported.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/command.h"
#include "exporter/frontend/quantized_operators.h"
#include "exporter/lowering/registry.h"

namespace modelexport::cli {
namespace {

struct OpsCommand {
  std::string filter;
  Console console;
  Settings settings;

  void run() {
    std::vector<std::string> keys;
    for (const auto& operators : {lowering::keys(), frontend::quantized_operators()}) {
      for (const std::string_view key : operators) {
        const bool is_own = key.starts_with("quantized_decomposed::");  // the frontend's, in between
        if (!is_own && key.find(filter) != std::string_view::npos) keys.emplace_back(key);
      }
    }
    std::ranges::sort(keys);
    if (console.json) {
      fmt::print("{}\n", nlohmann::ordered_json{{"operators", keys}, {"opsets", {17, 23}}}.dump(2));
    }
    for (const std::string& key : keys) console.say(key);
  }
};

}  // namespace

void add_ops_command(CLI::App& app, int&) {
  CLI::App* sub =
      app.add_subcommand("ops", "List the ATen operators that can be exported, at opsets 17 to 23");
  auto command = std::make_shared<OpsCommand>();
  sub->add_option("TEXT", command->filter, "only those whose name contains this")->type_name("");
  command->console.declare(command->settings);
  command->settings.add_to(*sub);
  sub->footer("Examples:\n  modelexport ops\n  modelexport ops aten::conv");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
