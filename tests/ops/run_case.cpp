#include "tests/ops/run_case.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <utility>

#include "analysis/numeric.h"
#include "exporter/error.h"
#include "exporter/frontend/live_module.h"
#include "exporter/graph/naming.h"
#include "exporter/graph/passes/run_passes.h"
#include "exporter/graph/verify.h"
#include "exporter/lowering/lower.h"
#include "exporter/lowering/registry.h"
#include "exporter/onnx/check.h"
#include "exporter/onnx/writer.h"
#include "exporter/runtime/session.h"
#include "tests/ops/compile.h"
#include "tests/ops/values.h"

namespace modelexport::ops_test {
namespace {

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

void collect_op_types(const graph::Block& block, std::vector<std::string>& types) {
  for (const graph::Node& node : block.nodes) {
    types.push_back(node.op_type);
    for (const graph::Attribute& attribute : node.attributes) {
      if (const auto* nested = std::get_if<std::shared_ptr<graph::Block>>(&attribute.value))
        collect_op_types(**nested, types);
    }
  }
}

void collect_operators(const Program& program, const Block& block, std::set<std::string>& keys) {
  for (const Op& op : block.ops) {
    keys.insert(program.schemas[op.schema].key);
    for (const Block& nested : op.blocks) collect_operators(program, nested, keys);
  }
}

std::string check_op_types(const Case& one, const graph::Graph& graph, int opset) {
  std::vector<std::string> found;
  collect_op_types(graph.body, found);
  const auto has = [&](const std::string& type) { return std::ranges::count(found, type) > 0; };
  const int standard = one.default_opset();
  std::string failure;
  if (const auto emits = one.emits.at_or_default(opset, standard); emits && words(*emits) != found)
    failure += fmt::format("emits: {}\n  not: {}\n", fmt::join(found, " "), *emits);
  for (const std::string& type : words(one.contains.at_or_default(opset, standard).value_or("")))
    if (!has(type)) failure += fmt::format("emits no {}: {}\n", type, fmt::join(found, " "));
  for (const std::string& type : words(one.lacks.at_or_default(opset, standard).value_or("")))
    if (has(type)) failure += fmt::format("emits {}: {}\n", type, fmt::join(found, " "));
  return failure;
}

std::string compare_tensor(const Case& one, const HostTensor& expected, const HostTensor& found) {
  const Tolerance wanted = one.tolerance.value_or(default_tolerance(expected.dtype));
  const analysis::Difference difference =
      analysis::compare(expected, found, {.rtol = wanted.relative, .atol = wanted.absolute});
  const bool exact = wanted.relative == 0 && wanted.absolute == 0;
  if (difference.matches && !(exact && difference.max_abs > 0)) return "";
  return analysis::describe(difference);
}

// LibTorch's outputs have no names of their own: the program gives them.
std::string compare_outputs(const Case& one, const Program& program,
                            const std::vector<HostValue>& expected,
                            const std::vector<HostValue>& found) {
  if (expected.size() != found.size() || program.outputs.size() != found.size())
    return fmt::format("{} outputs, not {}\n", found.size(), expected.size());
  std::string failure;
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string& name = program.outputs[i].name;
    if (found[i].name != name)
      failure += fmt::format("output {} is named {}, not {}\n", i, found[i].name, name);
    if (expected[i].tensors.size() != found[i].tensors.size()) {
      failure += fmt::format("{}: {} tensors, not {}\n", name, found[i].tensors.size(),
                             expected[i].tensors.size());
      continue;
    }
    for (size_t k = 0; k < expected[i].tensors.size(); ++k) {
      const std::string text = compare_tensor(one, expected[i].tensors[k], found[i].tensors[k]);
      if (!text.empty()) failure += name + text + "\n";
    }
  }
  return failure;
}

// A set of sizes, and values for them.
struct Run {
  const char* name;
  size_t size_set;
  uint64_t seed;
};

std::vector<Run> runs_of(const Case& one) {
  std::vector<Run> runs{{"the first example", 0, 0}, {"other values", 0, 2}};
  if (one.is_dynamic()) {
    runs.push_back({"the second example", 1, 1});
    runs.push_back({"sizes of no example", 2, 3});
  }
  return runs;
}

}  // namespace

struct Trial::Traced {
  frontend::LiveModule module;
  Program program;

  explicit Traced(const std::string& path) : module(path, {}) {}
};

Trial::Trial(const Case& one, std::string folder) : case_(one), folder_(std::move(folder)) {
  try {
    const uint64_t seed = seed_of(one);
    save_module(one, seed, folder_ + "/case.pt");
    frontend::InputOptions inputs;
    for (size_t i = 0; i < (one.is_dynamic() ? 2 : 1); ++i) {
      inputs.files.push_back(fmt::format("{}/example{}.pt", folder_, i));
      save_example(one, make_inputs(one, i, seed + i), inputs.files.back());
    }
    traced_ = std::make_unique<Traced>(folder_ + "/case.pt");
    traced_->module.set_examples(inputs);
    traced_->program = traced_->module.trace(lowering::is_lowered);
  } catch (const std::exception& error) {
    trace_error_ = error.what();
  }
}

Trial::~Trial() = default;

std::set<std::string> Trial::operators() const {
  std::set<std::string> keys;
  if (trace_error_.empty()) collect_operators(traced_->program, traced_->program.body, keys);
  return keys;
}

std::string Trial::failure(int opset) const {
  const auto refusal = case_.refuses.at(opset);
  if (!trace_error_.empty()) {
    const bool refused = refusal && trace_error_.find(*refusal) != std::string::npos;
    return refused ? "" : trace_error_;
  }
  const Program& program = traced_->program;
  lowering::Result lowered = lowering::lower(program, {opset});
  if (refusal) {
    for (const lowering::UnsupportedOp& op : lowered.unsupported)
      if (op.reason.find(*refusal) != std::string::npos) return "";
    return "not refused because of: " + *refusal + "\n" +
           lowering::describe(lowered.unsupported, program);
  }
  if (!lowered.unsupported.empty()) return lowering::describe(lowered.unsupported, program);
  graph::run_passes(lowered.graph, program);
  graph::assign_names(lowered.graph, program);
  graph::verify(lowered.graph, program, "naming");
  const std::string path = folder_ + "/case.onnx";
  onnx::ModelWriter(path, program, onnx::WeightMode::embed).write(lowered.graph, {});

  std::string failure = check_op_types(case_, lowered.graph, opset);
  if (const std::string text = onnx::check_model(path); !text.empty())
    failure += "onnx's checker: " + text + "\n";
  const runtime::Session session(path, {});
  for (const Run& run : runs_of(case_)) {
    std::vector<HostValue> inputs = make_inputs(case_, run.size_set, seed_of(case_) + run.seed);
    for (HostValue& input : inputs) {
      for (HostTensor& tensor : input.tensors) tensor = as_pairs(std::move(tensor));
    }
    const std::string text =
        compare_outputs(case_, program, traced_->module.run(inputs), session.run(inputs));
    if (!text.empty()) failure += fmt::format("with {}:\n{}", run.name, text);
  }
  return failure;
}

std::string Trial::at_opset(int opset) const {
  std::string text;
  try {
    text = failure(opset);
  } catch (const std::exception& error) {
    text = error.what();
  }
  const auto reason = case_.xfail.at(opset);
  if (!reason) return text;
  return text.empty() ? "passes, though expected to fail: " + *reason : "";
}

}  // namespace modelexport::ops_test
