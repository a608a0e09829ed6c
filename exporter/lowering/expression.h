// Formulas: values with arithmetic, so that a decomposition reads like its definition.
//
//   Expr x = operand(c, "self");
//   return result(c, x * tanh(log(1 + exp(x))));
//
// A number takes the dtype of the expression it is combined with; two numbers give one. Every node
// goes through run(), so formulas hold for all dtypes. Both sides of an operator must have the same
// dtype.
#pragma once

#include <string_view>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

class Expr {
 public:
  Expr(double number) : number_(number) {}
  Expr(Call& c, V value) : call_(&c), value_(value) {}

  operator V() const { return value_; }
  bool is_number() const { return call_ == nullptr; }
  double number() const { return number_; }
  Call& call() const { return *call_; }
  DType dtype() const { return call_->dtype_of(value_); }

 private:
  Call* call_ = nullptr;
  V value_;
  double number_ = 0;
};

// An argument in the dtype that the operator computes in: the observed one of the result, with half
// precision widened to float32, as PyTorch's own kernels do. result() goes back to the observed
// one.
Expr operand(Call& c, std::string_view name);
V result(Call& c, Expr x);

// The dtype PyTorch's kernels compute in for operands of `dtype`.
DType compute_dtype(DType dtype);

// A number: known, or one of `dtype` that depends on the inputs. `otherwise` is for None.
Expr number(Call& c, std::string_view name, DType dtype);
Expr number(Call& c, std::string_view name, DType dtype, double otherwise);
bool is(Expr x, double number);  // known, and that one

Expr cast(Expr x, DType dtype);
Expr apply(std::string_view op_type, Expr a);
Expr apply(std::string_view op_type, Expr a, Expr b);

Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
Expr operator/(Expr a, Expr b);
Expr operator-(Expr a);

// Comparisons and the logic on their results.
Expr operator<(Expr a, Expr b);
Expr operator<=(Expr a, Expr b);
Expr operator>(Expr a, Expr b);
Expr operator>=(Expr a, Expr b);
Expr equal(Expr a, Expr b);
Expr operator!(Expr a);
Expr operator&(Expr a, Expr b);
Expr operator|(Expr a, Expr b);
Expr is_nan(Expr x);
Expr is_infinite(Expr x);
Expr where(Expr condition, Expr a, Expr b);

Expr abs(Expr x);
Expr atan(Expr x);
Expr atan2(Expr y, Expr x);  // the angle of (x, y), with all quadrants and infinities
Expr cos(Expr x);
Expr erf(Expr x);
Expr exp(Expr x);
Expr expm1(Expr x);  // accurate near 0
Expr floor(Expr x);
Expr log(Expr x);
Expr log1p(Expr x);  // computed in double, which keeps the digits that 1 + x would drop
Expr maximum(Expr a, Expr b);
Expr minimum(Expr a, Expr b);
Expr power(Expr a, Expr b);
Expr round(Expr x);
Expr sigmoid(Expr x);
Expr sign(Expr x);
Expr sin(Expr x);
Expr softplus(Expr x);  // log(1 + exp(x)) without overflow
Expr sqrt(Expr x);
Expr tanh(Expr x);
Expr truncate(Expr x);

// c[0] + c[1] x + c[2] x^2 ...
Expr polynomial(Expr x, std::initializer_list<double> coefficients);

}  // namespace modelexport::lowering
