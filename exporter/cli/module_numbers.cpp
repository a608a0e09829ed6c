#include "exporter/cli/module_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "exporter/cli/summary.h"
#include "exporter/error.h"

namespace modelexport::cli {
namespace {

nlohmann::ordered_json differences_json(const std::vector<analysis::Difference>& differences) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const analysis::Difference& difference : differences) {
    list.push_back(difference_json(difference));
  }
  return list;
}

nlohmann::ordered_json first_json(const FirstDifference& first, const Program& program) {
  const Scope& scope = program.scopes[first.call];
  nlohmann::ordered_json json = {{"module", scope.path},
                                 {"class", scope.class_name},
                                 {"difference", difference_json(first.difference)},
                                 {"text", describe(first, program)}};
  if (first.origin == kNone) return json;
  const Origin& origin = program.origins[first.origin];
  json["operator"] = origin.op;
  json["node"] = first.node;
  if (origin.source == kNone || program.sources[origin.source].empty()) return json;
  const Frame& frame = program.sources[origin.source].back();
  json["source"] = {{"file", frame.file}, {"line", frame.line}, {"function", frame.function}};
  return json;
}

std::string_view short_class(std::string_view class_name) {
  return class_name.substr(class_name.rfind('.') + 1);
}

// "query", the second time "query (call 2)", below what it is called from.
std::string label(const CallNumbers& call, const Program& program) {
  const Scope& scope = program.scopes[call.call];
  if (scope.parent == kNone) return std::string(short_class(scope.class_name));
  std::string_view path = scope.path;
  const std::string above = program.scopes[scope.parent].path + ".";
  if (path.starts_with(above)) path.remove_prefix(above.size());
  std::string text = std::string(2 * static_cast<size_t>(call.depth), ' ') + std::string(path);
  if (call.number > 1) text += fmt::format(" (call {})", call.number);
  return text;
}

// The verdict, and the largest differences of its outputs.
std::string numbers_text(const CallNumbers& call) {
  if (!call.compared()) return "-";
  double abs = 0, rel = 0;
  std::string reason;
  for (const analysis::Difference& difference : call.outputs) {
    abs = std::max(abs, difference.max_abs);
    rel = std::max(rel, difference.max_rel);
    if (reason.empty() && !difference.matches) reason = difference.reason;
  }
  return fmt::format("{}  {:<9.3g}  {:<9.3g}  {}", call.matches() ? "ok  " : "FAIL", abs, rel,
                     reason);
}

}  // namespace

nlohmann::ordered_json modules_json(const ModuleNumbers& numbers, const Program& program) {
  nlohmann::ordered_json modules = nlohmann::ordered_json::array();
  for (const CallNumbers& call : numbers.calls) {
    const Scope& scope = program.scopes[call.call];
    modules.push_back({{"module", scope.path},
                       {"class", scope.class_name},
                       {"call", call.number},
                       {"in_loop", call.in_loop},
                       {"compared", call.compared()},
                       {"matches", call.matches()},
                       {"inputs", differences_json(call.inputs)},
                       {"outputs", differences_json(call.outputs)}});
  }
  nlohmann::ordered_json json = {{"modules", std::move(modules)}, {"first_difference", nullptr}};
  if (numbers.first) json["first_difference"] = first_json(*numbers.first, program);
  return json;
}

void print_modules(const Console& console, const ModuleNumbers& numbers, const Program& program) {
  std::vector<std::string> labels, classes;
  size_t label_width = 6, class_width = 5, compared = 0;
  bool any_loop = false;
  for (const CallNumbers& call : numbers.calls) {
    labels.push_back(label(call, program));
    classes.emplace_back(short_class(program.scopes[call.call].class_name));
    label_width = std::max(label_width, labels.back().size());
    class_width = std::max(class_width, classes.back().size());
    compared += call.compared();
    any_loop |= call.compared() && call.in_loop;
  }
  console.say(fmt::format("\nmodule by module, {}", numbers.inputs));
  console.say(fmt::format("  {:<{}}  {:<{}}        max abs    max rel", "module", label_width,
                          "class", class_width));
  for (size_t i = 0; i < labels.size(); ++i) {
    console.say(fmt::format("  {:<{}}  {:<{}}  {}", labels[i], label_width, classes[i], class_width,
                            numbers_text(numbers.calls[i])));
  }
  console.say(fmt::format("{} of {} module calls compared{}", compared, labels.size(),
                          any_loop ? ", those within a loop in its first iteration" : ""));
}

void require_match(const ModuleNumbers& numbers, const Program& program) {
  if (!numbers.first) return;
  throw Error(ErrorKind::mismatch,
              "ONNX Runtime and LibTorch part in " + describe(*numbers.first, program));
}

}  // namespace modelexport::cli
