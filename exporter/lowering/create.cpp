// Tensors made from sizes and numbers. Those of known sizes and contents never come here (the
// frontend has evaluated them); these depend on the inputs' sizes or values.
#include <cmath>
#include <string>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/promotion.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

void ignore_options(Call& c) { c.ignore({"dtype", "layout", "device", "pin_memory"}); }

// A number broadcast to the argument `size`.
V filled_to_size(Call& c, V value) {
  if (is_static(c.out_shape())) {
    c.ignore({"size"});
    return filled(c, value);
  }
  return c.typed(run(c, "Expand", {value, c.int_list("size")}), c.out_dtype(), c.out_shape());
}

// aten::full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None...) -> Tensor
// aten::new_full(Tensor self, SymInt[] size, Scalar fill_value, *,
//    ScalarType? dtype=None...) -> Tensor
V full(Call& c) {
  ignore_all_but(c, {"size", "fill_value"});
  return filled_to_size(c, c.scalar("fill_value", c.out_dtype()));
}

// aten::zeros(SymInt[] size, *, ScalarType? dtype=None...) -> Tensor, and ones, empty,
//    new_zeros...
template <int Number>
V constant(Call& c) {
  ignore_all_but(c, {"size"});
  return filled_to_size(c, c.constant_int(Number, c.out_dtype()));
}

// aten::zeros_like(Tensor self, *, ScalarType? dtype=None...) -> Tensor, and ones_like, empty_like
template <int Number>
V constant_like(Call& c) {
  ignore_all_but(c, {});
  return filled(c, c.constant_int(Number, c.out_dtype()));
}

// aten::full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None...) -> Tensor
V full_like(Call& c) {
  ignore_all_but(c, {"fill_value"});
  return filled(c, c.scalar("fill_value", c.out_dtype()));
}

// aten::eye.m(SymInt n, SymInt m, *, ScalarType? dtype=None...) -> Tensor
V eye(Call& c) {
  ignore_options(c);
  V rows = c.int_list("n");
  const bool square = c.program().schemas[c.op().schema].key == "aten::eye";
  V sizes = c.concat({rows, square ? rows : c.int_list("m")}, 0);
  const DType dtype = kernel_dtype("EyeLike", c.out_dtype());
  V like = c.node("Expand", {c.constant_int(0), sizes});
  V ones = c.node("EyeLike", {like}, {attr("dtype", dtype)});
  return c.cast(ones, c.out_dtype());
}

// 0, 1, ... count-1 in a dtype.
Expr indices(Call& c, V count, DType dtype) {
  V range = c.node("Range", {c.constant_int(0), count, c.constant_int(1)});
  return cast(Expr(c, c.typed(range, DType::i64)), dtype);
}

// aten::arange.start_step(Scalar start, Scalar end, Scalar step=1, *,
//    ScalarType? dtype=None...) -> Tensor
V arange_of(Call& c, bool has_start, bool has_step) {
  ignore_options(c);
  const bool integers = number_dtype(c, "end") == DType::i64 &&
                        (!has_start || number_dtype(c, "start") == DType::i64) &&
                        (!has_step || number_dtype(c, "step") == DType::i64);
  const DType dtype = integers ? DType::i64 : DType::f64;
  Expr start(c, has_start ? c.scalar("start", dtype) : c.constant_int(0, dtype));
  Expr end(c, c.scalar("end", dtype));
  Expr step(c, has_step ? c.scalar("step", dtype) : c.constant_int(1, dtype));
  if (integers) {
    const V range = c.node("Range", {start, end, step});
    if (c.out_rank() != 1) return c.cast(c.reshape(range, c.out_shape()), c.out_dtype());  // `out`
    return c.cast(c.typed(range, dtype, c.out_shape()), c.out_dtype());
  }
  Expr count = apply("Ceil", (end - start) / step);  // as PyTorch counts: in double, without drift
  return result(c, start + indices(c, cast(count, DType::i64), dtype) * step);
}

