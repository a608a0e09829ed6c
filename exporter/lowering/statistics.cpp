// Variances and norms.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

using Axes = std::vector<int64_t>;

struct Moments {
  Expr variance, mean;  // with the reduced dimensions as asked for
};

Moments moments(Expr x, const Axes& axes, Expr correction, bool keepdim) {
  Call& c = x.call();
  Expr mean = mean_over(x, axes, true);
  Expr deviation = x - mean;
  Expr squares = deviation * deviation;
  Expr outer_mean = keepdim ? mean : mean_over(x, axes, false);
  if (is(correction, 0.0)) return {mean_over(squares, axes, keepdim), outer_mean};
  Expr sum(c, reduce(c, "ReduceSum", squares, axes, keepdim));
  Expr freedom = maximum(reduced_count(c, x, axes, x.dtype()) - correction, 0.0);
  return {sum / freedom, outer_mean};
}

// The three overloads of var, std, var_mean and std_mean differ in how they say the correction.
// aten::var(Tensor self, bool unbiased=True) -> Tensor
Moments all_moments(Call& c) {
  Expr self = operand(c, "self");
  return moments(self, {}, c.boolean("unbiased") ? 1.0 : 0.0, false);
}

// aten::var.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor
Moments dim_moments(Call& c) {
  Expr self = operand(c, "self");
  const double correction = c.boolean("unbiased") ? 1.0 : 0.0;
  return moments(self, c.axes("dim", c.rank(self)), correction, c.boolean("keepdim"));
}

// aten::var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None,
//    bool keepdim=False) -> Tensor
Moments corrected_moments(Call& c) {
  Expr self = operand(c, "self");
  Expr correction = number(c, "correction", self.dtype(), 1.0);
  return moments(self, c.axes("dim", c.rank(self)), correction, c.boolean("keepdim"));
}

template <Moments (*Of)(Call&)>
V var(Call& c) {
  return result(c, Of(c).variance);
}

template <Moments (*Of)(Call&)>
V std_deviation(Call& c) {
  return result(c, sqrt(Of(c).variance));
}

template <Moments (*Of)(Call&)>
std::vector<V> var_mean(Call& c) {
  const Moments found = Of(c);
  return {result(c, found.variance), result(c, found.mean)};
}

template <Moments (*Of)(Call&)>
std::vector<V> std_mean(Call& c) {
  const Moments found = Of(c);
  return {result(c, sqrt(found.variance)), result(c, found.mean)};
}

// aten::norm.Scalar(Tensor self, Scalar p=2) -> Tensor
// aten::norm.ScalarOpt_dtype(Tensor self, Scalar? p, *, ScalarType dtype) -> Tensor
V norm(Call& c) {
  ignore_all_but(c, {"self", "p"});
  Expr self = operand(c, "self"), p = number(c, "p", self.dtype(), 2.0);
  return result(c, vector_norm(self, p, {}, false));
}

// aten::norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor
// aten::norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *,
//    ScalarType dtype) -> Tensor
V norm_dim(Call& c) {
  ignore_all_but(c, {"self", "p", "dim", "keepdim"});
  Expr self = operand(c, "self"), p = number(c, "p", self.dtype(), 2.0);
  return result(c, vector_norm(self, p, c.axes("dim", c.rank(self)), c.boolean("keepdim")));
}

// aten::linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor
V linalg_vector_norm(Call& c) {
  c.ignore({"dtype"});
  Expr self = operand(c, "self"), p = number(c, "ord", self.dtype());
  return result(c, vector_norm(self, p, c.axes("dim", c.rank(self)), c.boolean("keepdim")));
}

// aten::frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor
V frobenius_norm(Call& c) {
  Expr self = operand(c, "self");
  return result(c, vector_norm(self, 2.0, c.axes("dim", c.rank(self)), c.boolean("keepdim")));
}

// aten::dist(Tensor self, Tensor other, Scalar p=2) -> Tensor
V dist(Call& c) {
  Expr difference = operand(c, "self") - operand(c, "other");
  return result(c, vector_norm(difference, number(c, "p", difference.dtype()), {}, false));
}

// aten::cov(Tensor self, *, int correction=1, Tensor? fweights=None,
//    Tensor? aweights=None) -> Tensor
V cov(Call& c) {
  Expr self = operand(c, "self");
  if (c.rank(self) < 2) self = Expr(c, c.reshape_to(self, c.constant_ints({1, -1})));
  Expr correction = number(c, "correction", self.dtype());
  const bool repeated = !c.is_none("fweights"), weighted = !c.is_none("aweights");
  const auto total = [&](Expr x) { return Expr(c, reduce(c, "ReduceSum", x, {}, false)); };
  Expr weights(c, c.constant(1.0, self.dtype()));
  Expr count = cast(Expr(c, c.reshape(c.size_of(self, 1), {})), self.dtype());
  if (repeated) weights = operand(c, "fweights");
  if (weighted) weights = weights * operand(c, "aweights");
  if (repeated || weighted) count = total(weights);
  Expr freedom = count - correction;
  if (weighted) freedom = count - total(weights * operand(c, "aweights")) * correction / count;
  Expr mean(c, reduce(c, "ReduceSum", self * weights, {1}, true));
  Expr deviation = self - mean / count;
  Expr products(c, run(c, "MatMul", {deviation * weights, c.transpose(deviation, {1, 0})}));
  Expr covariance = products / maximum(freedom, 0.0);
  return result(c, Expr(c, c.reshape(covariance, c.out_shape())));
}

