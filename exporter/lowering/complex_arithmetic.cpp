// Arithmetic, comparisons, choices and reductions of complex tensors.
#include <limits>
#include <numeric>

#include "exporter/lowering/complex.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- sums and products of two -------------------------------------------------------------------

// alpha * the operand, as pairs; null if it is real and stays so.
V scaled_pairs(Call& c, std::string_view name) {
  const V x = pairs_operand(c, name, c.out_dtype());
  if (c.is_known("alpha") && !c.is_complex("alpha") && c.number("alpha") == 1.0) return x;
  const Complex factor = complex_operand(c, "alpha", c.out_dtype());
  return pairs(c, parts(c, x) * factor);
}

// aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
V add(Call& c) {
  return run(c, "Add", {pairs_operand(c, "self", c.out_dtype()), scaled_pairs(c, "other")});
}

// aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
V sub(Call& c) {
  return run(c, "Sub", {pairs_operand(c, "self", c.out_dtype()), scaled_pairs(c, "other")});
}

// aten::rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
V rsub(Call& c) {
  return run(c, "Sub", {pairs_operand(c, "other", c.out_dtype()), scaled_pairs(c, "self")});
}

// aten::mul.Tensor(Tensor self, Tensor other) -> Tensor
V mul(Call& c) {
  const DType dtype = c.out_dtype();
  const bool both = c.is_complex("self") && c.is_complex("other");
  if (both) return complex_result(c, complex_operand(c, "self") * complex_operand(c, "other"));
  const bool first = c.is_complex("self");
  const V z = c.tensor(first ? "self" : "other", dtype);
  return run(c, "Mul", {z, real_operand(c, first ? "other" : "self", dtype)});
}

// aten::div.Tensor(Tensor self, Tensor other) -> Tensor
V div(Call& c) {
  if (c.is_complex("other"))
    return complex_result(c, complex_operand(c, "self") / complex_operand(c, "other"));
  const V z = c.tensor("self", c.out_dtype());
  return run(c, "Div", {z, real_operand(c, "other", c.out_dtype())});
}

// aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor
V div_mode(Call& c) {
  c.ignore({"rounding_mode"});  // LibTorch takes None alone
  return div(c);
}

// aten::neg(Tensor self) -> Tensor
V neg(Call& c) { return run(c, "Neg", {c.tensor("self")}); }

// aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor
V addcmul(Call& c) {
  Complex product = complex_operand(c, "tensor1") * complex_operand(c, "tensor2");
  const V sum = complex_result(c, product * complex_operand(c, "value"));
  return run(c, "Add", {pairs_operand(c, "self", c.out_dtype()), sum});
}

// aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor
V addcdiv(Call& c) {
  Complex quotient = complex_operand(c, "tensor1") / complex_operand(c, "tensor2");
  const V sum = complex_result(c, quotient * complex_operand(c, "value"));
  return run(c, "Add", {pairs_operand(c, "self", c.out_dtype()), sum});
}

// aten::lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor
V lerp(Call& c) {
  const V self = pairs_operand(c, "self", c.out_dtype());
  const V way = run(c, "Sub", {pairs_operand(c, "end", c.out_dtype()), self});
  const V part = pairs(c, parts(c, way) * complex_operand(c, "weight", c.out_dtype()));
  return run(c, "Add", {self, part});
}

// ---- choices and comparisons --------------------------------------------------------------------

V condition(Call& c, std::string_view name) {
  const V mask = c.tensor(name, DType::boolean);
  return c.unsqueeze(mask, {c.rank(mask)});
}

// aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor
V where_self(Call& c) {
  const V self = pairs_operand(c, "self", c.out_dtype());
  return choose(c, condition(c, "condition"), self, pairs_operand(c, "other", c.out_dtype()));
}

// aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor
V masked_fill(Call& c) {
  const V value = pairs_operand(c, "value", c.out_dtype());
  return choose(c, condition(c, "mask"), value, pairs_operand(c, "self", c.out_dtype()));
}

Expr are_equal(Call& c) {
  const DType dtype = parts_dtype(c, {"self", "other"});
  return equal(complex_operand(c, "self", dtype), complex_operand(c, "other", dtype));
}

// aten::eq.Tensor(Tensor self, Tensor other) -> Tensor
V eq(Call& c) { return real_result(c, are_equal(c)); }

// aten::ne.Tensor(Tensor self, Tensor other) -> Tensor
V ne(Call& c) { return real_result(c, !are_equal(c)); }

// aten::isnan(Tensor self) -> Tensor
V isnan(Call& c) {
  const Complex z = parts(c, c.tensor("self"));
  return real_result(c, is_nan(z.re) | is_nan(z.im));
}

// aten::isinf(Tensor self) -> Tensor
V isinf(Call& c) {
  const Complex z = parts(c, c.tensor("self"));
  return real_result(c, is_infinite(z.re) | is_infinite(z.im));
}

// aten::isfinite(Tensor self) -> Tensor
V isfinite(Call& c) {
  const Complex z = parts(c, c.tensor("self"));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return real_result(c, (abs(z.re) < kInfinity) & (abs(z.im) < kInfinity));
}

// aten::isreal(Tensor self) -> Tensor
V isreal(Call& c) { return real_result(c, equal(parts(c, c.tensor("self")).im, 0.0)); }

