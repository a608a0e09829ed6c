// Elementwise functions of one tensor, in the dtype observed for the result (integers are widened
// to float where PyTorch does so).
#include <cmath>
#include <limits>
#include <numbers>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

using std::numbers::pi;

// aten::sin(Tensor self) -> Tensor, and all others that ONNX has
template <OpType Name>
V unary(Call& c) {
  return run(c, Name.view(), {c.tensor("self", c.out_dtype())});
}

// Those that are a formula of the argument.
template <Expr (*F)(Expr)>
V formula(Call& c) {
  return result(c, F(operand(c, "self")));
}

// Those that ONNX has, but ONNX Runtime not for double: the formula takes its place there.
template <OpType Name, Expr (*F)(Expr)>
V unary_or(Call& c) {
  return c.out_dtype() == DType::f64 ? formula<F>(c) : unary<Name>(c);
}

Expr tan(Expr x) { return sin(x) / cos(x); }
Expr sinh(Expr x) { return (exp(x) - exp(-x)) / 2.0; }
Expr cosh(Expr x) { return (exp(x) + exp(-x)) / 2.0; }
Expr asin(Expr x) { return 2.0 * atan(x / (1.0 + sqrt(1.0 - x * x))); }
Expr acos(Expr x) { return pi / 2 - asin(x); }
Expr asinh(Expr x) { return sign(x) * log(abs(x) + sqrt(x * x + 1.0)); }
Expr acosh(Expr x) { return log(x + sqrt(x * x - 1.0)); }
Expr atanh(Expr x) { return 0.5 * log((1.0 + x) / (1.0 - x)); }

Expr deg2rad(Expr x) { return x * (pi / 180); }
Expr rad2deg(Expr x) { return x * (180 / pi); }
Expr exp2(Expr x) { return power(2.0, x); }
Expr log2(Expr x) { return log(x) / std::numbers::ln2; }
Expr log10(Expr x) { return log(x) / std::numbers::ln10; }
Expr rsqrt(Expr x) { return apply("Reciprocal", sqrt(x)); }
Expr square(Expr x) { return x * x; }
Expr sinc(Expr x) {
  Expr angle = x * pi;
  return where(equal(x, 0.0), 1.0, sin(angle) / angle);
}

// aten::abs(Tensor self) -> Tensor
V absolute(Call& c) {
  V x = c.tensor("self", c.out_dtype());
  return c.out_dtype() == DType::boolean ? x : run(c, "Abs", {x});
}

// aten::neg(Tensor self) -> Tensor
V negative(Call& c) {
  V x = c.tensor("self", c.out_dtype());
  if (is_integral(c.out_dtype()) && !is_signed(c.out_dtype())) {
    return run(c, "Sub", {c.constant_int(0, c.out_dtype()), x});
  }
  return run(c, "Neg", {x});
}

// aten::sign(Tensor self) -> Tensor
V sign_of(Call& c) {
  V x = c.tensor("self", c.out_dtype());
  if (c.out_dtype() == DType::boolean) return x;
  Expr sign(c, run(c, "Sign", {x}));
  // PyTorch's sign of NaN is 0.
  return is_floating(c.out_dtype()) ? where(is_nan(sign), 0.0, sign) : sign;
}

// aten::floor(Tensor self) -> Tensor, and ceil and round
template <OpType Name>
V rounded(Call& c) {
  V x = c.tensor("self", c.out_dtype());
  return is_floating(c.out_dtype()) ? run(c, Name.view(), {x}) : x;
}

// aten::trunc(Tensor self) -> Tensor
V trunc(Call& c) {
  Expr x = operand(c, "self");
  return is_floating(c.out_dtype()) ? result(c, truncate(x)) : x;
}

// aten::frac(Tensor self) -> Tensor
V frac(Call& c) {
  Expr x = operand(c, "self");
  return result(c, x - truncate(x));
}

// To a number of decimals that depends on the inputs.
V round_to(Call& c, Expr x) {
  if (!is_floating(c.out_dtype())) return x;
  Expr decimals(c, c.scalar("decimals", x.dtype()));
  Expr scale = power(Expr(c, c.constant(10.0, x.dtype())), abs(decimals));
  return result(c, where(decimals >= 0.0, round(x * scale) / scale, round(x / scale) * scale));
}

// aten::round.decimals(Tensor self, *, int decimals) -> Tensor
V round_decimals(Call& c) {
  Expr x = operand(c, "self");
  if (!c.is_known("decimals")) return round_to(c, x);
  const int64_t decimals = c.integer("decimals");
  if (!is_floating(c.out_dtype())) return x;
  if (decimals == 0) return result(c, round(x));
  const double scale = std::pow(10.0, std::abs(static_cast<double>(decimals)));
  return result(c, decimals > 0 ? round(x * scale) / scale : round(x / scale) * scale);
}

