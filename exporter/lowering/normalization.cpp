// Normalisation over features: layer, group, instance and RMS. Batch statistics are in
// batch_normalization.cpp.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- layer
// ---------------------------------------------------------------------------------------

// The axes that `normalized_shape` names: the last ones.
std::vector<int64_t> normalized_axes(Call& c, V x) {
  const int64_t count = static_cast<int64_t>(c.dims("normalized_shape").size());
  return axes_from(c.rank(x) - count, count);
}

// The weights may be wider than the input; ONNX computes in one dtype.
struct LayerNorm {
  V x, weight, bias;
  std::vector<int64_t> axes;
};

LayerNorm read_layer_norm(Call& c) {
  LayerNorm norm{c.tensor("input"), c.optional_tensor("weight"), c.optional_tensor("bias")};
  norm.axes = normalized_axes(c, norm.x);
  DType dtype = c.dtype_of(norm.x);
  if (norm.weight != kOmitted && c.dtype_of(norm.weight) != dtype) dtype = DType::f32;
  norm.x = c.cast(norm.x, dtype);
  if (norm.weight == kOmitted) {
    norm.weight = filled_with(c, 1, dtype, c.dims("normalized_shape"));
  } else {
    norm.weight = c.cast(norm.weight, dtype);
  }
  if (norm.bias != kOmitted) norm.bias = c.cast(norm.bias, dtype);
  return norm;
}

Attributes layer_norm_attributes(const LayerNorm& norm, double eps) {
  return {attr("axis", -static_cast<int64_t>(norm.axes.size())), attr("epsilon", eps)};
}

// aten::layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None,
//   Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor
V layer_norm(Call& c) {
  c.ignore({"cudnn_enable"});
  const LayerNorm norm = read_layer_norm(c);
  const V y = run(c, "LayerNormalization", {norm.x, norm.weight, norm.bias},
                  layer_norm_attributes(norm, c.number("eps")));
  return c.cast(y, c.out_dtype());
}

// Mean and reciprocal standard deviation over `axes`, which stay as dimensions of size 1.
struct Statistics {
  Expr mean, reciprocal_deviation;
};

Statistics statistics(Call& c, V x, const std::vector<int64_t>& axes, double eps) {
  const Expr value = cast(Expr(c, x), compute_dtype(c.dtype_of(x)));
  const Expr mean(c, reduce(c, "ReduceMean", value, axes, true));
  const Expr centred = value - mean;
  const Expr variance(c, reduce(c, "ReduceMean", centred * centred, axes, true));
  return {mean, apply("Reciprocal", sqrt(variance + eps))};
}

// aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias,
//   float eps) -> (Tensor, Tensor, Tensor)
std::vector<V> native_layer_norm(Call& c) {
  const LayerNorm norm = read_layer_norm(c);
  const double eps = c.number("eps");
  const V y = run(c, "LayerNormalization", {norm.x, norm.weight, norm.bias},
                  layer_norm_attributes(norm, eps));
  if (!c.output_used(1) && !c.output_used(2)) return {c.cast(y, c.out_dtype()), kOmitted, kOmitted};
  const auto [mean, deviation] = statistics(c, norm.x, norm.axes, eps);
  return {c.cast(y, c.out_dtype()), cast(mean, c.out_dtype(1)), cast(deviation, c.out_dtype(2))};
}

// ---- RMS
// -----------------------------------------------------------------------------------------

// Without eps, it is the smallest one of the dtype that PyTorch computes in.
double rms_epsilon(Call& c) {
  const bool is_double = c.out_dtype() == DType::f64;
  return c.optional_number("eps").value_or(is_double ? std::numeric_limits<double>::epsilon()
                                                     : std::numeric_limits<float>::epsilon());
}

struct RmsNorm {
  Expr y, reciprocal;
};

