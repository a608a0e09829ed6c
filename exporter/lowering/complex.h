// Complex numbers in formulas: real and imaginary part as expressions.
//
//   Complex z = complex_operand(c, "self");
//   return complex_result(c, log(z) * Complex{0.5, 0.0});
//
// A complex value of the graph is pairs of reals in a last dimension of size 2 (see program.h). Its
// parts keep that dimension, of size 1, so that they broadcast as the pairs do. A part may also be
// a number; one that is 0 costs nothing.
#pragma once

#include <string_view>
#include <vector>

#include "exporter/lowering/expression.h"

namespace modelexport::lowering {

struct Complex {
  Expr re, im = 0.0;
};

// ---- values
// ---------------------------------------------------------------------------------------
Complex parts(Call& c, V pairs);
V pairs(Call& c, Complex z);
V with_zero_imaginary(Call& c, V real);  // a real tensor as pairs
V squeeze_parts(Call& c, V part);        // without the last dimension
// Dimensions without the one of the pairs, for none named: all.
std::vector<int64_t> complex_axes(Call& c, std::string_view name, V pairs);

// ---- arguments and results
// ------------------------------------------------------------------------ The dtype of the parts
// that the call computes in: that of the result if it is complex, otherwise the promoted one of
// these arguments; half precision widened.
DType parts_dtype(Call& c, std::initializer_list<std::string_view> arguments);
// As pairs of that dtype; a real tensor and a number, too.
V pairs_operand(Call& c, std::string_view name, DType dtype);
// A real tensor with a last dimension of size 1.
V real_operand(Call& c, std::string_view name, DType dtype);
Complex complex_operand(Call& c, std::string_view name, DType dtype);
Complex complex_operand(Call& c, std::string_view name);  // for a complex result
V complex_result(Call& c, Complex z);
V real_result(Call& c, Expr part);  // in the observed dtype

// ---- arithmetic
// -----------------------------------------------------------------------------------
Complex operator+(Complex a, Complex b);
Complex operator-(Complex a, Complex b);
Complex operator*(Complex a, Complex b);
Complex operator/(Complex a, Complex b);
Complex operator-(Complex a);
Complex conjugate(Complex z);
Complex times_i(Complex z);
Complex where(Expr condition, Complex a, Complex b);

Expr equal(Complex a, Complex b);
Expr modulus(Complex z);
Expr angle(Complex z);
Complex polar(Expr modulus, Expr angle);
Complex exp(Complex z);
Complex log(Complex z);
Complex power(Complex base, Complex exponent);
Complex sqrt(Complex z);

}  // namespace modelexport::lowering
