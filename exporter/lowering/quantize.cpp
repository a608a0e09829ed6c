// Between real numbers and the integers that stand for them. The frontend records what operators on
// quantised tensors compute as operators on real numbers between these.
#include "exporter/lowering/quantize.h"

#include <limits>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linear.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/side_results.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

struct Scale {
  V scale, zero_point;    // float32, and of the integers' type
  Attributes attributes;  // the axis
};

Scale scale_of(Call& c, DType integers) {
  c.ignore({"quant_min", "quant_max", "dtype"});
  return {c.tensor("scale", DType::f32), c.tensor("zero_point", integers), {}};
}

Scale scales_of(Call& c, V input, DType integers) {
  c.ignore({"quant_min", "quant_max", "dtype"});
  return {c.tensor("scales", DType::f32),
          c.tensor("zero_points", integers),
          {attr("axis", c.axis("axis", c.rank(input)))}};
}

// ONNX has quantisation to 8 bits; to 32 it is spelled out.
V quantize(Call& c, V x, const Scale& to) {
  x = c.cast(x, DType::f32);
  if (c.out_dtype() != DType::i32) {
    return c.node("QuantizeLinear", {x, to.scale, to.zero_point}, to.attributes);
  }
  if (!to.attributes.empty()) throw Unsupported{"quantisation to 32 bits by channel"};
  const Expr steps = round(Expr(c, x) / Expr(c, to.scale));
  const Expr moved = cast(steps, DType::f64) + Expr(c, c.cast(to.zero_point, DType::f64));
  const double lowest = std::numeric_limits<int32_t>::min();
  const double highest = std::numeric_limits<int32_t>::max();
  return c.cast(minimum(maximum(moved, Expr(lowest)), Expr(highest)), DType::i32);
}

V dequantize(Call& c, V x, const Scale& from, int64_t axis = -1) {
  if (c.dtype_of(x) != DType::i32) {
    const V real = c.node("DequantizeLinear", {x, from.scale, from.zero_point}, from.attributes);
    c.builder().set_dequantized(real, {x, from.scale, from.zero_point, axis});
    return real;
  }
  if (!from.attributes.empty()) throw Unsupported{"32 bits quantised by channel"};
  return Expr(c, c.cast(c.sub(x, from.zero_point), DType::f32)) * Expr(c, from.scale);
}

// quantized_decomposed::quantize_per_tensor(Tensor input, float scale, int zero_point,
//     int quant_min, int quant_max, ScalarType dtype) -> Tensor
V quantize_per_tensor(Call& c) {
  return quantize(c, c.tensor("input"), scale_of(c, c.out_dtype()));
}

// quantized_decomposed::quantize_per_channel(Tensor input, Tensor scales, Tensor zero_points,
//     int axis, int quant_min, int quant_max, ScalarType dtype) -> Tensor
V quantize_per_channel(Call& c) {
  const V input = c.tensor("input");
  return quantize(c, input, scales_of(c, input, c.out_dtype()));
}

// quantized_decomposed::dequantize_per_tensor(Tensor input, float scale, int zero_point,
//     int quant_min, int quant_max, ScalarType dtype) -> Tensor
V dequantize_per_tensor(Call& c) {
  const V input = c.tensor("input");
  return dequantize(c, input, scale_of(c, c.dtype_of(input)));
}

// quantized_decomposed::dequantize_per_channel(Tensor input, Tensor scales, Tensor zero_points,
//     int axis, int quant_min, int quant_max, ScalarType dtype) -> Tensor
V dequantize_per_channel(Call& c) {
  const V input = c.tensor("input");
  if (is_floating(c.dtype_of(c.tensor("zero_points"))))
    throw Unsupported{"zero points that are no integers"};
  const Scale scales = scales_of(c, input, c.dtype_of(input));
  return dequantize(c, input, scales, c.axis("axis", c.rank(input)));
}

// aten::quantize_per_tensor(Tensor self, float scale, int zero_point, ScalarType dtype) -> Tensor,
// aten::dequantize.self(Tensor self) -> Tensor and their kind: the operators beside them do it.
// aten::int_repr(Tensor self) -> Tensor: the program has the integers
template <OpType Name>
V as_it_is(Call& c) {
  ignore_all_but(c, {Name.view()});
  return c.tensor(Name.view());
}

struct Range {
  Expr scale, zero_point;  // float64
};

Range range_of(Call& c, V x, bool reduce_range) {
  constexpr double kSmallest = 6.1e-5F;  // LibTorch's least scale
  const Expr steps(reduce_range ? 127.0 : 255.0);
  const Expr low = minimum(Expr(c, c.cast(reduce(c, "ReduceMin", x, {}, false), DType::f64)), 0.0);
  const Expr high = maximum(Expr(c, c.cast(reduce(c, "ReduceMax", x, {}, false), DType::f64)), 0.0);
  const Expr exact = (high - low) / steps;
  const Expr is_zero = equal(exact, 0.0);
  return {where(is_zero, Expr(c, c.constant(0.1, DType::f64)), maximum(exact, kSmallest)),
          round(-low / where(is_zero, Expr(c, c.constant(1, DType::f64)), exact))};
}

// aten::_choose_qparams_per_tensor(Tensor self, bool reduce_range=False) -> (float, int)
std::vector<V> choose_qparams(Call& c) {
  const Range range = range_of(c, c.tensor("self", DType::f32), c.boolean("reduce_range"));
  return {range.scale, c.cast(range.zero_point, DType::i64)};
}

// ---- as if quantised: to integers and back ------------------------------------------------------

