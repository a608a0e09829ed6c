// modelexport analyze: module tree, sizes, sharing and operators of a checkpoint, without an
// export.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/command.h"
#include "exporter/error.h"
#include "tagging/tree.h"

namespace modelexport::cli {
namespace {

using Counts = std::vector<std::pair<std::string, size_t>>;  // most frequent first

void count(const Program& program, const Block& block, std::map<std::string, size_t>& counts) {
  for (const Op& op : block.ops) {
    ++counts[program.schemas[op.schema].key];
    for (const Block& inner : op.blocks) count(program, inner, counts);
  }
}

Counts operator_counts(const Program& program) {
  std::map<std::string, size_t> by_key;
  count(program, program.body, by_key);
  Counts counts(by_key.begin(), by_key.end());
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return counts;
}

struct AnalyzeCommand {
  std::string model;
  ExportOptions options;
  int max_depth = 0;
  Console console;
  Settings settings;
  ConfigOption config;

  void run() {
    config.read_into(settings);
    check_model_file(model);
    const Program program = load();
    const Counts operators = operator_counts(program);
    if (console.json) {
      fmt::print("{}\n", json(program, operators).dump(2));
      return;
    }
    const tagging::TreeOptions tree{.max_depth = max_depth};
    console.say(tagging::format_tree(tagging::tree_rows(program, nullptr, tree), tree));
    for (const Tensor& tensor : program.tensors) {
      if (tensor.aliases.empty() || tensor.role == Role::constant) continue;
      console.say(fmt::format("{} is also {}", tensor.name, fmt::join(tensor.aliases, ", ")));
    }
    if (!operators.empty()) console.say("operators");
    for (const auto& [key, number] : operators) console.say(fmt::format("  {:6} {}", number, key));
    for (const std::string& text : program.warnings) console.warn(text);
  }

  // With what it executes, if there are inputs to run it on.
  Program load() const {
    frontend::LiveModule module(model, options.load_library);
    const bool inputs_given = !options.inputs.files.empty() || !options.inputs.specs.empty();
    try {
      module.set_examples(options.inputs);
    } catch (const Error& error) {
      if (inputs_given || error.kind() != ErrorKind::usage) throw;
      console.say(fmt::format("{}; without inputs, operators are not shown\n", module.signature()));
      return module.tree();
    }
    return trace(module);
  }

  static nlohmann::ordered_json json(const Program& program, const Counts& operators) {
    nlohmann::ordered_json modules = nlohmann::ordered_json::array();
    const auto names = [&](const std::vector<TensorId>& tensors) {
      nlohmann::ordered_json list = nlohmann::ordered_json::array();
      for (const TensorId id : tensors) list.push_back(program.tensors[id].name);
      return list;
    };
    for (const Module& module : program.modules) {
      modules.push_back({{"path", module.path},
                         {"class", module.class_name},
                         {"parameters", names(module.parameters)},
                         {"buffers", names(module.buffers)},
                         {"calls", module.calls}});
      if (module.same_as != kNone) {
        modules.back()["same_as"] = program.modules[module.same_as].path;
      }
    }
    nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
    for (const Tensor& tensor : program.tensors) {
      if (tensor.role == Role::constant) continue;
      tensors.push_back(
          {{"name", tensor.name},
           {"aliases", tensor.aliases},
           {"kind", tensor.role == Role::parameter ? "parameter" : "buffer"},
           {"dtype", name(tensor.dtype)},
           {"shape", tensor.sizes},
           {"bytes", static_cast<size_t>(tensor.element_count()) * byte_size(tensor.dtype)}});
    }
    nlohmann::ordered_json counts = nlohmann::ordered_json::object();
    for (const auto& [key, number] : operators) counts[key] = number;
    return {{"class", program.class_name},
            {"modules", modules},
            {"tensors", tensors},
            {"operators", counts}};
  }
};

}  // namespace

void add_analyze_command(CLI::App& app, int&) {
  CLI::App* sub = app.add_subcommand(
      "analyze", "Show a checkpoint's module tree, sizes, sharing and operators");
  auto command = std::make_shared<AnalyzeCommand>();
  add_model_option(*sub, command->model);
  declare_input_settings(command->settings, command->options);
  command->console.declare(command->settings);
  command->settings.section("extraction");
  command->settings.add("max-depth", command->max_depth,
                        "levels of the module tree that are shown; 0: all", 0);
  command->settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer("Examples:\n  modelexport analyze bert.pt\n  modelexport analyze bert.pt --json");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