// aten::isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08,
//    bool equal_nan=False) -> Tensor
V isclose(Call& c) {
  const DType dtype = parts_dtype(c, {"self", "other"});
  const Complex a = complex_operand(c, "self", dtype), b = complex_operand(c, "other", dtype);
  Expr error = modulus(a - b);
  Expr within = error <= modulus(b) * c.number("rtol") + c.number("atol");
  Expr close = equal(a, b) | (within & (error < std::numeric_limits<double>::infinity()));
  if (c.boolean("equal_nan")) {
    close = close | ((is_nan(a.re) | is_nan(a.im)) & (is_nan(b.re) | is_nan(b.im)));
  }
  return real_result(c, close);
}

// ---- reductions ---------------------------------------------------------------------------------

V summed(Call& c, V x, const std::vector<int64_t>& axes, bool keepdim) {
  return axes.empty() ? x : reduce(c, "ReduceSum", x, axes, keepdim);
}

std::vector<int64_t> all_axes(Call& c, V pairs) {
  std::vector<int64_t> axes(c.rank(pairs) - 1);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor
V sum(Call& c) {
  c.ignore({"dtype"});
  const V x = pairs_operand(c, "self", c.out_dtype());
  return summed(c, x, all_axes(c, x), false);
}

// aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor
V sum_dims(Call& c) {
  c.ignore({"dtype"});
  const V x = pairs_operand(c, "self", c.out_dtype());
  return summed(c, x, complex_axes(c, "dim", x), c.boolean("keepdim"));
}

V averaged(Call& c, V x, const std::vector<int64_t>& axes, bool keepdim) {
  return axes.empty() ? x : V(mean_over(Expr(c, x), axes, keepdim));
}

// aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor
V mean(Call& c) {
  c.ignore({"dtype"});
  const V x = pairs_operand(c, "self", c.out_dtype());
  return averaged(c, x, all_axes(c, x), false);
}

// aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor
V mean_dims(Call& c) {
  c.ignore({"dtype"});
  const V x = pairs_operand(c, "self", c.out_dtype());
  return averaged(c, x, complex_axes(c, "dim", x), c.boolean("keepdim"));
}

// aten::linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor
V vecdot(Call& c) {
  const Complex x = complex_operand(c, "x"), y = complex_operand(c, "y");
  const V products = complex_result(c, conjugate(x) * y);
  const int64_t rank = c.out_rank();  // with the pairs, without the axis
  return summed(c, products, {c.axis("dim", rank)}, false);
}

// aten::vdot(Tensor self, Tensor other) -> Tensor
V vdot(Call& c) {
  const Complex self = complex_operand(c, "self");
  return summed(c, complex_result(c, conjugate(self) * complex_operand(c, "other")), {0}, false);
}

}  // namespace

std::span<const Row> complex_table() {
  static constexpr Row kRows[] = {
      {"aten::_neg_view", neg},
      {"aten::_neg_view_copy", neg},
      {"aten::add.Scalar", add},
      {"aten::add.Tensor", add},
      {"aten::addcdiv", addcdiv},
      {"aten::addcmul", addcmul},
      {"aten::div.Scalar", div},
      {"aten::div.Scalar_mode", div_mode},
      {"aten::div.Tensor", div},
      {"aten::div.Tensor_mode", div_mode},
      {"aten::divide.Scalar", div},
      {"aten::divide.Tensor", div},
      {"aten::eq.Scalar", eq},
      {"aten::eq.Tensor", eq},
      {"aten::isclose", isclose},
      {"aten::isfinite", isfinite},
      {"aten::isinf", isinf},
      {"aten::isnan", isnan},
      {"aten::isreal", isreal},
      {"aten::lerp.Scalar", lerp},
      {"aten::lerp.Tensor", lerp},
      {"aten::linalg_vecdot", vecdot},
      {"aten::masked_fill.Scalar", masked_fill},
      {"aten::masked_fill.Tensor", masked_fill},
      {"aten::mean", mean},
      {"aten::mean.dim", mean_dims},
      {"aten::mul.Scalar", mul},
      {"aten::mul.Tensor", mul},
      {"aten::multiply.Scalar", mul},
      {"aten::multiply.Tensor", mul},
      {"aten::ne.Scalar", ne},
      {"aten::ne.Tensor", ne},
      {"aten::neg", neg},
      {"aten::negative", neg},
      {"aten::not_equal.Scalar", ne},
      {"aten::not_equal.Tensor", ne},
      {"aten::rsub.Scalar", rsub},
      {"aten::rsub.Tensor", rsub},
      {"aten::sub.Scalar", sub},
      {"aten::sub.Tensor", sub},
      {"aten::subtract.Scalar", sub},
      {"aten::subtract.Tensor", sub},
      {"aten::sum", sum},
      {"aten::sum.dim_IntList", sum_dims},
      {"aten::true_divide.Scalar", div},
      {"aten::true_divide.Tensor", div},
      {"aten::vdot", vdot},
      {"aten::where.Scalar", where_self},
      {"aten::where.ScalarOther", where_self},
      {"aten::where.ScalarSelf", where_self},
      {"aten::where.self", where_self},
  };
  static const std::vector<Row> kAll =
      joined(joined(kRows, complex_create_rows()), complex_function_rows());
  return kAll;
}

}  // namespace modelexport::lowering
