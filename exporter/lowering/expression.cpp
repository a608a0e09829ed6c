#include "exporter/lowering/expression.h"

#include <iterator>
#include <numbers>

#include "exporter/lowering/kernels.h"

namespace modelexport::lowering {
namespace {

// A number becomes a constant of the other side's dtype.
Expr like(Expr x, Expr other) {
  if (!x.is_number()) return x;
  return Expr(other.call(), other.call().constant(x.number(), other.dtype()));
}

bool are_numbers(Expr a, Expr b) { return a.is_number() && b.is_number(); }

// ONNX Runtime has no double kernel for Atan, so the float one is refined by one Newton step, for
// arguments in [-1, 1], where that is well conditioned.
Expr double_atan(Expr x) {
  Expr outside = abs(x) > 1.0;
  Expr inner = where(outside, 1.0 / x, x);
  Expr y = apply("Atan", inner);
  y = y + (inner * cos(y) - sin(y)) / (cos(y) + inner * sin(y));
  return where(outside, sign(x) * (std::numbers::pi / 2) - y, y);
}

}  // namespace

DType compute_dtype(DType dtype) {
  return dtype == DType::f16 || dtype == DType::bf16 ? DType::f32 : dtype;
}

Expr operand(Call& c, std::string_view name) {
  return Expr(c, c.tensor(name, compute_dtype(c.out_dtype())));
}

V result(Call& c, Expr x) { return c.cast(x, c.out_dtype()); }

Expr number(Call& c, std::string_view name, DType dtype) {
  return c.is_known(name) ? Expr(c.number(name)) : Expr(c, c.scalar(name, dtype));
}

Expr number(Call& c, std::string_view name, DType dtype, double otherwise) {
  return c.is_none(name) ? Expr(otherwise) : number(c, name, dtype);
}

bool is(Expr x, double number) { return x.is_number() && x.number() == number; }

Expr cast(Expr x, DType dtype) { return Expr(x.call(), x.call().cast(x, dtype)); }

Expr apply(std::string_view op_type, Expr a) { return Expr(a.call(), run(a.call(), op_type, {a})); }

Expr apply(std::string_view op_type, Expr a, Expr b) {
  Expr left = like(a, b), right = like(b, a);
  return Expr(left.call(), run(left.call(), op_type, {left, right}));
}

Expr operator+(Expr a, Expr b) {
  return are_numbers(a, b) ? Expr(a.number() + b.number()) : apply("Add", a, b);
}
Expr operator-(Expr a, Expr b) {
  return are_numbers(a, b) ? Expr(a.number() - b.number()) : apply("Sub", a, b);
}
Expr operator*(Expr a, Expr b) {
  return are_numbers(a, b) ? Expr(a.number() * b.number()) : apply("Mul", a, b);
}
Expr operator/(Expr a, Expr b) {
  return are_numbers(a, b) ? Expr(a.number() / b.number()) : apply("Div", a, b);
}
Expr operator-(Expr a) { return a.is_number() ? Expr(-a.number()) : apply("Neg", a); }

Expr operator<(Expr a, Expr b) { return apply("Less", a, b); }
Expr operator<=(Expr a, Expr b) { return apply("LessOrEqual", a, b); }
Expr operator>(Expr a, Expr b) { return apply("Greater", a, b); }
Expr operator>=(Expr a, Expr b) { return apply("GreaterOrEqual", a, b); }
Expr equal(Expr a, Expr b) { return apply("Equal", a, b); }

// The logical operators are defined for booleans alone, and have kernels for them.
Expr operator!(Expr a) { return Expr(a.call(), a.call().node("Not", {a})); }
Expr operator&(Expr a, Expr b) { return Expr(a.call(), a.call().node("And", {a, b})); }
Expr operator|(Expr a, Expr b) { return Expr(a.call(), a.call().node("Or", {a, b})); }

Expr is_nan(Expr x) {
  Expr wide = cast(x, compute_dtype(x.dtype()));
  return Expr(x.call(), x.call().node("IsNaN", {wide}));
}

Expr is_infinite(Expr x) {
  Expr wide = cast(x, compute_dtype(x.dtype()));
  return Expr(x.call(), x.call().node("IsInf", {wide}));
}

Expr where(Expr condition, Expr a, Expr b) {
  Expr first = like(a, b), second = like(b, a);
  return Expr(condition.call(), run(condition.call(), "Where", {condition, first, second}));
}

Expr abs(Expr x) { return apply("Abs", x); }
Expr atan(Expr x) { return x.dtype() == DType::f64 ? double_atan(x) : apply("Atan", x); }

Expr atan2(Expr y, Expr x) {
  Expr both = (equal(y, 0.0) & equal(x, 0.0)) | (is_infinite(y) & is_infinite(x));
  Expr ratio = where(both, where(is_infinite(y), sign(y) * sign(x), 0.0), y / x);
  constexpr double kHalfTurn = std::numbers::pi;
  Expr half_turn =
      where(y < 0.0, -kHalfTurn, Expr(y.call(), y.call().constant(kHalfTurn, y.dtype())));
  Expr behind = (x < 0.0) | (equal(x, 0.0) & (1.0 / x < 0.0));
  return atan(ratio) + where(behind, half_turn, 0.0);
}

Expr cos(Expr x) { return apply("Cos", x); }
Expr erf(Expr x) { return apply("Erf", x); }
Expr exp(Expr x) { return apply("Exp", x); }
Expr expm1(Expr x) { return tanh(x * 0.5) * (exp(x) + 1.0); }
Expr floor(Expr x) { return apply("Floor", x); }
Expr log(Expr x) { return apply("Log", x); }

Expr log1p(Expr x) { return cast(log(1.0 + cast(x, DType::f64)), x.dtype()); }

Expr maximum(Expr a, Expr b) { return apply("Max", a, b); }
Expr minimum(Expr a, Expr b) { return apply("Min", a, b); }
Expr power(Expr a, Expr b) { return apply("Pow", a, b); }
Expr round(Expr x) { return apply("Round", x); }
Expr sigmoid(Expr x) { return apply("Sigmoid", x); }
Expr sign(Expr x) { return apply("Sign", x); }
Expr sin(Expr x) { return apply("Sin", x); }

Expr softplus(Expr x) {
  if (x.dtype() != DType::f64) return apply("Softplus", x);
  return maximum(x, 0.0) + log1p(exp(-abs(x)));
}

Expr sqrt(Expr x) { return apply("Sqrt", x); }
Expr tanh(Expr x) { return apply("Tanh", x); }
Expr truncate(Expr x) { return sign(x) * floor(abs(x)); }

Expr polynomial(Expr x, std::initializer_list<double> coefficients) {
  auto coefficient = std::rbegin(coefficients);
  Expr sum = *coefficient++;
  for (; coefficient != std::rend(coefficients); ++coefficient) sum = sum * x + *coefficient;
  return sum;
}

}  // namespace modelexport::lowering
