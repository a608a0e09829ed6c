#include "exporter/lowering/complex.h"

#include <numeric>

#include "exporter/graph/literal.h"
#include "exporter/lowering/builder.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/promotion.h"

namespace modelexport::lowering {
namespace {

bool is_zero(Expr x) { return x.is_number() && x.number() == 0.0; }

V as_value(Call& c, Expr x, DType dtype) {
  return x.is_number() ? c.constant(x.number(), dtype) : V(x);
}

// Both parts in one shape.
void broadcast_parts(Call& c, V& re, V& im) {
  if (c.has_shape(re) && c.has_shape(im) && c.shape(re) == c.shape(im)) return;
  if (c.has_shape(re) && c.rank(re) == 0) {
    re = expand_to(c, re, c.shape_of(im));
  } else if (c.has_shape(im) && c.rank(im) == 0) {
    im = expand_to(c, im, c.shape_of(re));
  } else if (c.has_shape(re) && c.has_shape(im)) {
    const V sum = c.add(re, im);
    re = expand_to(c, re, c.shape_of(sum));
    im = expand_to(c, im, c.shape_of(sum));
  }
}

V padded_by_one(Call& c, V x) {
  std::vector<int64_t> pads(2 * c.rank(x), 0);
  pads.back() = 1;
  return run(c, "Pad", {x, c.constant_ints(pads)});
}

}  // namespace

// ---- values -------------------------------------------------------------------------------------

Complex parts(Call& c, V pairs) {
  if (const auto* known = c.builder().parts_of(pairs)) {
    return {Expr(c, known->first), Expr(c, known->second)};
  }
  const std::vector<V> split =
      c.nodes("Split", {pairs, c.constant_ints({1, 1})}, 2, {attr("axis", c.rank(pairs) - 1)});
  Shape shape = c.shape(pairs);
  shape.back() = 1;
  for (V part : split) c.typed(part, c.dtype_of(pairs), shape);
  c.builder().note_parts(pairs, split[0], split[1]);
  return {Expr(c, split[0]), Expr(c, split[1])};
}

V pairs(Call& c, Complex z) {
  const DType dtype = z.re.is_number() ? z.im.dtype() : z.re.dtype();
  V re = as_value(c, z.re, dtype), im = as_value(c, z.im, dtype);
  const bool pads = is_zero(z.im) && c.has_shape(re) && c.rank(re) > 0;
  if (!pads) broadcast_parts(c, re, im);
  if (c.has_shape(re) && c.rank(re) == 0) {
    re = c.unsqueeze(re, {0});
    im = c.unsqueeze(im, {0});
  }
  if (!c.has_shape(re)) return c.concat({re, im}, -1);
  Shape shape = c.shape(re);
  shape.back() = 2;
  if (pads) return c.typed(padded_by_one(c, re), dtype, shape);
  const V both = c.typed(c.concat({re, im}, c.rank(re) - 1), dtype, shape);
  c.builder().note_parts(both, re, im);
  return both;
}

V with_zero_imaginary(Call& c, V real) {
  return pairs(c, {Expr(c, c.unsqueeze(real, {c.rank(real)}))});
}

V squeeze_parts(Call& c, V part) {
  if (!c.has_shape(part)) return c.squeeze(part, {-1});
  const int64_t rank = c.rank(part);  // 0: of constants alone
  return rank == 0 ? part : c.squeeze(part, {rank - 1});
}

std::vector<int64_t> complex_axes(Call& c, std::string_view name, V pairs) {
  const int64_t rank = c.rank(pairs) - 1;
  std::vector<int64_t> axes = c.axes(name, rank);
  if (axes.empty()) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (rank == 0) axes.clear();
  return axes;
}

// ---- arguments and results ----------------------------------------------------------------------

DType parts_dtype(Call& c, std::initializer_list<std::string_view> arguments) {
  return compute_dtype(part_dtype(promoted_dtype(c, arguments)));
}

V real_operand(Call& c, std::string_view name, DType dtype) {
  const V x = c.tensor(name, dtype);
  return c.rank(x) == 0 ? x : c.unsqueeze(x, {c.rank(x)});
}

V pairs_operand(Call& c, std::string_view name, DType dtype) {
  if (c.is_complex(name)) return c.tensor(name, dtype);
  const V x = c.tensor(name, dtype);
  if (const auto known = c.known_scalar(x); known && c.rank(x) == 0) {
    std::string bytes;
    graph::append_element(bytes, dtype, *known);
    graph::append_element(bytes, dtype, 0.0);
    return c.constant_tensor(dtype, {2}, std::move(bytes));
  }
  return with_zero_imaginary(c, x);
}

Complex complex_operand(Call& c, std::string_view name, DType dtype) {
  if (!c.is_complex(name)) return {Expr(c, real_operand(c, name, dtype))};
  const V value = c.tensor(name, dtype);
  const std::optional<std::string> bytes = c.builder().bytes_of(value);
  if (bytes && c.rank(value) == 1) {
    const auto number = [&](size_t index) {
      return Expr(c, c.constant(graph::to_double(graph::element_at(*bytes, dtype, index)), dtype));
    };
    return {number(0), number(1)};
  }
  return parts(c, value);
}

Complex complex_operand(Call& c, std::string_view name) {
  return complex_operand(c, name, compute_dtype(c.out_dtype()));
}

V complex_result(Call& c, Complex z) {
  if (!z.re.is_number()) z.re = cast(z.re, c.out_dtype());
  if (!z.im.is_number()) z.im = cast(z.im, c.out_dtype());
  return pairs(c, z);
}

V real_result(Call& c, Expr part) { return c.cast(squeeze_parts(c, part), c.out_dtype()); }

// ---- arithmetic ---------------------------------------------------------------------------------

namespace {

Expr sum(Expr a, Expr b) {
  if (is_zero(a)) return b;
  return is_zero(b) ? a : a + b;
}

Expr difference(Expr a, Expr b) {
  if (is_zero(b)) return a;
  return is_zero(a) ? -b : a - b;
}

Expr product(Expr a, Expr b) {
  if (a.is_number() && b.is_number()) return a.number() * b.number();
  if (is_zero(a) || is_zero(b)) return 0.0;
  return a * b;
}

}  // namespace

Complex operator+(Complex a, Complex b) { return {sum(a.re, b.re), sum(a.im, b.im)}; }

Complex operator-(Complex a, Complex b) { return {difference(a.re, b.re), difference(a.im, b.im)}; }

Complex operator*(Complex a, Complex b) {
  return {difference(product(a.re, b.re), product(a.im, b.im)),
          sum(product(a.re, b.im), product(a.im, b.re))};
}

// Scaled by the larger part of the divisor, whose square may be too large.
Complex operator/(Complex a, Complex b) {
  if (is_zero(b.im)) return {a.re / b.re, is_zero(a.im) ? a.im : a.im / b.re};
  Expr scale = maximum(abs(b.re), abs(b.im));
  const Complex divisor{b.re / scale, b.im / scale};
  const Complex quotient = a * conjugate(divisor);
  Expr square = (divisor.re * divisor.re + divisor.im * divisor.im) * scale;
  return {quotient.re / square, quotient.im / square};
}

Complex operator-(Complex a) { return Complex{0.0, 0.0} - a; }

Complex conjugate(Complex z) { return {z.re, difference(0.0, z.im)}; }

Complex times_i(Complex z) { return {difference(0.0, z.im), z.re}; }

Complex where(Expr condition, Complex a, Complex b) {
  return {where(condition, a.re, b.re), where(condition, a.im, b.im)};
}

Expr equal(Complex a, Complex b) {
  Expr same = equal(a.re, b.re);
  if (is_zero(a.im) && is_zero(b.im)) return same;
  return same & equal(a.im, b.im);
}

Expr modulus(Complex z) {
  if (is_zero(z.im)) return abs(z.re);
  return sqrt(z.re * z.re + z.im * z.im);
}

Expr angle(Complex z) {
  if (is_zero(z.im)) z.im = z.re * 0.0;
  return atan2(z.im, z.re);
}

Complex polar(Expr modulus, Expr angle) { return {modulus * cos(angle), modulus * sin(angle)}; }

Complex exp(Complex z) {
  if (is_zero(z.im)) return {exp(z.re)};
  return polar(exp(z.re), z.im);
}

Complex log(Complex z) { return {log(modulus(z)), angle(z)}; }

Complex power(Complex base, Complex exponent) { return exp(exponent * log(base)); }

Complex sqrt(Complex z) {
  if (is_zero(z.im)) z.im = z.re * 0.0;
  Expr larger = sqrt((modulus(z) + abs(z.re)) * 0.5);
  Expr smaller = where(equal(larger, 0.0), 0.0, abs(z.im) / (larger * 2.0));
  Expr right = z.re >= 0.0;
  Expr im = where(right, smaller, larger);
  return {where(right, larger, smaller), where(z.im < 0.0, -im, im)};
}

}  // namespace modelexport::lowering