V arange(Call& c) { return arange_of(c, false, false); }
V arange_start(Call& c) { return arange_of(c, true, false); }
V arange_step(Call& c) { return arange_of(c, true, true); }

// aten::range.step(Scalar start, Scalar end, Scalar step=1, *,
//    ScalarType? dtype=None...) -> Tensor
V inclusive_range(Call& c) {
  ignore_all_but(c, {"start", "end", "step"});
  const bool has_step = c.program().schemas[c.op().schema].key == "aten::range.step";
  Expr start(c, c.scalar("start", DType::f64)), end(c, c.scalar("end", DType::f64));
  Expr step(c, has_step ? c.scalar("step", DType::f64) : c.constant(1.0, DType::f64));
  Expr count = floor((end - start) / step) + 1.0;
  return result(c, start + indices(c, cast(count, DType::i64), DType::f64) * step);
}

// `steps` evenly spaced numbers in double; from both ends, so that both are met exactly.
Expr evenly_spaced(Call& c) {
  Expr start(c, c.scalar("start", DType::f64)), end(c, c.scalar("end", DType::f64));
  V count = c.scalar("steps", DType::i64);
  Expr i = indices(c, count, DType::f64);
  Expr last = cast(Expr(c, count), DType::f64) - 1.0;
  Expr step = (end - start) / maximum(last, 1.0);
  return where(i <= 0.5 * last, start + i * step, end - (last - i) * step);
}

// aten::linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None...) -> Tensor
V linspace(Call& c) {
  ignore_options(c);
  return result(c, evenly_spaced(c));
}

// aten::logspace(Scalar start, Scalar end, int steps, float base=10., *,
//    ScalarType? dtype=None...) -> Tensor
V logspace(Call& c) {
  ignore_options(c);
  return result(c, power(number(c, "base", DType::f64), evenly_spaced(c)));
}

// aten::tril(Tensor self, SymInt diagonal=0) -> Tensor, and triu
template <int Upper>
V triangle(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  const bool main = c.is_known("diagonal") && c.integer("diagonal") == 0;
  V diagonal = main ? kOmitted : c.scalar("diagonal", DType::i64);
  return run(c, "Trilu", {self, diagonal}, {attr("upper", Upper)});
}

// aten::tril_indices(int row, int col, int offset=0, *, ScalarType? dtype=4...) -> Tensor, and
//    triu
template <int Upper>
V triangle_indices(Call& c) {
  ignore_options(c);
  V sizes = c.concat({c.int_list("row"), c.int_list("col")}, 0);
  V ones = c.node("Expand", {c.constant_int(1), sizes});
  V mask = c.node("Trilu", {ones, c.scalar("offset", DType::i64)}, {attr("upper", Upper)});
  return c.cast(c.typed(c.node("NonZero", {mask}), DType::i64), c.out_dtype());
}

// aten::one_hot(Tensor self, int num_classes=-1) -> Tensor
V one_hot(Call& c) {
  V self = c.tensor("self", DType::i64);
  V depth = c.scalar("num_classes", DType::i64);
  if (c.is_known("num_classes") && c.integer("num_classes") < 0) {
    depth = c.add(reduce(c, "ReduceMax", self, {}, false), c.constant_int(1));
  }
  const bool scalar = c.rank(self) == 0;
  V found = c.node("OneHot", {with_axis(c, self), depth, c.constant_ints({0, 1})});
  found = c.typed(found, DType::i64);
  return scalar ? c.squeeze(found, {0}) : found;
}

// aten::hann_window(int window_length, *, ScalarType? dtype=None...) -> Tensor, and blackman
// aten::hann_window.periodic(int window_length, bool periodic, *,
//    ScalarType? dtype=None...) -> Tensor
template <OpType Name, bool HasPeriodic>
V window(Call& c) {
  ignore_options(c);
  const bool periodic = !HasPeriodic || c.boolean("periodic");
  const DType dtype = c.out_dtype() == DType::f64 ? DType::f64 : DType::f32;
  V window = c.node(Name.view(), {c.scalar("window_length", DType::i64)},
                    {attr("periodic", periodic), attr("output_datatype", dtype)});
  return c.cast(c.typed(window, dtype), c.out_dtype());
}

