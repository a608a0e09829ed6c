// Functions of complex numbers, element by element: the textbook formulas on principal values.
#include <cmath>
#include <limits>
#include <numbers>
#include <string_view>

#include "exporter/lowering/complex.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

Complex one() { return {1.0, 0.0}; }

// Those that are a formula of the argument.
template <Complex (*F)(Complex)>
V formula(Call& c) {
  return complex_result(c, F(complex_operand(c, "self")));
}

// ---- lengths and angles -------------------------------------------------------------------------

// aten::abs(Tensor self) -> Tensor
V absolute(Call& c) {
  const V x = c.tensor("self");
  return reduce(c, "ReduceL2", x, {c.rank(x) - 1}, false);
}

// aten::angle(Tensor self) -> Tensor
V angle_of(Call& c) {
  return real_result(c, angle(complex_operand(c, "self", compute_dtype(c.out_dtype()))));
}

Complex sgn(Complex z) {
  Expr length = modulus(z);
  length = where(equal(length, 0.0), 1.0, length);
  return {z.re / length, z.im / length};
}

// ---- powers -------------------------------------------------------------------------------------

Complex square(Complex z) {
  Expr product = z.re * z.im;
  return {z.re * z.re - z.im * z.im, product + product};
}

Complex reciprocal(Complex z) {
  return Complex{Expr(z.re.call(), z.re.call().constant(1.0, z.re.dtype()))} / z;
}

Complex rsqrt(Complex z) { return reciprocal(sqrt(z)); }

Complex integer_power(Complex z, int exponent) {
  if (exponent == 1) return z;
  const Complex half = square(integer_power(z, exponent / 2));
  return exponent % 2 == 0 ? half : half * z;
}

// Powers of 0 are 0; 0 to the power 0 is NaN for LibTorch where the exponents are a tensor.
Complex general_power(Complex base, Complex exponent, double zero_to_zero) {
  Expr zero = equal(base, {0.0, 0.0});
  const Complex safe = {where(zero, 1.0, base.re), base.im};
  Complex result = power(safe, exponent);
  Expr nothing(zero.call(), zero.call().constant(zero_to_zero, result.re.dtype()));
  Expr at_zero = where(equal(exponent, {0.0, 0.0}), nothing, 0.0);
  Expr im_at_zero = at_zero - at_zero;  // NaN where the real part is
  return {where(zero, at_zero, result.re), where(zero, im_at_zero, result.im)};
}

// aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor
// aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor
// aten::pow.Scalar(Scalar self, Tensor exponent) -> Tensor
V pow(Call& c) {
  constexpr double kLargest = 8;  // beyond that, the general formula is shorter and as precise
  const bool known = !c.is_complex("exponent") && c.is_known("exponent");
  const double exponent = known ? c.number("exponent") : 0;
  const Complex base = complex_operand(c, "self");
  const double size = std::abs(exponent);
  if (known && size >= 1 && size <= kLargest && std::trunc(exponent) == exponent) {
    const Complex power = integer_power(base, static_cast<int>(size));
    return complex_result(c, exponent < 0 ? reciprocal(power) : power);
  }
  if (known && size == 0.5) return complex_result(c, exponent < 0 ? rsqrt(base) : sqrt(base));
  const double zero_to_zero = known ? 1 : std::numeric_limits<double>::quiet_NaN();
  return complex_result(c, general_power(base, complex_operand(c, "exponent"), zero_to_zero));
}

// ---- exponentials and logarithms ----------------------------------------------------------------

Complex scaled(Complex z, double factor) { return {z.re * factor, z.im * factor}; }

Complex exp_of(Complex z) { return exp(z); }
Complex log_of(Complex z) { return log(z); }
Complex sqrt_of(Complex z) { return sqrt(z); }
Complex exp2(Complex z) { return exp(scaled(z, std::numbers::ln2)); }
Complex log2(Complex z) { return scaled(log(z), 1 / std::numbers::ln2); }
Complex log10(Complex z) { return scaled(log(z), 1 / std::numbers::ln10); }

// In double, which keeps the digits that 1 + z would drop.
Complex log1p(Complex z) {
  const DType dtype = z.re.dtype();
  const Complex result = log(one() + Complex{cast(z.re, DType::f64), cast(z.im, DType::f64)});
  return {cast(result.re, dtype), cast(result.im, dtype)};
}

// exp(a) cos(b) - 1 = (exp(a) - 1) cos(b) + (cos(b) - 1), each accurate near 0.
Complex expm1(Complex z) {
  Expr half = sin(z.im * 0.5);
  return {expm1(z.re) * cos(z.im) - half * half * 2.0, exp(z.re) * sin(z.im)};
}

Complex sigmoid(Complex z) { return reciprocal(one() + exp(-z)); }
Complex silu(Complex z) { return z / (one() + exp(-z)); }

// ---- hyperbolic and trigonometric functions -----------------------------------------------------