// aten::logit(Tensor self, float? eps=None) -> Tensor
V logit(Call& c) {
  Expr x = operand(c, "self");
  if (!c.is_none("eps")) {
    Expr eps = number(c, "eps", x.dtype());
    x = minimum(maximum(x, eps), 1.0 - eps);
  }
  return result(c, log(x / (1.0 - x)));
}

// aten::angle(Tensor self) -> Tensor
V angle(Call& c) {
  Expr x = operand(c, "self");
  Expr angle = where(x < 0.0, Expr(c, c.constant(pi, x.dtype())), 0.0);
  return result(c, where(is_nan(x), x, angle));
}

// aten::signbit(Tensor self) -> Tensor
V signbit(Call& c) {
  Expr x(c, c.tensor("self"));
  if (x.dtype() == DType::boolean) return filled(c, 0.0);
  if (!is_floating(x.dtype())) return x < 0.0;
  return (x < 0.0) | (1.0 / x < 0.0);  // the second tells -0.0 from 0.0
}

double largest(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return 65504.0;
    case DType::bf16:
      return 3.3895313892515355e38;
    case DType::f32:
      return std::numeric_limits<float>::max();
    default:
      return std::numeric_limits<double>::max();
  }
}

// aten::nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor
V nan_to_num(Call& c) {
  Expr x(c, c.tensor("self", c.out_dtype()));
  const double limit = largest(x.dtype());
  Expr nan = number(c, "nan", x.dtype(), 0.0);
  Expr above = number(c, "posinf", x.dtype(), limit),
       below = number(c, "neginf", x.dtype(), -limit);
  if (!is_floating(x.dtype())) return x;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  x = where(is_nan(x), nan, x);
  x = where(equal(x, kInfinity), above, x);
  return where(equal(x, -kInfinity), below, x);
}

constexpr Row kRows[] = {
    {"aten::abs", absolute},
    {"aten::absolute", absolute},
    {"aten::acos", unary_or<"Acos", acos>},
    {"aten::acosh", unary_or<"Acosh", acosh>},
    {"aten::angle", angle},
    {"aten::arccos", unary_or<"Acos", acos>},
    {"aten::arccosh", unary_or<"Acosh", acosh>},
    {"aten::arcsin", unary_or<"Asin", asin>},
    {"aten::arcsinh", unary_or<"Asinh", asinh>},
    {"aten::arctan", unary_or<"Atan", atan>},
    {"aten::arctanh", unary_or<"Atanh", atanh>},
    {"aten::asin", unary_or<"Asin", asin>},
    {"aten::asinh", unary_or<"Asinh", asinh>},
    {"aten::atan", unary_or<"Atan", atan>},
    {"aten::atanh", unary_or<"Atanh", atanh>},
    {"aten::ceil", rounded<"Ceil">},
    {"aten::cos", unary<"Cos">},
    {"aten::cosh", unary_or<"Cosh", cosh>},
    {"aten::deg2rad", formula<deg2rad>},
    {"aten::exp", unary<"Exp">},
    {"aten::exp2", formula<exp2>},
    {"aten::expm1", formula<expm1>},
    {"aten::fix", trunc},
    {"aten::floor", rounded<"Floor">},
    {"aten::frac", frac},
    {"aten::log", unary<"Log">},
    {"aten::log10", formula<log10>},
    {"aten::log1p", formula<log1p>},
    {"aten::log2", formula<log2>},
    {"aten::logit", logit},
    {"aten::nan_to_num", nan_to_num},
    {"aten::neg", negative},
    {"aten::negative", negative},
    {"aten::rad2deg", formula<rad2deg>},
    {"aten::reciprocal", unary<"Reciprocal">},
    {"aten::round", rounded<"Round">},
    {"aten::round.decimals", round_decimals},
    {"aten::rsqrt", formula<rsqrt>},
    {"aten::sgn", sign_of},
    {"aten::sigmoid", unary<"Sigmoid">},
    {"aten::sign", sign_of},
    {"aten::signbit", signbit},
    {"aten::sin", unary<"Sin">},
    {"aten::sinc", formula<sinc>},
    {"aten::sinh", unary_or<"Sinh", sinh>},
    {"aten::special_exp2", formula<exp2>},
    {"aten::special_expit", unary<"Sigmoid">},
    {"aten::special_expm1", formula<expm1>},
    {"aten::special_log1p", formula<log1p>},
    {"aten::special_logit", logit},
    {"aten::special_round", round_decimals},
    {"aten::special_sinc", formula<sinc>},
    {"aten::sqrt", unary<"Sqrt">},
    {"aten::square", formula<square>},
    {"aten::tan", unary_or<"Tan", tan>},
    {"aten::tanh", unary<"Tanh">},
    {"aten::trunc", trunc},
};

}  // namespace

std::span<const Row> unary_table() {
  static const std::vector<Row> rows = joined(kRows, special_rows());
  return rows;
}

}  // namespace modelexport::lowering
