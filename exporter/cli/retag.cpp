// modelexport retag: puts back the tags that an optimiser dropped.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/command.h"
#include "exporter/retag_file.h"

namespace modelexport::cli {
namespace {

struct RetagCommand {
  std::string optimised;
  std::string from;
  std::string output;
  Console console;
  Settings settings;
  ConfigOption config;

  void run() {
    config.read_into(settings);
    if (output.empty()) output = optimised;
    const RetagReport report = retag_file(optimised, from, output);
    if (console.json) {
      const nlohmann::ordered_json json = {{"output", output},
                                           {"nodes", report.nodes},
                                           {"tagged", report.nodes - report.untagged.size()},
                                           {"share", report.share()},
                                           {"kept", report.kept},
                                           {"same", report.same},
                                           {"fused", report.fused},
                                           {"by_flow", report.by_flow},
                                           {"untagged", report.untagged}};
      fmt::print("{}\n", json.dump(2));
    }
    console.say(fmt::format("{}: {} of {} nodes are tagged, {:.1f} %", output,
                            report.nodes - report.untagged.size(), report.nodes,
                            100 * report.share()));
    console.say(
        fmt::format("  {} had tags, {} are nodes of the original, {} stand for several of "
                    "them, {} by data flow",
                    report.kept, report.same, report.fused, report.by_flow));
    for (const std::string& name : report.untagged) console.say("  without tags: " + name);
  }
};

}  // namespace

void add_retag_command(CLI::App& app, int&) {
  CLI::App* sub =
      app.add_subcommand("retag", "Put the tags back that an optimiser dropped from an ONNX file");
  auto command = std::make_shared<RetagCommand>();
  sub->add_option("OPTIMISED", command->optimised, "ONNX file that an optimiser has written")
      ->required()
      ->type_name("");
  sub->add_option("--from", command->from,
                  "the ONNX file that it was made from, or its hierarchy.json")
      ->required()
      ->type_name("FILE");
  sub->add_option("-o,--output", command->output, "ONNX file to write (default OPTIMISED itself)")
      ->type_name("FILE");
  command->console.declare(command->settings);
  command->settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "Values that both files have tell which nodes are which. A node that stands for several "
      "takes their\n"
      "lowest common ancestor.\n\n"
      "Examples:\n"
      "  modelexport retag bert.ort.onnx --from bert.onnx\n"
      "  modelexport retag bert.sim.onnx --from bert.hierarchy.json -o bert.tagged.onnx --json");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