RmsNorm decomposed_rms_norm(Call& c, V input, V weight, double eps) {
  const std::vector<int64_t> axes = normalized_axes(c, input);
  const Expr x = cast(Expr(c, input), compute_dtype(c.out_dtype()));
  const Expr mean(c, reduce(c, "ReduceMean", x * x, axes, true));
  const Expr reciprocal = apply("Reciprocal", sqrt(mean + eps));
  const Expr y = x * reciprocal;
  return {weight == kOmitted ? y : y * cast(Expr(c, weight), y.dtype()), reciprocal};
}

// aten::rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float? eps=None)
//   -> Tensor
V rms_norm(Call& c) {
  const V x = c.tensor("input"), weight = c.optional_tensor("weight");
  const double eps = rms_epsilon(c);
  const bool same = weight == kOmitted || c.dtype_of(weight) == c.dtype_of(x);
  if (c.opset() < 23 || !same || c.out_dtype() == DType::f64)
    return result(c, decomposed_rms_norm(c, x, weight, eps).y);
  const Shape dims = c.dims("normalized_shape");
  const V scale = weight == kOmitted ? filled_with(c, 1, c.dtype_of(x), dims) : weight;
  return run(c, "RMSNormalization", {x, scale},
             {attr("axis", -static_cast<int64_t>(dims.size())), attr("epsilon", eps)});
}

// aten::_fused_rms_norm(Tensor input, int[] normalized_shape, Tensor? weight, float? eps)
//   -> (Tensor, Tensor)
std::vector<V> fused_rms_norm(Call& c) {
  const V x = c.tensor("input"), weight = c.optional_tensor("weight");
  const RmsNorm norm = decomposed_rms_norm(c, x, weight, rms_epsilon(c));
  return {result(c, norm.y), cast(norm.reciprocal, c.out_dtype(1))};
}

// ---- group and instance
// ----------------------------------------------------------------------------

// y * weight + bias along axis 1, in the dtype of y.
V scale_channels(Call& c, V y, V weight, V bias, int64_t rank) {
  const std::vector<int64_t> axes = axes_from(1, rank - 2);
  const DType dtype = c.dtype_of(y);
  if (weight != kOmitted) y = run(c, "Mul", {y, c.unsqueeze(c.cast(weight, dtype), axes)});
  if (bias != kOmitted) y = run(c, "Add", {y, c.unsqueeze(c.cast(bias, dtype), axes)});
  return y;
}

struct GroupNorm {
  V x, weight, bias;
  int64_t groups;
  double eps;
};

// GroupNormalization applies weight and bias per channel from opset 21 on, before that per group.
V emit(Call& c, const GroupNorm& norm) {
  const DType dtype = c.dtype_of(norm.x);
  const Shape shape = c.shape(norm.x);
  const int64_t rank = static_cast<int64_t>(shape.size());
  if (c.opset() >= 21 && rank > 2) {
    const V weight = norm.weight == kOmitted ? filled_with(c, 1, dtype, {shape[1]}) : norm.weight;
    const V bias = norm.bias == kOmitted ? filled_with(c, 0, dtype, {shape[1]}) : norm.bias;
    return run(c, "GroupNormalization", {norm.x, c.cast(weight, dtype), c.cast(bias, dtype)},
               {attr("num_groups", norm.groups), attr("epsilon", norm.eps)});
  }
  const V grouped = c.reshape_to(norm.x, c.constant_ints({0, norm.groups, -1}));
  const V y = run(
      c, "InstanceNormalization",
      {grouped, filled_with(c, 1, dtype, {norm.groups}), filled_with(c, 0, dtype, {norm.groups})},
      {attr("epsilon", norm.eps)});
  return scale_channels(c, c.reshape(y, shape), norm.weight, norm.bias, rank);
}

// aten::group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None,
//   float eps=1e-05, bool cudnn_enabled=True) -> Tensor
V group_norm(Call& c) {
  c.ignore({"cudnn_enabled"});
  return emit(c, {c.tensor("input"), c.optional_tensor("weight"), c.optional_tensor("bias"),
                  c.integer("num_groups"), c.number("eps")});
}