Expr cosh(Expr x) { return (exp(x) + exp(-x)) * 0.5; }
Expr sinh(Expr x) { return tanh(x * 0.5) * (cosh(x) + 1.0); }  // accurate near 0

Complex sinh(Complex z) { return {sinh(z.re) * cos(z.im), cosh(z.re) * sin(z.im)}; }
Complex cosh(Complex z) { return {cosh(z.re) * cos(z.im), sinh(z.re) * sin(z.im)}; }
Complex sin(Complex z) { return {sin(z.re) * cosh(z.im), cos(z.re) * sinh(z.im)}; }
Complex cos(Complex z) { return {cos(z.re) * cosh(z.im), -(sin(z.re) * sinh(z.im))}; }

// With the tangents of both parts, which stay finite where the exponentials do not.
Complex tanh(Complex z) {
  Expr t = tanh(z.re), u = sin(z.im) / cos(z.im);
  Expr tt = t * t, uu = u * u, divisor = tt * uu + 1.0;
  return {t * (uu + 1.0) / divisor, u * (1.0 - tt) / divisor};
}

Complex over_i(Complex z) { return {z.im, -z.re}; }
Complex tan(Complex z) { return over_i(tanh(times_i(z))); }

Complex asinh(Complex z) {
  // Of z and -z, the one for which nothing cancels.
  Expr sign = where(z.re < 0.0, -1.0, Expr(z.re.call(), z.re.call().constant(1.0, z.re.dtype())));
  const Complex right{z.re * sign, z.im * sign};
  const Complex result = log(right + sqrt(square(right) + one()));
  return {result.re * sign, result.im * sign};
}

Complex asin(Complex z) { return over_i(asinh(times_i(z))); }

Complex acos(Complex z) {
  const Complex result = asin(z);
  return {std::numbers::pi / 2 - result.re, -result.im};
}

Complex acosh(Complex z) { return log(z + sqrt(z + one()) * sqrt(z - one())); }
Complex atanh(Complex z) { return scaled(log(one() + z) - log(one() - z), 0.5); }
Complex atan(Complex z) { return over_i(atanh(times_i(z))); }

Complex sinc(Complex z) {
  const Complex angle = scaled(z, std::numbers::pi);
  Expr zero = equal(z, {0.0, 0.0});
  const Complex safe{where(zero, 1.0, angle.re), angle.im};
  const Complex result = sin(safe) / safe;
  return {where(zero, 1.0, result.re), where(zero, 0.0, result.im)};
}

}  // namespace

std::span<const Row> complex_function_rows() {
  static constexpr Row kRows[] = {
      {"aten::abs", absolute},
      {"aten::absolute", absolute},
      {"aten::acos", formula<acos>},
      {"aten::acosh", formula<acosh>},
      {"aten::angle", angle_of},
      {"aten::arccos", formula<acos>},
      {"aten::arccosh", formula<acosh>},
      {"aten::arcsin", formula<asin>},
      {"aten::arcsinh", formula<asinh>},
      {"aten::arctan", formula<atan>},
      {"aten::arctanh", formula<atanh>},
      {"aten::asin", formula<asin>},
      {"aten::asinh", formula<asinh>},
      {"aten::atan", formula<atan>},
      {"aten::atanh", formula<atanh>},
      {"aten::cos", formula<cos>},
      {"aten::cosh", formula<cosh>},
      {"aten::exp", formula<exp_of>},
      {"aten::exp2", formula<exp2>},
      {"aten::expm1", formula<expm1>},
      {"aten::float_power.Scalar", pow},
      {"aten::float_power.Tensor_Scalar", pow},
      {"aten::float_power.Tensor_Tensor", pow},
      {"aten::log", formula<log_of>},
      {"aten::log10", formula<log10>},
      {"aten::log1p", formula<log1p>},
      {"aten::log2", formula<log2>},
      {"aten::pow.Scalar", pow},
      {"aten::pow.Tensor_Scalar", pow},
      {"aten::pow.Tensor_Tensor", pow},
      {"aten::reciprocal", formula<reciprocal>},
      {"aten::rsqrt", formula<rsqrt>},
      {"aten::sgn", formula<sgn>},
      {"aten::sigmoid", formula<sigmoid>},
      {"aten::silu", formula<silu>},
      {"aten::sin", formula<sin>},
      {"aten::sinc", formula<sinc>},
      {"aten::sinh", formula<sinh>},
      {"aten::special_expit", formula<sigmoid>},
      {"aten::special_expm1", formula<expm1>},
      {"aten::special_log1p", formula<log1p>},
      {"aten::special_sinc", formula<sinc>},
      {"aten::sqrt", formula<sqrt_of>},
      {"aten::square", formula<square>},
      {"aten::tan", formula<tan>},
      {"aten::tanh", formula<tanh>},
  };
  return kRows;
}

}  // namespace modelexport::lowering
