#include "exporter/cli/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/error.h"
#include "tagging/number_text.h"
#include "tagging/tree.h"

namespace modelexport::cli {
namespace {

std::string count_text(size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

struct Worst {
  size_t runs = 0, outputs = 0;
  const analysis::Difference* allowed = nullptr;  // the worst that is beyond the tolerance
  double abs = 0, rel = 0;
};

Worst worst_of(const std::vector<NumericRun>& runs) {
  Worst worst;
  for (const NumericRun& run : runs) {
    ++worst.runs;
    worst.outputs = std::max(worst.outputs, run.outputs.size());
    for (const analysis::Difference& difference : run.outputs) {
      const bool is_allowed = !difference.allowed.empty();
      if (is_allowed && (!worst.allowed || difference.max_abs > worst.allowed->max_abs))
        worst.allowed = &difference;
      worst.abs = std::max(worst.abs, difference.max_abs);
      worst.rel = std::max(worst.rel, difference.max_rel);
    }
  }
  return worst;
}

}  // namespace

ExportResult export_showing_progress(const Console& console, const std::string& model,
                                     ExportOptions options) {
  options.progress = [&](std::string_view stage) { console.progress(stage); };
  const auto clear = [&](const void*) { console.progress(""); };
  const std::unique_ptr<const void, decltype(clear)> at_end(&console, clear);
  ExportResult result = export_checkpoint(model, options);
  console.progress("");
  for (const std::string& text : result.diagnostics) console.warn(text);
  return result;
}

nlohmann::ordered_json metrics_json(const ExportResult& result) {
  nlohmann::ordered_json json;
  for (const auto& [name, number] : metrics_of(result)) {
    const bool is_whole = number == std::floor(number) && number < 1e15 && !name.ends_with("_time");
    if (is_whole) {
      json[name] = static_cast<int64_t>(number);
    } else {
      json[name] = number;
    }
  }
  return json;
}

nlohmann::ordered_json difference_json(const analysis::Difference& difference) {
  nlohmann::ordered_json json = {{"name", difference.name},
                                 {"matches", difference.matches},
                                 {"dtype", name(difference.dtype)},
                                 {"shape", difference.dims},
                                 {"max_abs", difference.max_abs},
                                 {"max_rel", difference.max_rel},
                                 {"mismatched", difference.mismatched}};
  if (!difference.reason.empty()) json["reason"] = difference.reason;
  if (!difference.allowed.empty()) json["allowed"] = difference.allowed;
  return json;
}

nlohmann::ordered_json numbers_json(const std::vector<NumericRun>& runs) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const NumericRun& run : runs) {
    nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
    for (const analysis::Difference& difference : run.outputs) {
      outputs.push_back(difference_json(difference));
    }
    list.push_back({{"inputs", run.inputs}, {"outputs", std::move(outputs)}});
  }
  return list;
}

nlohmann::ordered_json result_json(const ExportResult& result) {
  nlohmann::ordered_json json = {{"model",
                                  {{"file", result.model.onnx},
                                   {"bytes", result.model.onnx_bytes},
                                   {"opset", result.graph.opset}}},
                                 {"metrics", metrics_json(result)},
                                 {"diagnostics", result.diagnostics}};
  if (!result.model.data.empty()) json["model"]["data"] = result.model.data;
  if (!result.model.hierarchy.empty()) json["model"]["hierarchy"] = result.model.hierarchy;
  if (!result.model.report.empty()) json["model"]["report"] = result.model.report;
  if (!result.report.unsupported.empty()) {
    json["unsupported"] = unsupported_json(result);
    json["missing_outputs"] = result.report.missing_outputs;
  }
  if (!result.report.numbers.empty()) json["numbers"] = numbers_json(result.report.numbers);
  return json;
}

nlohmann::ordered_json unsupported_json(const ExportResult& result) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const lowering::UnsupportedOp& op : result.report.unsupported) {
    nlohmann::ordered_json places = nlohmann::ordered_json::array();
    for (OriginId origin : op.places) places.push_back(lowering::place(result.program, origin));
    list.push_back({{"operator", op.key},
                    {"reason", op.reason},
                    {"approximated", op.approximated},
                    {"places", std::move(places)}});
  }
  return list;
}

int exit_code_of(const ExportResult& result) {
  return result.report.unsupported.empty() ? 0 : static_cast<int>(ErrorKind::unsupported);
}

void print_numbers(const Console& console, const std::vector<NumericRun>& runs) {
  for (const NumericRun& run : runs) {
    console.say(run.inputs);
    for (const analysis::Difference& difference : run.outputs) {
      console.say(fmt::format("  {} {}", difference.matches ? "ok  " : "FAIL",
                              analysis::describe(difference)));
    }
  }
}

void print_summary(const Console& console, const ExportResult& result, int max_depth) {
  if (console.json || console.quiet) return;
  const tagging::TreeOptions tree{.max_depth = max_depth};
  console.say(tagging::format_tree(tagging::tree_rows(result.program, &result.graph, tree), tree));
  const ExportReport& report = result.report;
  console.say(fmt::format("written   {}: {} nodes, opset {}, {}", result.model.onnx,
                          report.tags.total, result.graph.opset,
                          tagging::readable_bytes(static_cast<int64_t>(result.model.onnx_bytes))));
  if (!result.model.data.empty()) {
    console.say(
        fmt::format("          {}: {}", result.model.data,
                    tagging::readable_bytes(static_cast<int64_t>(result.model.data_bytes))));
  }
  for (const std::string& file : {result.model.hierarchy, result.model.report})
    if (!file.empty()) console.say("          " + file);
  console.say(fmt::format("tags      {} of {} nodes: {} direct, {} merged, {} root",
                          report.tags.tagged, report.tags.total, report.tags.direct,
                          report.tags.merged, report.tags.root));
  console.say(fmt::format(
      "checked   {} parameters and buffers, {}, byte for byte against the live "
      "module; structure and tags",
      report.parameters, tagging::readable_bytes(static_cast<int64_t>(report.parameter_bytes))));
  if (!report.numbers.empty()) {
    const Worst worst = worst_of(report.numbers);
    console.say(
        fmt::format("verified  {} at {}: max abs difference {:.2g}, max rel {:.2g}",
                    count_text(worst.outputs, "output"), count_text(worst.runs, "size"), worst.abs,
                    worst.rel));
    if (worst.allowed) console.say("          allowed: " + worst.allowed->allowed);
  }
  console.say(fmt::format("took      {:.2f} s, {:.0f} MB at most", report.metrics.total_time,
                          report.metrics.memory_peak_mb));
}

void require_match(const std::vector<NumericRun>& runs) {
  std::string text;
  for (const NumericRun& run : runs) {
    for (const analysis::Difference& difference : run.outputs) {
      if (difference.matches) continue;
      text += fmt::format("\n  {} (inputs {})", analysis::describe(difference), run.inputs);
    }
  }
  if (text.empty()) return;
  throw Error(ErrorKind::mismatch, "ONNX Runtime and LibTorch differ:" + text);
}

}  // namespace modelexport::cli