// aten::hamming_window.periodic_alpha_beta(int window_length, bool periodic, float alpha,
//    float beta, *, ScalarType? dtype=None...) -> Tensor
// HammingWindow of ONNX has other coefficients.
template <int Arguments>
V hamming_window(Call& c) {
  ignore_options(c);
  V length = c.scalar("window_length", DType::i64);
  const bool periodic = Arguments < 2 || c.boolean("periodic");
  Expr alpha = Arguments < 3 ? Expr(0.54) : number(c, "alpha", DType::f64);
  Expr beta = Arguments < 4 ? Expr(0.46) : number(c, "beta", DType::f64);
  Expr size = cast(Expr(c, length), DType::f64);
  Expr angle = indices(c, length, DType::f64) * (2.0 * M_PI) / (periodic ? size : size - 1.0);
  return result(c, alpha - beta * cos(angle));
}

// aten::_dim_arange(Tensor like, int dim) -> Tensor
V dim_arange(Call& c) {
  V like = c.tensor("like");
  return indices(c, c.reshape(c.size_of(like, c.axis("dim", c.rank(like))), {}), c.out_dtype());
}

constexpr Row kRows[] = {
    {"aten::_dim_arange", dim_arange},
    {"aten::_efficientzerotensor", constant<0>},
    {"aten::arange", arange},
    {"aten::arange.start", arange_start},
    {"aten::arange.start_step", arange_step},
    {"aten::blackman_window", window<"BlackmanWindow", false>},
    {"aten::blackman_window.periodic", window<"BlackmanWindow", true>},
    {"aten::empty.memory_format", constant<0>},
    {"aten::empty_like", constant_like<0>},
    {"aten::empty_permuted", constant<0>},
    {"aten::empty_strided", constant<0>},
    {"aten::eye", eye},
    {"aten::eye.m", eye},
    {"aten::full", full},
    {"aten::full_like", full_like},
    {"aten::hamming_window", hamming_window<1>},
    {"aten::hamming_window.periodic", hamming_window<2>},
    {"aten::hamming_window.periodic_alpha", hamming_window<3>},
    {"aten::hamming_window.periodic_alpha_beta", hamming_window<4>},
    {"aten::hann_window", window<"HannWindow", false>},
    {"aten::hann_window.periodic", window<"HannWindow", true>},
    {"aten::linspace", linspace},
    {"aten::linspace.Scalar_Tensor", linspace},
    {"aten::linspace.Tensor_Scalar", linspace},
    {"aten::linspace.Tensor_Tensor", linspace},
    {"aten::logspace", logspace},
    {"aten::logspace.Scalar_Tensor", logspace},
    {"aten::logspace.Tensor_Scalar", logspace},
    {"aten::logspace.Tensor_Tensor", logspace},
    {"aten::new_empty", constant<0>},
    {"aten::new_empty_strided", constant<0>},
    {"aten::new_full", full},
    {"aten::new_ones", constant<1>},
    {"aten::new_zeros", constant<0>},
    {"aten::one_hot", one_hot},
    {"aten::ones", constant<1>},
    {"aten::ones_like", constant_like<1>},
    {"aten::range", inclusive_range},
    {"aten::range.step", inclusive_range},
    {"aten::tril", triangle<0>},
    {"aten::tril_indices", triangle_indices<0>},
    {"aten::triu", triangle<1>},
    {"aten::triu_indices", triangle_indices<1>},
    {"aten::zeros", constant<0>},
    {"aten::zeros_like", constant_like<0>},
};

}  // namespace

std::span<const Row> create_table() { return kRows; }

}  // namespace modelexport::lowering
