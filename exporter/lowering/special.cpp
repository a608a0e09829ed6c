// Special functions that ONNX lacks, as formulas. Where one loses digits (differences of nearly
// equal numbers, long sums) it is computed in double, for float inputs too.
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/repeat.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

using std::numbers::pi;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// aten::lgamma(Tensor self) -> Tensor, and all others with one argument
template <Expr (*F)(Expr)>
V in_double(Call& c) {
  return result(c, F(cast(operand(c, "self"), DType::f64)));
}

template <Expr (*F)(Expr)>
V formula(Call& c) {
  return result(c, F(operand(c, "self")));
}

// exp(x^2) erfc(x) for x >= 0, to 1.2e-7 of its value (Numerical Recipes, 6.2).
Expr scaled_erfc(Expr x) {
  Expr t = 1.0 / (1.0 + 0.5 * x);
  return t * exp(polynomial(t, {-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
                                0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277}));
}

// 1 - erf(x) has no digits left for large x.
Expr erfc(Expr x) {
  Expr z = abs(x);
  Expr tail = exp(-z * z) * scaled_erfc(z);
  return where(z < 0.5, 1.0 - erf(x), where(x < 0.0, 2.0 - tail, tail));
}

Expr erfcx(Expr x) {
  Expr z = abs(x), scaled = scaled_erfc(z);
  return where(x < 0.0, 2.0 * exp(z * z) - scaled, scaled);
}

Expr ndtr(Expr x) { return 0.5 * erfc(x * -std::numbers::sqrt2 / 2.0); }

// log(erfc(-x / sqrt 2) / 2), taken apart below 0, where erfc underflows.
Expr log_ndtr(Expr x) {
  Expr z = abs(x) / std::numbers::sqrt2;
  Expr scaled = scaled_erfc(z);
  return where(x < 0.0, log(0.5 * scaled) - z * z, log1p(-0.5 * exp(-z * z) * scaled));
}

// The quantile of the normal distribution at 1/2 + q (Wichura, algorithm AS 241); `tail` is the
// smaller of the probabilities on both sides, given apart because 1/2 - |q| loses its digits.
Expr normal_quantile(Expr q, Expr tail) {
  Expr s = 0.180625 - q * q;
  Expr center =
      q *
      polynomial(s, {3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3,
                     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                     3.3430575583588128105e4, 2.5090809287301226727e3}) /
      polynomial(s, {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
                     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
                     5.2264952788528545610e3});
  Expr r = sqrt(-log(tail));
  Expr near = r - 1.6, far = r - 5.0;
  Expr middle =
      polynomial(near, {1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
                        3.64784832476320460504, 1.27045825245236838258, 2.41780725177450611770e-1,
                        2.27238449892691845833e-2, 7.74545014278341407640e-4}) /
      polynomial(near,
                 {1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
                  1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                  1.05075007164441684324e-9});
  Expr outer = polynomial(far, {6.65790464350110377720, 5.46378491116411436990,
                                1.78482653991729133580, 2.96560571828504891230e-1,
                                2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                2.71155556874348757815e-5, 2.01033439929228813265e-7}) /
               polynomial(far, {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
                                1.48753612908506148525e-2, 7.86869131145613259100e-4,
                                1.84631831751005468180e-5, 1.42151175831644588870e-7,
                                2.04426310338993978564e-15});
  Expr wing = where(r <= 5.0, middle, outer);
  wing = where(equal(tail, 0.0), kInfinity, wing);
  return where(abs(q) <= 0.425, center, sign(q) * wing);
}

Expr ndtri(Expr p) { return normal_quantile(p - 0.5, minimum(p, 1.0 - p)); }

Expr erfinv(Expr x) { return normal_quantile(0.5 * x, 0.5 - 0.5 * abs(x)) / std::numbers::sqrt2; }

