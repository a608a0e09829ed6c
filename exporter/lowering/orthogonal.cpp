// Orthogonal polynomials by their recurrences, as many steps as the largest degree asks for.
#include <limits>

#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/repeat.h"

namespace modelexport::lowering {
namespace {

// A family: the polynomial of degree 1, and that of degree k + 1 from those of degree k and k - 1.
struct Family {
  Expr (*first)(Expr x);
  Expr (*next)(Expr x, Expr k, Expr last, Expr before);
  bool limited = false;  // LibTorch gives NaN for large degrees
};

Expr chebyshev(Expr x, Expr, Expr last, Expr before) { return 2.0 * x * last - before; }

constexpr Family kT = {[](Expr x) { return x; }, chebyshev};
constexpr Family kU = {[](Expr x) { return 2.0 * x; }, chebyshev};
constexpr Family kV = {[](Expr x) { return 2.0 * x - 1.0; }, chebyshev};
constexpr Family kW = {[](Expr x) { return 2.0 * x + 1.0; }, chebyshev};
constexpr Family kH = {
    [](Expr x) { return 2.0 * x; },
    [](Expr x, Expr k, Expr last, Expr before) { return 2.0 * (x * last - k * before); }, true};
constexpr Family kHe = {
    [](Expr x) { return x; },
    [](Expr x, Expr k, Expr last, Expr before) { return x * last - k * before; }, true};
constexpr Family kLaguerre = {[](Expr x) { return 1.0 - x; },
                              [](Expr x, Expr k, Expr last, Expr before) {
                                return ((2.0 * k + 1.0 - x) * last - k * before) / (k + 1.0);
                              }};
constexpr Family kLegendre = {[](Expr x) { return x; },
                              [](Expr x, Expr k, Expr last, Expr before) {
                                return ((2.0 * k + 1.0) * x * last - k * before) / (k + 1.0);
                              }};

Expr polynomials(const Family& family, Expr x, Expr n) {
  Call& c = x.call();
  // Where there is no n at all, the largest is the least of its dtype.
  const V largest = reduce(c, "ReduceMax", cast(n, DType::i64), {}, false);
  const V count = c.sub(c.node("Max", {largest, c.constant_int(1)}), c.constant_int(1));
  Expr zero = 0.0 * x + 0.0 * n, one = 1.0 + zero, first = family.first(x) + zero;
  Expr start = where(equal(n, 0.0), one, where(equal(n, 1.0), first, zero));
  const auto step = [&](V round, const auto& carried) {
    Expr k = cast(Expr(c, round), DType::f64) + 1.0;
    Expr next = family.next(x, k, carried[0], carried[1]);
    return Round{{next, carried[0], where(equal(n, k + 1.0), next, carried[2])}, {}};
  };
  return Expr(c, repeat(c, count, {first, one, start}, step).carried[2]);
}

// aten::special_chebyshev_polynomial_t(Tensor x, Tensor n) -> Tensor, and all others
template <const Family& F, bool Shifted = false>
V polynomial_of(Call& c) {
  Expr x = cast(Expr(c, c.tensor("x")), DType::f64);
  const auto widened = [&](Expr value) { return Expr(c, c.expand(value, c.out_shape())); };
  Expr n = widened(truncate(cast(Expr(c, c.tensor("n")), DType::f64)));
  if (Shifted) x = 2.0 * x - 1.0;
  Expr value = polynomials(F, widened(x), n);
  const double limit = c.out_dtype() == DType::f64 ? 512 : 128;
  if (F.limited) value = where(n > limit, std::numeric_limits<double>::quiet_NaN(), value);
  return result(c, value);
}

constexpr Row kRows[] = {
    {"aten::special_chebyshev_polynomial_t", polynomial_of<kT>},
    {"aten::special_chebyshev_polynomial_t.n_scalar", polynomial_of<kT>},
    {"aten::special_chebyshev_polynomial_t.x_scalar", polynomial_of<kT>},
    {"aten::special_chebyshev_polynomial_u", polynomial_of<kU>},
    {"aten::special_chebyshev_polynomial_u.n_scalar", polynomial_of<kU>},
    {"aten::special_chebyshev_polynomial_u.x_scalar", polynomial_of<kU>},
    {"aten::special_chebyshev_polynomial_v", polynomial_of<kV>},
    {"aten::special_chebyshev_polynomial_v.n_scalar", polynomial_of<kV>},
    {"aten::special_chebyshev_polynomial_v.x_scalar", polynomial_of<kV>},
    {"aten::special_chebyshev_polynomial_w", polynomial_of<kW>},
    {"aten::special_chebyshev_polynomial_w.n_scalar", polynomial_of<kW>},
    {"aten::special_chebyshev_polynomial_w.x_scalar", polynomial_of<kW>},
    {"aten::special_hermite_polynomial_h", polynomial_of<kH>},
    {"aten::special_hermite_polynomial_h.n_scalar", polynomial_of<kH>},
    {"aten::special_hermite_polynomial_h.x_scalar", polynomial_of<kH>},
    {"aten::special_hermite_polynomial_he", polynomial_of<kHe>},
    {"aten::special_hermite_polynomial_he.n_scalar", polynomial_of<kHe>},
    {"aten::special_hermite_polynomial_he.x_scalar", polynomial_of<kHe>},
    {"aten::special_laguerre_polynomial_l", polynomial_of<kLaguerre>},
    {"aten::special_laguerre_polynomial_l.n_scalar", polynomial_of<kLaguerre>},
    {"aten::special_laguerre_polynomial_l.x_scalar", polynomial_of<kLaguerre>},
    {"aten::special_legendre_polynomial_p", polynomial_of<kLegendre>},
    {"aten::special_legendre_polynomial_p.n_scalar", polynomial_of<kLegendre>},
    {"aten::special_legendre_polynomial_p.x_scalar", polynomial_of<kLegendre>},
    {"aten::special_shifted_chebyshev_polynomial_t", polynomial_of<kT, true>},
    {"aten::special_shifted_chebyshev_polynomial_t.n_scalar", polynomial_of<kT, true>},
    {"aten::special_shifted_chebyshev_polynomial_t.x_scalar", polynomial_of<kT, true>},
    {"aten::special_shifted_chebyshev_polynomial_u", polynomial_of<kU, true>},
    {"aten::special_shifted_chebyshev_polynomial_u.n_scalar", polynomial_of<kU, true>},
    {"aten::special_shifted_chebyshev_polynomial_u.x_scalar", polynomial_of<kU, true>},
    {"aten::special_shifted_chebyshev_polynomial_v", polynomial_of<kV, true>},
    {"aten::special_shifted_chebyshev_polynomial_v.n_scalar", polynomial_of<kV, true>},
    {"aten::special_shifted_chebyshev_polynomial_v.x_scalar", polynomial_of<kV, true>},
    {"aten::special_shifted_chebyshev_polynomial_w", polynomial_of<kW, true>},
    {"aten::special_shifted_chebyshev_polynomial_w.n_scalar", polynomial_of<kW, true>},
    {"aten::special_shifted_chebyshev_polynomial_w.x_scalar", polynomial_of<kW, true>},
};

}  // namespace

std::span<const Row> orthogonal_rows() { return kRows; }

}  // namespace modelexport::lowering
