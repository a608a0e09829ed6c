// Quantised tensors, made explicit here and nowhere else. In the program they are their integers;
// what an operator computes from them it computes from real numbers, between operators that say so:
//
//   %5: float32 = quantized_decomposed::dequantize_per_tensor(%4, 0.1, 3, 0, 255, 0)
//   %6: float32 = aten::relu(%5)
//   %7: uint8 = quantized_decomposed::quantize_per_tensor(%6, 0.1, 3, 0, 255, 0)
//
// Operators that only move elements about work on the integers.
#include "exporter/frontend/quantization.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <limits>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

bool is_quantized(const at::Tensor& tensor) { return tensor.defined() && tensor.is_quantized(); }

void collect_cells(const Val& val, std::vector<std::shared_ptr<TensorCell>>& cells) {
  if (const auto* cell = get_if<TensorCell>(val)) cells.push_back(*cell);
  if (const auto* list = get_if<ListVal>(val)) {
    for (const Val& element : (*list)->elements) collect_cells(element, cells);
  }
  if (const auto* tuple = get_if<TupleVal>(val)) {
    for (const Val& element : (*tuple)->elements) collect_cells(element, cells);
  }
}

std::pair<int64_t, int64_t> range_of(DType dtype) {
  if (dtype == DType::u8) return {0, 255};
  if (dtype == DType::i8) return {-128, 127};
  return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
}

bool is_constant(const Quantization& quantization) {
  return std::holds_alternative<double>(quantization.scale) || quantization.axis >= 0;
}

}  // namespace

std::vector<std::shared_ptr<TensorCell>> quantized_cells(const std::vector<Val>& vals) {
  std::vector<std::shared_ptr<TensorCell>> cells;
  for (const Val& val : vals) collect_cells(val, cells);
  std::erase_if(cells, [](const auto& cell) { return !is_quantized(cell->lanes[0]); });
  return cells;
}

bool look_alike(const at::Tensor& a, const at::Tensor& b) {
  if (a.qscheme() != b.qscheme()) return false;
  if (a.qscheme() == at::kPerTensorAffine) {
    return a.q_scale() == b.q_scale() && a.q_zero_point() == b.q_zero_point();
  }
  return a.q_per_channel_axis() == b.q_per_channel_axis() &&
         at::equal(a.q_per_channel_scales(), b.q_per_channel_scales()) &&
         at::equal(a.q_per_channel_zero_points(), b.q_per_channel_zero_points());
}

const c10::FunctionSchema& schema_of(const std::string& key) {
  const size_t dot = key.find('.');
  const std::string overload = dot == std::string::npos ? "" : key.substr(dot + 1);
  const auto symbol = c10::Symbol::fromQualString(key.substr(0, dot));
  for (const auto& op : torch::jit::getAllOperatorsFor(symbol)) {
    if (op->schema().overload_name() == overload) return op->schema();
  }
  throw Error(ErrorKind::internal, "LibTorch has no operator " + key);
}

// ---- scales and zero points ---------------------------------------------------------------------

std::shared_ptr<const Quantization> Interpreter::quantization_of(const at::Tensor& tensor) {
  auto result = std::make_shared<Quantization>();
  if (tensor.qscheme() == at::kPerTensorAffine) {
    result->scale = tensor.q_scale();
    result->zero_point = tensor.q_zero_point();
    return result;
  }
  const bool real_zero_points = tensor.qscheme() == at::kPerChannelAffineFloatQParams;
  const auto constant = [&](const at::Tensor& contents) {
    const ValueId value = recorder_.tensor_value({contents});
    recorder_.set_constant(value, contents);
    return ValueRef{value};
  };
  result->scale = constant(tensor.q_per_channel_scales().to(at::kFloat));
  result->zero_point = constant(tensor.q_per_channel_zero_points().to(
      real_zero_points ? at::kFloat : c10::toUnderlying(tensor.scalar_type())));
  result->axis = tensor.q_per_channel_axis();
  return result;
}

// Those that the operator is given; else those of the input that it keeps; else fixed ones.
std::shared_ptr<const Quantization> Interpreter::quantization_of_result(
    const c10::FunctionSchema& schema, const std::vector<Val>& inputs, const TensorCell& result) {
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"output_scale", "output_zero_point"},
      {"Y_scale_i", "Y_zero_point_i"},
      {"scale", "zero_point"},
      {"scales", "zero_points"}};
  const at::Tensor& tensor = result.lanes[0];
  for (const auto& [scale, zero_point] : kNames) {
    const auto at_scale = schema.argumentIndexWithName(scale);
    const auto at_zero_point = schema.argumentIndexWithName(zero_point);
    if (!at_scale || !at_zero_point) continue;
    if (is_none(inputs.at(*at_scale))) continue;
    const bool by_channel = tensor.qscheme() != at::kPerTensorAffine;
    return std::make_shared<Quantization>(
        Quantization{argument(inputs[*at_scale]), argument(inputs.at(*at_zero_point)),
                     by_channel ? tensor.q_per_channel_axis() : -1});
  }
  if (schema.name() == "aten::quantize_per_tensor_dynamic") {
    return std::make_shared<Quantization>(dynamic_quantization(inputs, tensor.scalar_type()));
  }
  const auto cells = quantized_cells(inputs);
  for (const auto& cell : cells) {
    bool alike = true;
    for (size_t lane = 0; lane < result.lanes.size() && alike; ++lane) {
      alike = look_alike(result.lanes[lane], cell->lanes[lane]);
    }
    if (alike) return quantization(*cell);
  }
  const auto fixed = [&](const auto& cell) { return is_constant(*quantization(*cell)); };
  if (!cells.empty() && std::all_of(cells.begin(), cells.end(), fixed)) {
    return quantization_of(tensor);
  }
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: the scale of its result depends on the inputs", schema.name()));
}