// Lanczos' approximation (g = 7, n = 9), with the reflection formula below 1/2.
Expr lgamma(Expr x) {
  constexpr double kLanczos[] = {676.5203681218851,     -1259.1392167224028,  771.32342877765313,
                                 -176.61502916214059,   12.507343278686905,   -0.13857109526572012,
                                 9.9843695780195716e-6, 1.5056327351493116e-7};
  Expr reflected = x < 0.5;
  Expr z = where(reflected, 1.0 - x, x) - 1.0;
  Expr sum = 0.99999999999980993 + kLanczos[0] / (z + 1.0);
  for (int i = 1; i < 8; ++i) sum = sum + kLanczos[i] / (z + (i + 1.0));
  Expr t = z + 7.5;
  Expr value = 0.5 * std::log(2 * pi) + (z + 0.5) * log(t) - t + log(sum);
  value = where(z > 1e15, z * (log(z) - 1.0), value);
  Expr turn = log(abs(pi / sin(pi * (x - floor(x)))));
  return where(is_infinite(x), kInfinity, where(reflected, turn - value, value));
}

// Shifted by 8 to where the asymptotic series converges; reflected below 0.
Expr digamma(Expr x) {
  Expr reflected = x < 0.0;
  Expr z = where(reflected, 1.0 - x, x);
  Expr shift = 1.0 / z;
  for (int i = 1; i < 8; ++i) shift = shift + 1.0 / (z + static_cast<double>(i));
  Expr y = z + 8.0;
  Expr t = 1.0 / (y * y);
  Expr series = t * polynomial(t, {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132,
                                   -691.0 / 32760, 1.0 / 12});
  Expr value = log(y) - 0.5 / y - series - shift;
  Expr angle = pi * (x - floor(x));
  Expr turned = where(equal(x, floor(x)), kNan, value - pi * cos(angle) / sin(angle));
  value = where(reflected, turned, value);
  return where(equal(x, 0.0), -1.0 / x, value);
}

// Modified Bessel functions times exp(-|x|), to 2e-7 (Abramowitz and Stegun, 9.8.1 to 9.8.4).
Expr i0e(Expr x) {
  Expr z = abs(x), t = x / 3.75, s = 3.75 / z;
  Expr small = exp(-z) * polynomial(t * t, {1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732,
                                            0.0360768, 0.0045813});
  Expr large = polynomial(s, {0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281,
                              -0.02057706, 0.02635537, -0.01647633, 0.00392377}) /
               sqrt(z);
  return where(z < 3.75, small, large);
}

Expr i1e(Expr x) {
  Expr z = abs(x), t = x / 3.75, s = 3.75 / z;
  Expr small = x * exp(-z) *
               polynomial(t * t, {0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532,
                                  0.00032411});
  Expr large = polynomial(s, {0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555,
                              0.02282967, -0.02895312, 0.01787654, -0.00420059}) /
               sqrt(z);
  return where(z < 3.75, small, sign(x) * large);
}

Expr i0(Expr x) { return i0e(x) * exp(abs(x)); }
Expr i1(Expr x) { return i1e(x) * exp(abs(x)); }

Expr entr(Expr x) {
  Expr inside = where(equal(x, 0.0), 0.0, -x * log(x));
  return where(x < 0.0, -kInfinity, inside);
}

// Hurwitz zeta, sum of (q + k)^-s over k >= 0: some terms one by one (for a q below 0 the large
// ones are among them), then Euler and Maclaurin's series.
Expr hurwitz_zeta(Expr s, Expr q) {
  constexpr int kTerms = 32;
  Call& c = q.call();
  const std::array<double, kTerms> positions = [] {
    std::array<double, kTerms> values;
    std::iota(values.begin(), values.end(), 0.0);
    return values;
  }();
  const std::string bytes(reinterpret_cast<const char*>(positions.data()), sizeof(positions));
  Expr k(c, c.constant_tensor(DType::f64, {kTerms}, bytes));
  Expr terms =
      power(Expr(c, c.unsqueeze(q, {c.rank(q)})) + k, -Expr(c, c.unsqueeze(s, {c.rank(s)})));
  Expr sum(c, reduce(c, "ReduceSum", terms, {c.rank(terms) - 1}, false));
  Expr a = q + static_cast<double>(kTerms);
  Expr tail = power(a, -s);
  sum = sum + tail * a / (s - 1.0) + 0.5 * tail;
  // B(2j) / (2j)! times s (s+1) ... (s+2j-2) a^(-s-2j+1)
  constexpr double kBernoulli[] = {1.0 / 12,
                                   -1.0 / 720,
                                   1.0 / 30240,
                                   -1.0 / 1209600,
                                   1.0 / 47900160,
                                   -691.0 / 1307674368000,
                                   1.0 / 74724249600.0,
                                   -3617.0 / 10670622842880000};
  Expr rising = s, factor = tail / a;
  for (int j = 0; j < 8; ++j) {
    sum = sum + kBernoulli[j] * rising * factor;
    rising = rising * (s + (2.0 * j + 1)) * (s + (2.0 * j + 2));
    factor = factor / (a * a);
  }
  return where(s < 1.0, kNan, where(equal(s, 1.0), kInfinity, sum));
}

