// Elementwise arithmetic on two or three tensors, in the dtype observed for the result.
#include <cmath>
#include <limits>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/promotion.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// `other` of add and sub in the dtype of the result, times alpha.
Expr scaled_other(Call& c, std::string_view name) {
  Expr other(c, c.tensor(name, c.out_dtype()));
  if (c.is_known("alpha") && c.number("alpha") == 1.0) return other;
  V alpha = c.scalar("alpha", c.out_dtype());
  if (c.out_dtype() == DType::boolean) return other & Expr(c, alpha);
  return other * Expr(c, alpha);
}

// aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
V add(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  Expr other = scaled_other(c, "other");
  return c.out_dtype() == DType::boolean ? self | other : self + other;
}

// aten::_add_relu.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
V add_relu(Call& c) { return maximum(Expr(c, add(c)), 0.0); }

// aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
V sub(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  return self - scaled_other(c, "other");
}

// aten::rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor: other - alpha * self
V rsub(Call& c) {
  Expr other(c, c.tensor("other", c.out_dtype()));
  return other - scaled_other(c, "self");
}

// aten::mul.Tensor(Tensor self, Tensor other) -> Tensor
V mul(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype())), other(c, c.tensor("other", c.out_dtype()));
  return c.out_dtype() == DType::boolean ? self & other : self * other;
}

// aten::div.Tensor(Tensor self, Tensor other) -> Tensor
V div(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  return self / Expr(c, c.tensor("other", c.out_dtype()));
}

// The remainder with the sign of the dividend, as in C.
Expr c_remainder(Expr a, Expr b) {
  return Expr(a.call(), run(a.call(), "Mod", {a, b}, {attr("fmod", 1)}));
}

// Whether a remainder of C must be moved by one divisor to get the divisor's sign.
Expr has_wrong_sign(Expr remainder, Expr divisor) {
  Call& c = remainder.call();
  Expr differ(c, c.node("Xor", {remainder < 0.0, divisor < 0.0}));
  return (!equal(remainder, 0.0)) & differ;
}

// The remainder with the sign of the divisor, as in Python.
Expr python_remainder(Expr a, Expr b) {
  if (!is_floating(a.dtype())) return apply("Mod", a, b);
  Expr remainder = c_remainder(a, b);
  return where(has_wrong_sign(remainder, b), remainder + b, remainder);
}

// PyTorch's own steps: exact where floor(a / b) would be off by one for a quotient rounded up.
Expr floor_quotient(Expr a, Expr b) {
  if (!is_floating(a.dtype())) return (a - python_remainder(a, b)) / b;
  Expr remainder = c_remainder(a, b);
  Expr quotient = (a - remainder) / b;
  quotient = where(has_wrong_sign(remainder, b), quotient - 1.0, quotient);
  return where(equal(b, 0.0), a / b, round(quotient));
}

// aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor
V div_mode(Call& c) {
  Expr self = operand(c, "self"), other = operand(c, "other");
  if (c.is_none("rounding_mode")) return result(c, self / other);
  if (c.text("rounding_mode") == "floor") return result(c, floor_quotient(self, other));
  Expr quotient = self / other;  // integer division of ONNX truncates
  return result(c, is_floating(self.dtype()) ? truncate(quotient) : quotient);
}

// aten::floor_divide(Tensor self, Tensor other) -> Tensor
V floor_divide(Call& c) {
  Expr self = operand(c, "self");
  return result(c, floor_quotient(self, operand(c, "other")));
}

// aten::remainder.Tensor(Tensor self, Tensor other) -> Tensor
V remainder(Call& c) {
  Expr self = operand(c, "self");
  return result(c, python_remainder(self, operand(c, "other")));
}

// aten::fmod.Tensor(Tensor self, Tensor other) -> Tensor
V fmod(Call& c) {
  Expr self = operand(c, "self");
  return result(c, c_remainder(self, operand(c, "other")));
}

// aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor
V pow(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  return power(self, Expr(c, c.tensor("exponent", c.out_dtype())));
}

// aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor
V pow_scalar(Call& c) {
  if (!c.is_known("exponent")) return pow(c);
  Expr self(c, c.tensor("self", c.out_dtype()));
  const double exponent = c.number("exponent");
  if (exponent == 1.0) return self;
  if (exponent == 2.0 && c.out_dtype() != DType::boolean) return self * self;
  if (is_floating(c.out_dtype())) {
    if (exponent == 0.5) return sqrt(self);
    if (exponent == -0.5) return apply("Reciprocal", sqrt(self));
    if (exponent == -1.0) return apply("Reciprocal", self);
  }
  return power(self, exponent);
}

// aten::maximum(Tensor self, Tensor other) -> Tensor, and minimum; NaN wins
template <OpType Name>
V extremum(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  return run(c, Name.view(), {self, c.tensor("other", c.out_dtype())});
}

