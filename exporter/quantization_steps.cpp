#include "exporter/quantization_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "exporter/onnx/tensor_bytes.h"

namespace modelexport {
namespace {

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

// A number, or a buffer that holds one.
std::optional<double> known_scale(const Program& program, const Argument& argument) {
  if (const auto* number = std::get_if<double>(&argument)) return *number;
  const auto* ref = std::get_if<ValueRef>(&argument);
  const TensorId id = ref ? program.values[ref->id].constant : kNone;
  if (id == kNone || program.tensors[id].dtype != DType::f32) return std::nullopt;
  const Tensor& tensor = program.tensors[id];
  if (tensor.element_count() != 1) return std::nullopt;
  float scale;
  std::memcpy(&scale, onnx::contiguous_bytes(program, tensor).data(), sizeof(scale));
  return scale;
}

void add_values(const ArgumentList& arguments, std::vector<ValueId>& values) {
  for (const Argument& argument : arguments) {
    if (const auto* ref = std::get_if<ValueRef>(&argument)) values.push_back(ref->id);
    if (const auto* list = std::get_if<ArgumentList>(&argument)) add_values(*list, values);
  }
}

void allow_steps(analysis::Difference& difference, double steps) {
  if (!difference.reason.starts_with("values") || difference.max_abs > steps) return;
  difference.matches = true;
  difference.mismatched = 0;
  difference.reason.clear();
  difference.allowed = steps == 1
                           ? "1, one quantisation step"
                           : fmt::format("{}, one quantisation step more than before", steps);
}

}  // namespace

void QuantizationSteps::allow(analysis::Difference& difference, ValueId value,
                              const HostTensor& expected, const HostTensor& found) const {
  if (difference.matches || !quantizes_) return;
  if (integers_.contains(value)) return allow_steps(difference, 1);
  const Step step = of(value, expected);
  if (step.size == 0) return;
  const std::string name = difference.name;
  const double atol = step.size * 1.001;  // and what rounding adds
  difference = analysis::compare(expected, found, {.atol = atol});
  difference.name = name;
  difference.allowed = step.reason;
}

void QuantizationSteps::allow_more(std::map<ValueId, analysis::Difference>& differences) const {
  Inherited inherited;
  for (auto& [value, difference] : differences) {
    if (!difference.matches && integers_.contains(value))
      allow_steps(difference, 1 + steps_before(value, differences, inherited));
  }
}

double QuantizationSteps::steps_before(ValueId value,
                                       const std::map<ValueId, analysis::Difference>& differences,
                                       Inherited& inherited) const {
  const auto [own, is_new] = inherited.try_emplace(value, 0);
  const auto operands = operands_.find(value);
  if (!is_new || operands == operands_.end()) return own->second;
  double steps = 0;
  for (const ValueId operand : operands->second) {
    const auto at = differences.find(operand);
    if (at == differences.end()) {
      steps += steps_before(operand, differences, inherited);
    } else if (integers_.contains(operand)) {
      steps += at->second.max_abs;
    }
  }
  return inherited[value] = steps;
}

QuantizationSteps::Step QuantizationSteps::of(ValueId value, const HostTensor& expected) const {
  if (expected.dtype != DType::f32) return {};
  const auto own = scales_.find(value);
  const bool is_known = own != scales_.end();
  const double size = is_known ? own->second : range_of(expected) / 127;
  return {size, fmt::format("{:.3g}, one quantisation step ({})", size,
                            is_known ? "its scale" : "its scale is not known: 1/127 of its range")};
}

void QuantizationSteps::visit(const Block& block) {
  for (const Op& op : block.ops) {
    const std::string& key = program_.schemas[op.schema].key;
    const bool quantizes = key.starts_with("quantized_decomposed::quantize");
    quantizes_ |= quantizes;
    std::vector<ValueId> operands;
    add_values(op.arguments, operands);
    const bool reads_integers =
        std::ranges::any_of(operands, [&](ValueId operand) { return integers_.contains(operand); });
    for (const ValueId output : op.outputs) {
      if (output == kNone) continue;
      operands_[output] = operands;
      const DType dtype = program_.values[output].dtype;
      if (quantizes || (reads_integers && (dtype == DType::u8 || dtype == DType::i8)))
        integers_.insert(output);
    }
    if (key == "quantized_decomposed::dequantize_per_tensor") {
      if (const auto scale = known_scale(program_, op.arguments.at(1)))
        scales_[op.outputs[0]] = *scale;
    }
    const auto* from = op.arguments.empty() ? nullptr : std::get_if<ValueRef>(&op.arguments[0]);
    if (key.starts_with("aten::dequantize.") && from && scales_.contains(from->id))
      scales_[op.outputs[0]] = scales_[from->id];
    for (const Block& inner : op.blocks) visit(inner);
  }
}

}  // namespace modelexport