// aten::special_zeta(Tensor self, Tensor other) -> Tensor
V zeta(Call& c) {
  Expr s = cast(operand(c, "self"), DType::f64);
  return result(c, hurwitz_zeta(s, cast(operand(c, "other"), DType::f64)));
}

// aten::polygamma(int n, Tensor self) -> Tensor
V polygamma(Call& c) {
  const int64_t n = c.integer("n");
  Expr x = cast(operand(c, "self"), DType::f64);
  if (n == 0) return result(c, digamma(x));
  const double order = static_cast<double>(n);
  const double factor = (n % 2 == 0 ? -1.0 : 1.0) * std::tgamma(order + 1.0);
  return result(c, factor * hurwitz_zeta(Expr(c, c.constant(order + 1.0, DType::f64)), x));
}

// aten::mvlgamma(Tensor self, int p) -> Tensor
V mvlgamma(Call& c) {
  Expr x = cast(operand(c, "self"), DType::f64);
  const int64_t p = c.integer("p");
  Expr sum = lgamma(x);
  for (int64_t i = 1; i < p; ++i) sum = sum + lgamma(x - 0.5 * static_cast<double>(i));
  return result(c, sum + static_cast<double>(p * (p - 1)) / 4.0 * std::log(pi));
}

// x^a exp(-x) / gamma(a)
Expr gamma_factor(Expr a, Expr x) { return exp(a * log(x) - x - lgamma(a)); }

// The lower incomplete gamma function by its power series, for x up to a + 1.
Expr lower_gamma(Expr a, Expr x) {
  Call& c = a.call();
  Expr first = 1.0 / a;
  const auto step = [&](V round, const std::vector<Expr>& carried) {
    Expr term = carried[0] * x / (a + (cast(Expr(c, round), DType::f64) + 1.0));
    return Round{{term, carried[1] + term}, {}};
  };
  const Round end = repeat(c, c.constant_int(300), {first, first}, step);
  return gamma_factor(a, x) * Expr(c, end.carried[1]);
}

// The upper one by its continued fraction (Lentz's method), for larger x.
Expr upper_gamma(Expr a, Expr x) {
  Call& c = a.call();
  Expr start = x + 1.0 - a;
  const auto step = [&](V round, const std::vector<Expr>& carried) {
    Expr k = cast(Expr(c, round), DType::f64) + 1.0, factor = k * (a - k);
    Expr b = start + 2.0 * k, d = 1.0 / (b + factor * carried[0]), ratio = b + factor / carried[1];
    return Round{{d, ratio, carried[2] * d * ratio}, {}};
  };
  Expr d = 1.0 / start;
  const Round end = repeat(c, c.constant_int(300), {d, 1e300 + 0.0 * start, d}, step);
  return gamma_factor(a, x) * Expr(c, end.carried[2]);
}

// aten::igamma(Tensor self, Tensor other) -> Tensor, and igammac
template <bool Upper>
V incomplete_gamma(Call& c) {
  const auto operand_of = [&](const char* name) {
    return Expr(c, c.expand(c.tensor(name, DType::f64), c.out_shape()));
  };
  Expr a = operand_of("self"), x = operand_of("other");
  Expr is_small = x <= a + 1.0;
  Expr valid = (a > 0.0) & (x > 0.0) & !(is_infinite(a) | is_infinite(x));
  Expr safe_a = where(valid, a, 1.0);
  Expr lower = lower_gamma(safe_a, where(valid & is_small, x, 0.5));
  Expr upper = upper_gamma(where(valid & !is_small, a, 1.0), where(valid & !is_small, x, 4.0));
  Expr value = Upper ? where(is_small, 1.0 - lower, upper) : where(is_small, lower, 1.0 - upper);
  Expr none = Expr(c, c.constant(Upper ? 1.0 : 0.0, DType::f64)), all = 1.0 - none;
  value =
      where(equal(x, 0.0), none, where(is_infinite(a), none, where(is_infinite(x), all, value)));
  value = where(equal(a, 0.0), all, value);
  Expr undefined = (x < 0.0) | (a < 0.0) | (equal(a, 0.0) & (x <= 0.0)) |
                   (is_infinite(a) & is_infinite(x)) | is_nan(a) | is_nan(x);
  return result(c, where(undefined, kNan, value));
}