// aten::fmax(Tensor self, Tensor other) -> Tensor, and fmin; NaN loses
template <OpType Name>
V number_extremum(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype())), other(c, c.tensor("other", c.out_dtype()));
  if (!is_floating(c.out_dtype())) return apply(Name.view(), self, other);
  return where(is_nan(self), other, where(is_nan(other), self, apply(Name.view(), self, other)));
}

// aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor
// aten::clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor
V clamp(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  const bool has_min = !c.is_none("min"), has_max = !c.is_none("max");
  V min = has_min ? c.tensor("min", c.out_dtype()) : kOmitted;
  V max = has_max ? c.tensor("max", c.out_dtype()) : kOmitted;
  const bool scalars = (!has_min || c.rank(min) == 0) && (!has_max || c.rank(max) == 0);
  if (scalars) {  // Clip wants rank 0
    std::vector<V> inputs{self, min};
    if (has_max) inputs.push_back(max);
    return run(c, "Clip", inputs);
  }
  if (has_min) self = run(c, "Max", {self, min});
  return has_max ? run(c, "Min", {self, max}) : self;
}

// aten::clamp_min(Tensor self, Scalar min) -> Tensor
V clamp_min(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  V min = c.tensor("min", c.out_dtype());
  return run(c, c.rank(min) == 0 ? "Clip" : "Max", {self, min});
}

// aten::clamp_max(Tensor self, Scalar max) -> Tensor
V clamp_max(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  V max = c.tensor("max", c.out_dtype());
  if (c.rank(max) == 0) return run(c, "Clip", {self, kOmitted, max});
  return run(c, "Min", {self, max});
}

// aten::atan2(Tensor self, Tensor other) -> Tensor
V angle_between(Call& c) {
  Expr y = operand(c, "self");
  return result(c, atan2(y, operand(c, "other")));
}

// aten::hypot(Tensor self, Tensor other) -> Tensor
V hypot(Call& c) {
  Expr a = cast(operand(c, "self"), DType::f64), b = cast(operand(c, "other"), DType::f64);
  return result(c, sqrt(a * a + b * b));  // double holds the squares of all floats
}

// The distance below the larger one; 0, not NaN, for equal infinities.
Expr negative_distance(Expr a, Expr b) { return where(equal(a, b), 0.0, -abs(a - b)); }

// aten::logaddexp(Tensor self, Tensor other) -> Tensor
V logaddexp(Call& c) {
  Expr a = operand(c, "self"), b = operand(c, "other");
  return result(c, maximum(a, b) + log1p(exp(negative_distance(a, b))));
}

// aten::logaddexp2(Tensor self, Tensor other) -> Tensor
V logaddexp2(Call& c) {
  Expr a = operand(c, "self"), b = operand(c, "other");
  return result(c, maximum(a, b) + log1p(power(2.0, negative_distance(a, b))) / M_LN2);
}

// aten::heaviside(Tensor self, Tensor values) -> Tensor
V heaviside(Call& c) {
  Expr x(c, c.tensor("self", c.out_dtype())), values(c, c.tensor("values", c.out_dtype()));
  if (x.dtype() == DType::boolean) return x | values;
  return where(equal(x, 0.0), values, cast(x > 0.0, x.dtype()));
}

// aten::copysign.Tensor(Tensor self, Tensor other) -> Tensor
V copysign(Call& c) {
  Expr magnitude = abs(operand(c, "self"));
  Expr other = operand(c, "other");
  Expr negative = (other < 0.0) | (1.0 / other < 0.0);  // the second tells -0.0 from 0.0
  return result(c, where(negative, -magnitude, magnitude));
}

// aten::ldexp.Tensor(Tensor self, Tensor other) -> Tensor
V ldexp(Call& c) {
  Expr self = operand(c, "self");
  return result(c, self * power(2.0, operand(c, "other")));
}

// aten::frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)
std::vector<V> frexp(Call& c) {
  Expr x = cast(operand(c, "self"), DType::f64);
  Expr plain = equal(x, 0.0) | is_nan(x) | is_infinite(x);
  Expr exponent = floor(log(where(plain, 1.0, abs(x))) / M_LN2) + 1.0;
  Expr mantissa = x / power(2.0, exponent);
  // The logarithm may be rounded across an integer.
  Expr over = abs(mantissa) >= 1.0, under = abs(mantissa) < 0.5;
  exponent = exponent + where(over, Expr(c, c.constant(1.0, DType::f64)), 0.0);
  exponent = exponent - where(under, Expr(c, c.constant(1.0, DType::f64)), 0.0);
  exponent = where(plain, 0.0, exponent);
  return {result(c, x / power(2.0, exponent)), c.cast(exponent, c.out_dtype(1))};
}

// aten::xlogy.Tensor(Tensor self, Tensor other) -> Tensor, and xlog1py: 0 for 0 * log(0)
template <Expr (*Log)(Expr)>
V x_log(Call& c) {
  Expr x = operand(c, "self"), y = operand(c, "other");
  return result(c, where(equal(x, 0.0) & (!is_nan(y)), 0.0, x * Log(y)));
}