// aten::corrcoef(Tensor self) -> Tensor
V corrcoef(Call& c) {
  Expr self = operand(c, "self");
  if (c.rank(self) < 2) return result(c, Expr(c, reduce(c, "ReduceMean", self / self, {}, false)));
  Expr deviation = self - Expr(c, reduce(c, "ReduceMean", self, {1}, true));
  Expr unit = deviation / vector_norm(deviation, 2.0, {1}, true);
  Expr products(c, run(c, "MatMul", {unit, c.transpose(unit, {1, 0})}));
  Expr bounded = maximum(minimum(products, 1.0), -1.0);
  return result(c, Expr(c, c.reshape(bounded, c.out_shape())));
}

constexpr Row kRows[] = {
    {"aten::corrcoef", corrcoef},
    {"aten::cov", cov},
    {"aten::dist", dist},
    {"aten::frobenius_norm.dim", frobenius_norm},
    {"aten::linalg_vector_norm", linalg_vector_norm},
    {"aten::native_norm", norm},
    {"aten::native_norm.ScalarOpt_dim_dtype", norm_dim},
    {"aten::norm.Scalar", norm},
    {"aten::norm.ScalarOpt_dim", norm_dim},
    {"aten::norm.ScalarOpt_dim_dtype", norm_dim},
    {"aten::norm.ScalarOpt_dtype", norm},
    {"aten::std", std_deviation<all_moments>},
    {"aten::std.correction", std_deviation<corrected_moments>},
    {"aten::std.dim", std_deviation<dim_moments>},
    {"aten::std_mean", std_mean<all_moments>},
    {"aten::std_mean.correction", std_mean<corrected_moments>},
    {"aten::std_mean.dim", std_mean<dim_moments>},
    {"aten::var", var<all_moments>},
    {"aten::var.correction", var<corrected_moments>},
    {"aten::var.dim", var<dim_moments>},
    {"aten::var_mean", var_mean<all_moments>},
    {"aten::var_mean.correction", var_mean<corrected_moments>},
    {"aten::var_mean.dim", var_mean<dim_moments>},
};

}  // namespace

Expr vector_norm(Expr x, Expr p, const std::vector<int64_t>& axes, bool keepdim) {
  Call& c = x.call();
  const auto over = [&](std::string_view op_type, Expr values) {
    return Expr(c, reduce(c, op_type, values, axes, keepdim));
  };
  const auto count = [&] { return over("ReduceSum", cast(cast(x, DType::boolean), x.dtype())); };
  const auto end = [&](std::string_view op_type) {
    return Expr(c, extremum(c, op_type, abs(x), axes, keepdim));
  };
  if (!p.is_number()) {
    Expr norm = power(over("ReduceSum", power(abs(x), p)), 1.0 / p);
    norm = where(is_infinite(p), where(p > 0.0, end("ReduceMax"), end("ReduceMin")), norm);
    return where(equal(p, 0.0), count(), norm);
  }
  if (c.rank(x) == 0 && !is(p, 0.0)) return abs(x);
  if (is(p, 1.0)) return over("ReduceL1", x);
  if (is(p, 2.0)) return over("ReduceL2", x);
  if (is(p, 0.0)) return count();
  if (std::isinf(p.number())) return end(p.number() > 0 ? "ReduceMax" : "ReduceMin");
  return power(over("ReduceSum", power(abs(x), p)), 1.0 / p);
}

Expr reduced_count(Call& c, V x, const std::vector<int64_t>& axes, DType dtype) {
  const Shape& shape = c.shape(x);
  double known = 1.0;
  std::vector<V> sizes;
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    if (!axes.empty() && std::ranges::find(axes, axis) == axes.end()) continue;
    if (is_static(shape[i]))
      known *= static_cast<double>(shape[i]);
    else
      sizes.push_back(c.size_of(x, axis));
  }
  Expr count(c, c.constant(known, dtype));
  if (sizes.empty()) return count;
  V product = reduce(c, "ReduceProd", c.concat(sizes, 0), {}, false);
  return known == 1.0 ? Expr(c, c.cast(product, dtype)) : Expr(c, c.cast(product, dtype)) * count;
}

std::span<const Row> statistics_rows() { return kRows; }

}  // namespace modelexport::lowering
