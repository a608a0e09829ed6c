#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "exporter/error.h"
#include "exporter/export.h"
#include "exporter/quantization_steps.h"
#include "exporter/runtime/session.h"

namespace modelexport {
namespace {

constexpr size_t kOtherSizes = 3;
constexpr size_t kCallsInARow = 3;

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

template <class T>
std::string text_of(const HostTensor& tensor) {
  T value;
  std::memcpy(&value, tensor.bytes.data(), sizeof(value));
  return fmt::format("{}", value);
}

// What an int, float or bool is as an input.
std::optional<std::string> number_text(const HostTensor& tensor) {
  if (!tensor.dims.empty()) return std::nullopt;
  switch (tensor.dtype) {
    case DType::i64:
      return text_of<int64_t>(tensor);
    case DType::f64:
      return text_of<double>(tensor);
    case DType::boolean:
      return text_of<bool>(tensor);
    default:
      return std::nullopt;
  }
}

class NumberComparison {
 public:
  NumberComparison(const frontend::LiveModule& module, const Program& program,
                   const std::string& onnx_path, const std::string& runtime)
      : module_(module),
        program_(program),
        steps_(program),
        session_(onnx_path, {.library = runtime}) {}

  void compare(const std::vector<HostValue>& inputs) { compare(inputs, run(inputs)); }

  // Made-up inputs that the module may not take: false if it raises.
  bool try_compare(const std::vector<int64_t>& sizes, uint64_t seed) {
    std::vector<HostValue> inputs;
    Calls expected;
    try {
      inputs = module_.make_inputs(program_, sizes, seed);
      expected = run(inputs);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage) throw;
      return false;
    }
    compare(inputs, expected);
    return true;
  }

  std::vector<NumericRun> take() { return std::move(runs_); }

 private:
  using Calls = std::vector<std::vector<HostValue>>;  // the outputs of each

  // Once, or, for a file that takes the module's state in and gives it back, several times in a
  // row.
  Calls run(const std::vector<HostValue>& inputs) const {
    return module_.run_in_a_row(inputs, module_.state().empty() ? 1 : kCallsInARow);
  }

  void compare(const std::vector<HostValue>& inputs, const Calls& expected) {
    std::vector<HostValue> taken = named(inputs), state = module_.state();
    const size_t given = taken.size();
    for (size_t call = 0; call < expected.size(); ++call) {
      taken.resize(given);
      taken.insert(taken.end(), state.begin(), state.end());
      name_state(taken);
      const std::vector<HostValue> found = session_.run(taken);
      std::string text = describe_inputs(inputs);
      if (expected.size() > 1) text += fmt::format(", call {} of {}", call + 1, expected.size());
      runs_.push_back({std::move(text), differences(expected[call], found)});
      state.assign(found.end() - static_cast<ptrdiff_t>(std::min(found.size(), state.size())),
                   found.end());
    }
  }

  // State comes last, both in and out, in the same order.
  void name_state(std::vector<HostValue>& inputs) const {
    size_t next = inputs.size();
    for (auto port = program_.inputs.rbegin(); port != program_.inputs.rend() && next > 0; ++port) {
      if (!port->state.empty()) inputs[--next].name = port->name;
    }
  }

  std::vector<analysis::Difference> differences(const std::vector<HostValue>& expected,
                                                const std::vector<HostValue>& found) const {
    const std::vector<size_t> positions = positions_in_file(expected.size());
    std::vector<HostValue> wanted;
    for (const size_t position : positions) wanted.push_back(expected[position]);
    const size_t pairs = std::min(wanted.size(), found.size());
    for (size_t i = 0; i < pairs; ++i) wanted[i].name = found[i].name;  // the module's have none
    auto differences = analysis::compare(wanted, found, {});
    for (analysis::Difference& difference : differences) {
      for (size_t i = 0; i < pairs && !difference.matches; ++i) {
        if (wanted[i].is_sequence || found[i].is_sequence || wanted[i].name != difference.name)
          continue;
        if (positions[i] < program_.outputs.size()) {
          steps_.allow(difference, program_.outputs[positions[i]].value, wanted[i].tensors[0],
                       found[i].tensors[0]);
        }
        break;
      }
    }
    return differences;
  }

  // Of the module's `count` outputs, those that the file has, where it lacks some (--on-unsupported
  // skip).
  std::vector<size_t> positions_in_file(size_t count) const {
    std::vector<size_t> all(count), kept;
    std::iota(all.begin(), all.end(), size_t{0});
    if (session_.outputs().size() >= count) return all;
    for (const runtime::PortInfo& output : session_.outputs()) {
      const auto port =
          std::find_if(program_.outputs.begin(), program_.outputs.end(),
                       [&](const Port& candidate) { return candidate.name == output.name; });
      if (port == program_.outputs.end() || port->position >= count) return all;
      kept.push_back(port->position);
    }
    return kept;
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
  const Program& program_;
  const QuantizationSteps steps_;
  runtime::Session session_;
  std::vector<NumericRun> runs_;
};

}  // namespace

std::string describe_inputs(const std::vector<HostValue>& inputs) {
  std::vector<std::string> parts;
  for (const HostValue& input : inputs) {
    for (const HostTensor& tensor : input.tensors) {
      if (const auto number = number_text(tensor)) {
        parts.push_back(fmt::format("{}={}", input.name, *number));
        continue;
      }
      parts.push_back(
          fmt::format("{} {} [{}]", input.name, name(tensor.dtype), fmt::join(tensor.dims, ", ")));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<NumericRun> compare_numbers(const frontend::LiveModule& module, const Program& program,
                                        const std::string& onnx_path, const std::string& runtime) {
  NumberComparison comparison(module, program, onnx_path, runtime);
  for (size_t i = 0; i < module.example_count(); ++i) comparison.compare(module.example(i));
  const auto is_number = [&](const Port& port) { return program.values[port.value].is_number; };
  const bool varies = !program.symbols.empty() || std::ranges::any_of(program.inputs, is_number);
  if (module.example_count() == 1 || !varies) return comparison.take();
  size_t left = kOtherSizes;
  uint64_t seed = 1000;
  for (const std::vector<int64_t>& sizes : other_sizes(program, module.example_count())) {
    if (left == 0) break;
    if (comparison.try_compare(sizes, ++seed)) --left;
  }
  return comparison.take();
}

}  // namespace modelexport