// By Q and DQ nodes, from which ONNX Runtime makes integer operators.
V there_and_back(Call& c, V scale, V zero_point, const Attributes& axis) {
  const int64_t low = c.integer("quant_min"), high = c.integer("quant_max");
  const DType dtype = low >= 0 ? DType::u8 : DType::i8;
  if (high - low > 255 || high > (low >= 0 ? 255 : 127) || low < -128)
    throw Unsupported{"more than 8 bits"};
  const V x = c.tensor("self", DType::f32);
  const V steps = c.cast(zero_point, dtype);
  V integers = c.typed(c.node("QuantizeLinear", {x, scale, steps}, axis), dtype);
  if (high - low < 255)
    integers = c.node("Clip", {integers, c.constant_int(low, dtype), c.constant_int(high, dtype)});
  return c.cast(c.node("DequantizeLinear", {integers, scale, steps}, axis), c.out_dtype());
}

// aten::fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min,
//     int quant_max) -> Tensor
// aten::fake_quantize_per_tensor_affine.tensor_qparams(Tensor self, Tensor scale,
//     Tensor zero_point, int quant_min, int quant_max) -> Tensor
V fake_quantize(Call& c) {
  return there_and_back(c, c.tensor("scale", DType::f32), c.tensor("zero_point"), {});
}

// aten::fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis,
//     int quant_min, int quant_max) -> Tensor
V fake_quantize_by_channel(Call& c) {
  const V zero_point = c.tensor("zero_point");
  if (is_floating(c.dtype_of(zero_point))) throw Unsupported{"zero points that are no integers"};
  return there_and_back(c, c.tensor("scale", DType::f32), zero_point,
                        {attr("axis", c.axis("axis", c.out_rank()))});
}

// aten::fake_quantize_per_tensor_affine_cachemask(Tensor self, float scale, int zero_point,
//     int quant_min, int quant_max) -> (Tensor output, Tensor mask)
std::vector<V> fake_quantize_with_mask(Call& c) {
  return {fake_quantize(c), unused_result(c, 1, "the mask for gradients")};
}

// aten::fake_quantize_per_channel_affine_cachemask(Tensor self, Tensor scale, Tensor zero_point,
//     int axis, int quant_min, int quant_max) -> (Tensor output, Tensor mask)
std::vector<V> fake_quantize_by_channel_with_mask(Call& c) {
  return {fake_quantize_by_channel(c), unused_result(c, 1, "the mask for gradients")};
}

// aten::_fake_quantize_learnable_per_tensor_affine(Tensor self, Tensor scale, Tensor zero_point,
//     int quant_min, int quant_max, float grad_factor=1.) -> Tensor
V fake_quantize_learnable(Call& c) {
  c.ignore({"grad_factor"});
  const Expr zero_point = round(Expr(c, c.tensor("zero_point", DType::f32)));
  const Expr low(static_cast<double>(c.integer("quant_min")));
  const Expr high(static_cast<double>(c.integer("quant_max")));
  return there_and_back(c, c.tensor("scale", DType::f32), minimum(maximum(zero_point, low), high),
                        {});
}

// ---- weights alone ------------------------------------------------------------------------------

// aten::_weight_int8pack_mm(Tensor self, Tensor mat2, Tensor scales) -> Tensor
V weight_int8pack_mm(Call& c) {
  const V scales = c.tensor("scales", DType::f32);
  const V weight = c.node("DequantizeLinear", {c.tensor("mat2"), scales}, {attr("axis", 0)});
  return c.cast(linear_layer(c, c.tensor("self", DType::f32), weight, kOmitted), c.out_dtype());
}

constexpr Row kRows[] = {
    {"aten::_choose_qparams_per_tensor", choose_qparams},
    {"aten::_fake_quantize_learnable_per_tensor_affine", fake_quantize_learnable},
    {"aten::_weight_int8pack_mm", weight_int8pack_mm},
    {"aten::dequantize.self", as_it_is<"self">},
    {"aten::dequantize.tensor", as_it_is<"qtensor">},
    {"aten::fake_quantize_per_channel_affine", fake_quantize_by_channel},
    {"aten::fake_quantize_per_channel_affine_cachemask", fake_quantize_by_channel_with_mask},
    {"aten::fake_quantize_per_tensor_affine", fake_quantize},
    {"aten::fake_quantize_per_tensor_affine.tensor_qparams", fake_quantize},
    {"aten::fake_quantize_per_tensor_affine_cachemask", fake_quantize_with_mask},
    {"aten::int_repr", as_it_is<"self">},
    {"aten::quantize_per_channel", as_it_is<"self">},
    {"aten::quantize_per_tensor", as_it_is<"self">},
    {"aten::quantize_per_tensor.tensor_qparams", as_it_is<"self">},
    {"aten::quantize_per_tensor_dynamic", as_it_is<"self">},
    {"quantized_decomposed::dequantize_per_channel", dequantize_per_channel},
    {"quantized_decomposed::dequantize_per_tensor", dequantize_per_tensor},
    {"quantized_decomposed::quantize_per_channel", quantize_per_channel},
    {"quantized_decomposed::quantize_per_tensor", quantize_per_tensor},
};

}  // namespace

Dequantized quantize_by_range(Call& c, V x, bool reduce_range) {
  const Range range = range_of(c, x, reduce_range);
  const V scale = c.cast(range.scale, DType::f32);
  const V zero_point = c.cast(range.zero_point, DType::u8);
  return {c.node("QuantizeLinear", {x, scale, zero_point}), scale, zero_point};
}

std::span<const Row> quantize_table() { return kRows; }

}  // namespace modelexport::lowering
