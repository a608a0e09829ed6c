// modelexport analyze: module tree, sizes, sharing, operators and data flow of a model, without an
// export.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "analysis/module_graph.h"
#include "analysis/summary_text.h"
#include "exporter/cli/command.h"
#include "exporter/describe_model.h"
#include "exporter/error.h"

namespace modelexport::cli {
namespace {

enum class Format : uint8_t { text, markdown, json, dot, mermaid };

struct AnalyzeCommand {
  std::string model, dag;
  ExportOptions options;
  int max_depth = 0, dag_depth = 1;
  Format format = Format::text;
  Console console;
  Settings settings;
  ConfigOption config;

  void run() {
    config.read_into(settings);
    const analysis::ModelSummary summary =
        describe_model(find_model(model), {.inputs = options.inputs,
                                           .load_library = options.load_library,
                                           .include_torch_nn = options.include_torch_nn,
                                           .read_weights = false});
    for (const std::string& text : summary.tree.warnings) console.warn(text);
    const bool draws = !dag.empty() || format == Format::dot || format == Format::mermaid;
    if (draws) return draw(summary);
    if (console.json || format == Format::json) {
      analysis::JsonWriter json([](std::string_view text) { fmt::print("{}", text); }, 2);
      analysis::write_summary(summary, json);
      json.flush();
      fmt::print("\n");
      return;
    }
    console.say(analysis::to_text(
        summary, {.max_depth = max_depth},
        format == Format::markdown ? analysis::TextFormat::markdown : analysis::TextFormat::plain));
  }

  void draw(const analysis::ModelSummary& summary) const {
    const auto module = analysis::find_module(summary, dag == "." ? "" : dag);
    if (!module)
      throw Error(
          ErrorKind::usage,
          fmt::format("{} has no module '{}'; analyze without --dag lists them", model, dag));
    if (summary.nodes.empty())
      throw Error(ErrorKind::usage,
                  fmt::format("{} has no operators to draw; give it inputs: see --help", model));
    const analysis::ModuleGraph graph = analysis::module_graph(summary, *module, dag_depth);
    fmt::print("{}",
               format == Format::mermaid ? analysis::to_mermaid(graph) : analysis::to_dot(graph));
  }
};

}  // namespace

void add_analyze_command(CLI::App& app, int&) {
  CLI::App* sub = app.add_subcommand(
      "analyze", "Show a model's module tree, sizes, sharing, operators and data flow");
  auto command = std::make_shared<AnalyzeCommand>();
  sub->add_option("MODEL,--model", command->model,
                  "TorchScript checkpoint, ONNX file or folder with a model.onnx")
      ->required()
      ->type_name("");
  Settings& settings = command->settings;
  declare_input_settings(settings, command->options);
  command->console.declare(settings);
  settings.add("dag", command->dag,
               "draw the data flow of the module of this path or hierarchy tag; '.': of the model");
  settings.add("dag-depth", command->dag_depth,
               "levels of modules that are drawn opened, the others as boxes; 0: all", 0);
  settings.add_choice(
      "format", "of what is printed; dot (Graphviz) and mermaid draw",
      {"text", "markdown", "json", "dot", "mermaid"},
      [command = command.get()](size_t index) { command->format = static_cast<Format>(index); });
  settings.section("extraction");
  settings.add("max-depth", command->max_depth, "levels of the module tree that are shown; 0: all",
               0);
  settings.add("include-torch-nn", command->options.include_torch_nn,
               "torch.nn modules have a part in hierarchy tags");
  settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "A checkpoint's weights of 1 MiB and more are not read: the module runs on zeros in their "
      "place.\n\n"
      "Examples:\n"
      "  modelexport analyze bert.pt\n"
      "  modelexport analyze bert.onnx --json\n"
      "  modelexport analyze bert.pt --dag encoder.layer.0 --format mermaid\n"
      "  modelexport analyze bert.pt --dag . --dag-depth 3 | dot -Tsvg > bert.svg");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