const std::shared_ptr<const Quantization>& Interpreter::quantization(const TensorCell& cell) {
  if (!cell.quantization) {
    throw Error(ErrorKind::unsupported,
                "a quantised tensor whose scale depends on the path that the module takes");
  }
  return cell.quantization;
}

// ---- between integers and real numbers ----------------------------------------------------------

ValueId Interpreter::real_value(ValueId like) {
  recorder_.program().values.push_back(
      {.dtype = DType::f32, .shape = recorder_.program().values[like].shape});
  return static_cast<ValueId>(recorder_.program().values.size() - 1);
}

void Interpreter::emit_conversion(bool quantize, ValueId from, const Quantization& quantization,
                                  ValueId to) {
  const DType dtype = recorder_.program().values[quantize ? to : from].dtype;
  const auto [low, high] = range_of(dtype);
  const bool by_channel = quantization.axis >= 0;
  std::vector<std::string> names = {"input"};
  std::vector<Argument> arguments = {ValueRef{from}, quantization.scale, quantization.zero_point};
  for (const char* name : {"scale", "zero_point"}) {
    names.push_back(by_channel ? std::string(name) + "s" : name);
  }
  if (by_channel) {
    names.push_back("axis");
    arguments.emplace_back(quantization.axis);
  }
  names.insert(names.end(), {"quant_min", "quant_max", "dtype"});
  arguments.insert(arguments.end(), {low, high, static_cast<int64_t>(scalar_type_of(dtype))});
  const std::string key =
      fmt::format("quantized_decomposed::{}_per_{}", quantize ? "quantize" : "dequantize",
                  by_channel ? "channel" : "tensor");
  recorder_.emit({recorder_.schema(key, names), std::move(arguments), {to}, origin_, {}});
}

ValueId Interpreter::dequantized(const std::shared_ptr<TensorCell>& cell) {
  const ValueId integers = current(cell);
  const ValueId real = real_value(integers);
  emit_conversion(false, integers, *quantization(*cell), real);
  return real;
}

// What `op` computes as real numbers becomes the integers of those of its results that are
// quantised.
void Interpreter::emit_quantizing(Op op, const Quantizations& results,
                                  const std::function<void(Op)>& emit) {
  std::vector<std::pair<ValueId, ValueId>> pairs;
  for (ValueId& output : op.outputs) {
    if (!results.contains(output)) continue;
    pairs.emplace_back(real_value(output), output);
    output = pairs.back().first;
  }
  emit(std::move(op));
  for (const auto& [real, integers] : pairs) {
    emit_conversion(true, real, *results.at(integers), integers);
  }
}

// ---- ranges at run time
// --------------------------------------------------------------------------

// Scale and zero point from the range of a tensor's elements, at run time.
Quantization Interpreter::choose_quantization(const Argument& real, bool reduce_range) {
  auto& values = recorder_.program().values;
  values.push_back({.dtype = DType::f64, .is_number = true});
  values.push_back({.dtype = DType::i64, .is_number = true});
  const auto scale = static_cast<ValueId>(values.size() - 2);
  recorder_.emit({recorder_.schema(schema_of("aten::_choose_qparams_per_tensor")),
                  {real, reduce_range},
                  {scale, scale + 1},
                  origin_,
                  {}});
  return {ValueRef{scale}, ValueRef{scale + 1}};
}

Quantization Interpreter::dynamic_quantization(const std::vector<Val>& inputs,
                                               c10::ScalarType type) {
  Quantization result = choose_quantization(argument(inputs.at(0)), known(inputs.at(2))->toBool());
  if (type == at::kQUInt8) return result;
  if (type != at::kQInt8) {
    throw Error(ErrorKind::unsupported,
                "aten::quantize_per_tensor_dynamic: only to 8 bits, not to float16");
  }
  recorder_.program().values.push_back({.dtype = DType::i64, .is_number = true});
  const auto zero_point = static_cast<ValueId>(recorder_.program().values.size() - 1);
  recorder_.emit({recorder_.schema(schema_of("aten::sub.int")),
                  {result.zero_point, int64_t{128}},
                  {zero_point},
                  origin_,
                  {}});
  result.zero_point = ValueRef{zero_point};
  return result;
}

void Interpreter::emit_round_trip(ValueId from, const Quantization& quantization, ValueId to) {
  const ValueId integers = real_value(from);
  recorder_.program().values[integers].dtype = DType::u8;
  emit_conversion(true, from, quantization, integers);
  emit_conversion(false, integers, quantization, to);
}

Argument Interpreter::round_trip(const Val& val, bool reduce_range) {
  const Argument real = argument(val);
  const ValueId from = std::get<ValueRef>(real).id;
  const ValueId to = real_value(from);
  chosen_ = choose_quantization(real, reduce_range);
  emit_round_trip(from, chosen_, to);
  return ValueRef{to};
}

}  // namespace modelexport::frontend
