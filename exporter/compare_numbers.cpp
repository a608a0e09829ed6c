#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "exporter/error.h"
#include "exporter/export.h"
#include "exporter/onnx/tensor_bytes.h"
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

double range_of(const HostTensor& tensor) {
  float low = 0, high = 0;  // scales are chosen so that zero is among the steps
  for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, tensor.bytes.data() + at, sizeof(value));
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return double{high} - low;
}

// What an output may differ by. Where a real number lies in the middle between two steps of a
// scale, LibTorch and ONNX Runtime may take different ones.
struct Step {
  double size = 0;  // 0: none, as in modules that quantise nothing
  std::string reason;
};

class QuantizationSteps {
 public:
  explicit QuantizationSteps(const Program& program) : program_(program) { visit(program.body); }

  // By the scale that the output has, or else that of 7 bits for its own range.
  Step of(size_t output, const HostTensor& expected) const {
    const bool has_any = quantizes_ && output < program_.outputs.size();
    if (!has_any || expected.dtype != DType::f32) return {};
    const auto own = scales_.find(program_.outputs[output].value);
    const bool is_known = own != scales_.end();
    const double size = is_known ? own->second : range_of(expected) / 127;
    return {size,
            fmt::format("{:.3g}, one quantisation step ({})", size,
                        is_known ? "its scale" : "its scale is not known: 1/127 of its range")};
  }

 private:
  void visit(const Block& block) {
    for (const Op& op : block.ops) {
      const std::string& key = program_.schemas[op.schema].key;
      quantizes_ |= key.starts_with("quantized_decomposed::quantize");
      if (key == "quantized_decomposed::dequantize_per_tensor") {
        if (const auto scale = known_scale(op.arguments.at(1))) scales_[op.outputs[0]] = *scale;
      }
      const auto* from = op.arguments.empty() ? nullptr : std::get_if<ValueRef>(&op.arguments[0]);
      if (key.starts_with("aten::dequantize.") && from && scales_.contains(from->id))
        scales_[op.outputs[0]] = scales_[from->id];
      for (const Block& inner : op.blocks) visit(inner);
    }
  }

  // A number, or a buffer that holds one.
  std::optional<double> known_scale(const Argument& argument) const {
    if (const auto* number = std::get_if<double>(&argument)) return *number;
    const auto* ref = std::get_if<ValueRef>(&argument);
    const TensorId id = ref ? program_.values[ref->id].constant : kNone;
    if (id == kNone || program_.tensors[id].dtype != DType::f32) return std::nullopt;
    const Tensor& tensor = program_.tensors[id];
    if (tensor.element_count() != 1) return std::nullopt;
    float scale;
    std::memcpy(&scale, onnx::contiguous_bytes(program_, tensor).data(), sizeof(scale));
    return scale;
  }

  const Program& program_;
  bool quantizes_ = false;
  std::unordered_map<ValueId, double> scales_;  // of what is dequantised by a known one
};

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
        allow_step(difference, steps_.of(positions[i], wanted[i].tensors[0]), wanted[i].tensors[0],
                   found[i].tensors[0]);
        break;
      }
    }
    return differences;
  }

  static void allow_step(analysis::Difference& difference, const Step& step,
                         const HostTensor& expected, const HostTensor& found) {
    if (step.size == 0) return;
    const double atol = step.size * 1.001;  // and what rounding adds
    difference = analysis::compare(expected, found, {.atol = atol});
    difference.name = expected.name;
    difference.allowed = step.reason;
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