// A factor of addcmul, addcdiv; 1 is left out.
Expr times_value(Call& c, Expr x) {
  if (c.is_known("value") && c.number("value") == 1.0) return x;
  return x * Expr(c, c.scalar("value", x.dtype()));
}

// aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor
V addcmul(Call& c) {
  Expr product = operand(c, "tensor1") * operand(c, "tensor2");
  return result(c, operand(c, "self") + times_value(c, product));
}

// aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor
V addcdiv(Call& c) {
  Expr numerator = times_value(c, operand(c, "tensor1"));
  return result(c, operand(c, "self") + numerator / operand(c, "tensor2"));
}

// aten::lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor
V lerp(Call& c) {
  Expr self = operand(c, "self"), end = operand(c, "end"), weight = operand(c, "weight");
  return result(c, self + weight * (end - self));
}

constexpr Row kRows[] = {
    {"aten::_add_relu.Scalar", add_relu},
    {"aten::_add_relu.Tensor", add_relu},
    {"aten::add.Scalar", add},
    {"aten::add.Tensor", add},
    {"aten::addcdiv", addcdiv},
    {"aten::addcmul", addcmul},
    {"aten::arctan2", angle_between},
    {"aten::atan2", angle_between},
    {"aten::clamp", clamp},
    {"aten::clamp.Tensor", clamp},
    {"aten::clamp_max", clamp_max},
    {"aten::clamp_max.Tensor", clamp_max},
    {"aten::clamp_min", clamp_min},
    {"aten::clamp_min.Tensor", clamp_min},
    {"aten::clip", clamp},
    {"aten::clip.Tensor", clamp},
    {"aten::copysign.Scalar", copysign},
    {"aten::copysign.Tensor", copysign},
    {"aten::div.Scalar", div},
    {"aten::div.Scalar_mode", div_mode},
    {"aten::div.Tensor", div},
    {"aten::div.Tensor_mode", div_mode},
    {"aten::divide.Scalar", div},
    {"aten::divide.Scalar_mode", div_mode},
    {"aten::divide.Tensor", div},
    {"aten::divide.Tensor_mode", div_mode},
    {"aten::float_power.Scalar", pow},
    {"aten::float_power.Tensor_Scalar", pow_scalar},
    {"aten::float_power.Tensor_Tensor", pow},
    {"aten::floor_divide", floor_divide},
    {"aten::floor_divide.Scalar", floor_divide},
    {"aten::fmax", number_extremum<"Max">},
    {"aten::fmin", number_extremum<"Min">},
    {"aten::fmod.Scalar", fmod},
    {"aten::fmod.Tensor", fmod},
    {"aten::frexp.Tensor", frexp},
    {"aten::heaviside", heaviside},
    {"aten::hypot", hypot},
    {"aten::ldexp.Tensor", ldexp},
    {"aten::lerp.Scalar", lerp},
    {"aten::lerp.Tensor", lerp},
    {"aten::logaddexp", logaddexp},
    {"aten::logaddexp2", logaddexp2},
    {"aten::max.other", extremum<"Max">},
    {"aten::maximum", extremum<"Max">},
    {"aten::min.other", extremum<"Min">},
    {"aten::minimum", extremum<"Min">},
    {"aten::mul.Scalar", mul},
    {"aten::mul.Tensor", mul},
    {"aten::multiply.Scalar", mul},
    {"aten::multiply.Tensor", mul},
    {"aten::pow.Scalar", pow},
    {"aten::pow.Tensor_Scalar", pow_scalar},
    {"aten::pow.Tensor_Tensor", pow},
    {"aten::remainder.Scalar", remainder},
    {"aten::remainder.Scalar_Tensor", remainder},
    {"aten::remainder.Tensor", remainder},
    {"aten::rsub.Scalar", rsub},
    {"aten::rsub.Tensor", rsub},
    {"aten::special_xlog1py", x_log<log1p>},
    {"aten::special_xlog1py.other_scalar", x_log<log1p>},
    {"aten::special_xlog1py.self_scalar", x_log<log1p>},
    {"aten::special_xlogy", x_log<log>},
    {"aten::special_xlogy.other_scalar", x_log<log>},
    {"aten::special_xlogy.self_scalar", x_log<log>},
    {"aten::sub.Scalar", sub},
    {"aten::sub.Tensor", sub},
    {"aten::subtract.Scalar", sub},
    {"aten::subtract.Tensor", sub},
    {"aten::true_divide.Scalar", div},
    {"aten::true_divide.Tensor", div},
    {"aten::xlogy.Scalar_Other", x_log<log>},
    {"aten::xlogy.Scalar_Self", x_log<log>},
    {"aten::xlogy.Tensor", x_log<log>},
};

}  // namespace

std::span<const Row> binary_table() {
  static const std::vector<Row> rows = joined(kRows, bitwise_rows());
  return rows;
}

}  // namespace modelexport::lowering