// aten::native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, SymInt C,
//   SymInt HxW, int group, float eps) -> (Tensor, Tensor, Tensor)
std::vector<V> native_group_norm(Call& c) {
  c.ignore({"N", "C", "HxW"});
  const GroupNorm norm{c.tensor("input"), c.optional_tensor("weight"), c.optional_tensor("bias"),
                       c.integer("group"), c.number("eps")};
  const V y = emit(c, norm);
  if (!c.output_used(1) && !c.output_used(2)) return {y, kOmitted, kOmitted};
  Shape split = c.shape(norm.x);  // [N, groups, C / groups, spatial...]
  if (!is_static(split[1])) throw Unsupported{"group statistics of a dynamic number of channels"};
  split[1] /= norm.groups;
  split.insert(split.begin() + 1, norm.groups);
  const std::vector<int64_t> axes = axes_from(2, static_cast<int64_t>(split.size()) - 2);
  const auto [mean, deviation] = statistics(c, c.reshape(norm.x, split), axes, norm.eps);
  return {y, c.squeeze(cast(mean, c.out_dtype(1)), axes),
          c.squeeze(cast(deviation, c.out_dtype(2)), axes)};
}

// ---- norms of weights
// ------------------------------------------------------------------------------

// |x|_p over all axes but `dim`, which keeps its place; over all of them if dim is -1.
Expr norm_except(Call& c, V value, Expr p, int64_t dim) {
  const Expr x = cast(Expr(c, value), compute_dtype(c.dtype_of(value)));
  std::vector<int64_t> axes = axes_from(0, c.rank(value));
  if (dim != -1) axes.erase(axes.begin() + dim);
  return vector_norm(x, p, axes, dim != -1);
}

// aten::norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor
V norm_except_dim(Call& c) {
  return result(c, norm_except(c, c.tensor("v"), number(c, "pow", DType::f32), c.integer("dim")));
}

// aten::_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor
V weight_norm(Call& c) {
  const V v = c.tensor("v");
  const Expr norm = norm_except(c, v, 2.0, c.integer("dim"));
  const Expr g = cast(Expr(c, c.tensor("g")), norm.dtype());
  return result(c, cast(Expr(c, v), norm.dtype()) * (g / norm));
}

// aten::_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)
std::vector<V> weight_norm_interface(Call& c) {
  const Expr norm = norm_except(c, c.tensor("v"), 2.0, c.axis("dim", c.rank(c.tensor("v"))));
  return {weight_norm(c), cast(norm, c.out_dtype(1))};
}

// aten::renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor
V renorm(Call& c) {
  const V self = c.tensor("self");
  const DType dtype = compute_dtype(c.dtype_of(self));
  const Expr p = number(c, "p", dtype), maximum_norm = number(c, "maxnorm", dtype);
  const Expr norm = norm_except(c, self, p, c.axis("dim", c.rank(self)));
  const Expr scale = where(norm > maximum_norm, maximum_norm / (norm + 1e-7), norm * 0 + 1);
  return result(c, cast(Expr(c, self), norm.dtype()) * scale);
}

constexpr Row kRows[] = {
    {"aten::_fused_rms_norm", fused_rms_norm},
    {"aten::_weight_norm", weight_norm},
    {"aten::_weight_norm_interface", weight_norm_interface},
    {"aten::group_norm", group_norm},
    {"aten::layer_norm", layer_norm},
    {"aten::native_group_norm", native_group_norm},
    {"aten::native_layer_norm", native_layer_norm},
    {"aten::norm_except_dim", norm_except_dim},
    {"aten::renorm", renorm},
    {"aten::rms_norm", rms_norm},
};

}  // namespace

std::span<const Row> normalization_table() {
  static const std::vector<Row> kAll = joined(kRows, batch_normalization_rows());
  return kAll;
}

}  // namespace modelexport::lowering