struct Format {
  int mantissa, lowest, highest;  // bits, and the exponents of normal numbers
};

Format format_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return {52, -1022, 1023};
    case DType::f16:
      return {10, -14, 15};
    case DType::bf16:
      return {7, -126, 127};
    default:
      return {23, -126, 127};
  }
}

// The power of two at or below |x|: the logarithm may be off by one, in either direction.
Expr power_below(Expr x) {
  Expr guess = power(2.0 + 0.0 * x, floor(log(x) / std::numbers::ln2));
  guess = where(guess > x, 0.5 * guess, guess);
  return where(2.0 * guess <= x, 2.0 * guess, guess);
}

// aten::nextafter(Tensor self, Tensor other) -> Tensor
V nextafter(Call& c) {
  const auto [mantissa, lowest, highest] = format_of(c.out_dtype());
  const double least = std::ldexp(1.0, lowest), epsilon = std::ldexp(1.0, -mantissa);
  const double largest = std::ldexp(2.0 - epsilon, highest);
  Expr x = cast(Expr(c, c.tensor("self")), DType::f64);
  Expr y = cast(Expr(c, c.tensor("other")), DType::f64);
  Expr size = abs(x), safe = where((size > least) & (size <= largest), size, least);
  Expr below = power_below(safe), inward = !equal(y > x, x > 0.0);
  Expr narrow = inward & equal(safe, below) & (size > least);  // gaps halve below a power of two
  Expr step = below * where(narrow, 0.5 * epsilon, Expr(c, c.constant(epsilon, DType::f64)));
  Expr direction = 2.0 * cast(y > x, DType::f64) - 1.0;
  Expr next = where(is_infinite(x), sign(x) * largest, x + direction * step);
  Expr undefined = is_nan(x) | is_nan(y);
  return result(c, where(undefined, kNan, where(equal(x, y), y, next)));
}

constexpr Row kRows[] = {
    {"aten::digamma", in_double<digamma>},
    {"aten::erf", formula<erf>},
    {"aten::erfc", formula<erfc>},
    {"aten::erfinv", in_double<erfinv>},
    {"aten::i0", in_double<i0>},
    {"aten::igamma", incomplete_gamma<false>},
    {"aten::igammac", incomplete_gamma<true>},
    {"aten::lgamma", in_double<lgamma>},
    {"aten::mvlgamma", mvlgamma},
    {"aten::nextafter", nextafter},
    {"aten::polygamma", polygamma},
    {"aten::special_digamma", in_double<digamma>},
    {"aten::special_entr", formula<entr>},
    {"aten::special_erf", formula<erf>},
    {"aten::special_erfc", formula<erfc>},
    {"aten::special_erfcx", in_double<erfcx>},
    {"aten::special_erfinv", in_double<erfinv>},
    {"aten::special_gammaln", in_double<lgamma>},
    {"aten::special_gammainc", incomplete_gamma<false>},
    {"aten::special_gammaincc", incomplete_gamma<true>},
    {"aten::special_i0", in_double<i0>},
    {"aten::special_i0e", in_double<i0e>},
    {"aten::special_i1", in_double<i1>},
    {"aten::special_i1e", in_double<i1e>},
    {"aten::special_log_ndtr", in_double<log_ndtr>},
    {"aten::special_modified_bessel_i0", in_double<i0>},
    {"aten::special_modified_bessel_i1", in_double<i1>},
    {"aten::special_multigammaln", mvlgamma},
    {"aten::special_ndtr", formula<ndtr>},
    {"aten::special_ndtri", in_double<ndtri>},
    {"aten::special_polygamma", polygamma},
    {"aten::special_psi", in_double<digamma>},
    {"aten::special_zeta", zeta},
    {"aten::special_zeta.other_scalar", zeta},
    {"aten::special_zeta.self_scalar", zeta},
};

}  // namespace

std::span<const Row> special_rows() { return kRows; }

}  // namespace modelexport::lowering
