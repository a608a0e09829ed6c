// modelexport ops: what becomes of each operator that LibTorch registers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/command.h"
#include "exporter/frontend/live_module.h"
#include "exporter/frontend/quantized_operators.h"
#include "exporter/frontend/registered.h"
#include "exporter/lowering/registry.h"

namespace modelexport::cli {
namespace {

struct Entry {
  std::string key;
  std::string state;   // lowered, decomposed, known-only or missing
  std::string reason;  // why it is not lowered; empty if it is
};

bool contains(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

constexpr const char* kTraining = "for training";
constexpr const char* kNoLowering = "no lowering";

// What stands against an operator, by the kind that its name says it is.
std::string obstacle(const frontend::RegisteredOperator& op) {
  const std::string_view name = op.key;
  if (contains(name, {"backward", "_grad", "_jvp", "_double"})) return kTraining;
  if (contains(name, {"sparse", "_csr", "_coo", "coalesce", "_indices", "_values", "_nnz", "_dimI",
                      "_dimV", "hspmm", "::values", "::indices", "crow_", "row_ind", "col_ind",
                      "spsolve"})) {
    return "sparse tensors";
  }
  if (contains(name, {"nested", "jagged", "padded_tensor"})) return "nested tensors";
  if (contains(name, {"cudnn", "miopen", "mps", "mkldnn", "cslt", "triton", "nnpack", "_cuda",
                      "_cufft"}) ||
      !op.on_cpu) {
    return "of another device";
  }
  if (contains(name, {"quant", "fbgemm", "qscheme", "q_scale", "q_zero", "int4pack", "int8pack",
                      "q_per"})) {
    return "quantized tensors";
  }
  if (contains(name, {"::_test", "_foobar"})) return "for tests of LibTorch";
  if (!op.makes_tensors) return "its result is not a tensor";
  return kNoLowering;
}

Entry entry_of(const frontend::RegisteredOperator& op) {
  if (lowering::is_lowered(op.key) || frontend::reads_quantization(op.key))
    return {op.key, "lowered", ""};
  if (frontend::is_quantized_operator(op.key)) {
    return {op.key, "decomposed", "into operators on the real numbers that its integers stand for"};
  }
  const std::string reason = obstacle(op);
  if (op.composite && (reason == kNoLowering || reason == kTraining)) {
    return {op.key, "decomposed", "into what LibTorch's kernel of it calls"};
  }
  return {op.key, op.on_cpu ? "known-only" : "missing", reason};
}

// Every functional operator of LibTorch, then what TorchScript has beside it: aten::add.int,
// prim::If...
std::vector<Entry> entries(const std::string& filter) {
  std::map<std::string, Entry> found;
  for (const frontend::RegisteredOperator& op : frontend::functional_operators()) {
    found.emplace(op.key, entry_of(op));
  }
  for (const std::string_view key : lowering::keys()) {
    if (key.starts_with("quantized_decomposed::")) continue;  // between frontend and lowering alone
    found.try_emplace(std::string(key), Entry{std::string(key), "lowered", ""});
  }
  std::vector<Entry> result;
  for (auto& [key, entry] : found) {
    if (key.find(filter) != std::string::npos) result.push_back(std::move(entry));
  }
  return result;
}

nlohmann::ordered_json to_json(const std::vector<Entry>& all) {
  nlohmann::ordered_json operators = nlohmann::ordered_json::array(), coverage = operators;
  for (const Entry& entry : all) {
    if (entry.state == "lowered") operators.push_back(entry.key);
    nlohmann::ordered_json one{{"operator", entry.key}, {"state", entry.state}};
    if (!entry.reason.empty()) one["reason"] = entry.reason;
    coverage.push_back(std::move(one));
  }
  return {{"operators", operators}, {"coverage", coverage}, {"opsets", {17, 23}}};
}

// The page docs/operators.md: counts, then what is not lowered, by reason.
std::string to_markdown(const std::vector<Entry>& all) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> groups;
  for (const Entry& entry : all) groups[{entry.state, entry.reason}].push_back(entry.key);
  std::string table = "| state | reason | operators |\n| --- | --- | --- |\n", lists;
  for (const auto& [group, keys] : groups) {
    const auto& [state, reason] = group;
    table += fmt::format("| {} | {} | {} |\n", state, reason, keys.size());
    if (state == "lowered") continue;
    lists += fmt::format("\n## {}: {}\n\n", state, reason);
    for (const std::string& key : keys) lists += fmt::format("- `{}`\n", key);
  }
  return fmt::format(
      "# Operators\n\nThe functional operators that LibTorch {} registers, and what becomes of "
      "them. Written by "
      "`modelexport ops --markdown`;\n`modelexport ops --help` says what the states mean, "
      "`modelexport ops` lists "
      "the lowered ones too.\n\n{}{}",
      frontend::torch_version(), table, lists);
}

struct OpsCommand {
  std::string filter;
  bool markdown = false;
  Console console;
  Settings settings;

  void run() {
    const std::vector<Entry> all = entries(filter);
    if (markdown) return fmt::print("{}", to_markdown(all));
    if (console.json) fmt::print("{}\n", to_json(all).dump(2));
    for (const Entry& entry : all) {
      const std::string reason = entry.reason.empty() ? "" : ": " + entry.reason;
      console.say(fmt::format("{:60} {}{}", entry.key, entry.state, reason));
    }
  }
};

}  // namespace

void add_ops_command(CLI::App& app, int&) {
  CLI::App* sub = app.add_subcommand(
      "ops", "List LibTorch's operators and which can be exported, at opsets 17 to 23");
  auto command = std::make_shared<OpsCommand>();
  sub->add_option("TEXT", command->filter, "only those whose name contains this")->type_name("");
  command->settings.add("markdown", command->markdown, "as a page, of what is not lowered");
  command->console.declare(command->settings);
  command->settings.add_to(*sub);
  sub->footer(
      "Each has a state:\n"
      "  lowered     there is a lowering\n"
      "  decomposed  exported as the operators that LibTorch's kernel of it calls, if those are "
      "lowered\n"
      "  known-only  only where nothing it is given depends on the inputs: then it is evaluated\n"
      "  missing     LibTorch itself cannot run it on dense tensors of the CPU\n\n"
      "Examples:\n  modelexport ops\n  modelexport ops aten::conv");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
