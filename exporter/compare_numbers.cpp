#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/export.h"
#include "exporter/runtime/session.h"

namespace modelexport {
namespace {

constexpr size_t kOtherSizes = 3;

// Sizes to try, by symbol. What the examples differ by is a change that the module takes; several
// times that keeps sums of sizes right. The others change one symbol at a time.
std::vector<std::vector<int64_t>> other_sizes(const Program& program, size_t examples) {
  std::vector<std::vector<int64_t>> tries;
  const auto add = [&](auto size_of) {
    std::vector<int64_t> sizes;
    for (const Symbol& symbol : program.symbols)
      sizes.push_back(std::max<int64_t>(1, size_of(symbol)));
    if (std::find(tries.begin(), tries.end(), sizes) == tries.end())
      tries.push_back(std::move(sizes));
  };
  const auto along = [&](size_t example, int64_t times) {
    add([&](const Symbol& s) { return s.sizes[0] + (s.sizes[example] - s.sizes[0]) * times; });
  };
  along(1, 2);
  if (!program.symbols.empty()) {
    add([&](const Symbol& s) { return &s == &program.symbols.front() ? 1 : s.sizes[1]; });
    add([&](const Symbol& s) { return &s == &program.symbols.front() ? s.sizes[1] : s.sizes[0]; });
  }
  for (const int64_t times : {3, -1, 4, 5}) along(1, times);
  if (examples > 2) along(2, 2);
  return tries;
}

class NumberComparison {
 public:
  NumberComparison(const frontend::LiveModule& module, const std::string& onnx_path,
                   const std::string& runtime)
      : module_(module), session_(onnx_path, {.library = runtime}) {}

  void compare(std::vector<HostValue> inputs) { compare(inputs, module_.run(inputs)); }

  // Inputs that the module may not take: false if it raises.
  bool try_compare(const std::vector<HostValue>& inputs) {
    std::vector<HostValue> expected;
    try {
      expected = module_.run(inputs);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage) throw;
      return false;
    }
    compare(inputs, expected);
    return true;
  }

  std::vector<NumericRun> take() { return std::move(runs_); }

 private:
  void compare(const std::vector<HostValue>& inputs, const std::vector<HostValue>& expected) {
    runs_.push_back(
        {describe_inputs(inputs), analysis::compare(expected, session_.run(named(inputs)), {})});
  }

  // Another exporter's file may call the inputs differently.
  std::vector<HostValue> named(std::vector<HostValue> inputs) const {
    const auto& ports = session_.inputs();
    const bool all_known = std::all_of(ports.begin(), ports.end(), [&](const auto& port) {
      return std::any_of(inputs.begin(), inputs.end(),
                         [&](const HostValue& input) { return input.name == port.name; });
    });
    if (all_known || ports.size() != inputs.size()) return inputs;
    for (size_t i = 0; i < ports.size(); ++i) inputs[i].name = ports[i].name;
    return inputs;
  }

  const frontend::LiveModule& module_;
  runtime::Session session_;
  std::vector<NumericRun> runs_;
};

}  // namespace

std::string describe_inputs(const std::vector<HostValue>& inputs) {
  std::vector<std::string> parts;
  for (const HostValue& input : inputs) {
    for (const HostTensor& tensor : input.tensors) {
      parts.push_back(
          fmt::format("{} {} [{}]", input.name, name(tensor.dtype), fmt::join(tensor.dims, ", ")));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<NumericRun> compare_numbers(const frontend::LiveModule& module, const Program& program,
                                        const std::string& onnx_path, const std::string& runtime) {
  NumberComparison comparison(module, onnx_path, runtime);
  for (size_t i = 0; i < module.example_count(); ++i) comparison.compare(module.example(i));
  const bool is_dynamic = module.example_count() > 1 && !program.symbols.empty();
  if (!is_dynamic) return comparison.take();
  size_t left = kOtherSizes;
  uint64_t seed = 1000;
  for (const std::vector<int64_t>& sizes : other_sizes(program, module.example_count())) {
    if (left == 0) break;
    if (comparison.try_compare(module.make_inputs(program, sizes, ++seed))) --left;
  }
  return comparison.take();
}

}  // namespace modelexport
