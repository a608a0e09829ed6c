// Running sums, products and extrema, differences and integrals along a dimension.
#include <algorithm>
#include <limits>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

V cumulative_sum(Call& c, V x, int64_t axis) { return run(c, "CumSum", {x, c.constant_int(axis)}); }

// aten::cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor
V cumsum(Call& c) {
  c.ignore({"dtype"});
  V self = c.tensor("self", c.out_dtype());
  const int64_t axis = c.axis("dim", c.rank(self));
  return c.rank(self) == 0 ? self : cumulative_sum(c, self, axis);
}

// What ONNX has no scan for is reduced over all prefixes at once: the axis becomes two, the
// prefix's last position and the position in it, and `inside` tells what belongs to the prefix.
struct Prefixes {
  Expr elements;   // with axis `axis` of size 1 inserted
  Expr inside;     // [n, n, 1...]
  Expr positions;  // 0..n-1 on axis + 1: [n, 1...]
  int64_t axis;
};

Prefixes prefixes(Call& c, V x, int64_t axis) {
  std::vector<int64_t> trailing;
  for (int64_t i = 1; i < c.rank(x) - axis; ++i) trailing.push_back(i);
  V count = c.reshape(c.size_of(x, axis), {});
  V range = c.node("Range", {c.constant_int(0), count, c.constant_int(1)});
  range = c.typed(range, DType::i64, {c.shape(x)[axis]});
  Expr positions(c, c.unsqueeze(range, trailing));
  Expr last(c, c.unsqueeze(positions, {1}));
  return {Expr(c, c.unsqueeze(x, {axis})), positions <= last, positions, axis};
}

V reduce_prefixes(const Prefixes& p, std::string_view op_type, Expr neutral) {
  Expr elements = where(p.inside, p.elements, neutral);
  return reduce(elements.call(), op_type, elements, {p.axis + 1}, false);
}

// aten::cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor
V cumprod(Call& c) {
  c.ignore({"dtype"});
  V self = c.tensor("self", c.out_dtype());
  const int64_t axis = c.axis("dim", c.rank(self));
  if (c.rank(self) == 0) return self;
  return reduce_prefixes(prefixes(c, self, axis), "ReduceProd", 1.0);
}

// aten::logcumsumexp(Tensor self, int dim) -> Tensor
V logcumsumexp(Call& c) {
  Expr self = operand(c, "self");
  const int64_t axis = c.axis("dim", c.rank(self));
  if (c.rank(self) == 0) return result(c, self);
  return c.cast(reduce_prefixes(prefixes(c, self, axis), "ReduceLogSumExp", -kInfinity),
                c.out_dtype());
}

// aten::cummax(Tensor self, int dim) -> (Tensor values, Tensor indices), and cummin: the last
//    position of the extremum so far; NaN beats everything
template <OpType Name>
std::vector<V> cumulative_extremum(Call& c) {
  V self = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(self));
  if (c.rank(self) == 0) return {self, c.constant_int(0)};
  Expr key(c, self);
  if (is_floating(key.dtype())) {
    key = where(is_nan(key), Name.view() == "ReduceMax" ? kInfinity : -kInfinity, key);
  }
  const Prefixes p = prefixes(c, key, axis);
  // Every prefix holds the first element, so that it is neutral.
  Expr first(c, c.unsqueeze(c.slice(key, axis, 0, 1), {axis}));
  Expr best(c, reduce_prefixes(p, Name.view(), first));
  Expr found = p.inside & equal(p.elements, Expr(c, c.unsqueeze(best, {axis + 1})));
  V index = reduce(c, "ReduceMax", where(found, p.positions, -1.0), {axis + 1}, false);
  return {c.node("GatherElements", {self, index}, {attr("axis", axis)}), index};
}

Expr after_first(Expr x, int64_t axis) { return Expr(x.call(), x.call().slice(x, axis, 1, kEnd)); }

Expr before_last(Expr x, int64_t axis) { return Expr(x.call(), x.call().slice(x, axis, 0, -1)); }

// aten::diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None,
//    Tensor? append=None) -> Tensor
V diff(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  const int64_t axis = c.axis("dim", c.rank(self));
  const int64_t order = c.integer("n");
  if (order == 0) {
    c.ignore({"prepend", "append"});
    return self;
  }
  std::vector<V> parts{self};
  if (!c.is_none("prepend")) parts.insert(parts.begin(), c.tensor("prepend", c.out_dtype()));
  if (!c.is_none("append")) parts.push_back(c.tensor("append", c.out_dtype()));
  Expr x(c, c.concat(parts, axis));
  for (int64_t n = order; n > 0; --n) {
    Expr later = after_first(x, axis), earlier = before_last(x, axis);
    x = x.dtype() == DType::boolean ? Expr(c, c.node("Xor", {later, earlier})) : later - earlier;
  }
  return x;
}

// The areas under y between its neighbouring points along an axis.
template <bool HasX>
Expr trapezoids(Call& c, int64_t& axis) {
  Expr y = operand(c, "y");
  axis = c.axis("dim", c.rank(y));
  Expr width(c, kOmitted);
  if constexpr (HasX) {
    Expr x = operand(c, "x");
    const int64_t own = c.rank(x) == 1 ? 0 : axis;
    width = after_first(x, own) - before_last(x, own);
    if (c.rank(x) == 1) {  // lies along the axis
      std::vector<int64_t> trailing;
      for (int64_t i = 1; i < c.rank(y) - axis; ++i) trailing.push_back(i);
      width = Expr(c, c.unsqueeze(width, trailing));
    }
  } else {
    width = Expr(c, c.scalar("dx", y.dtype()));
  }
  return (after_first(y, axis) + before_last(y, axis)) * width / 2.0;
}

// aten::trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor
// aten::trapezoid.dx(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor
template <bool HasX>
V trapezoid(Call& c) {
  int64_t axis = 0;
  Expr areas = trapezoids<HasX>(c, axis);
  return result(c, Expr(c, reduce(c, "ReduceSum", areas, {axis}, false)));
}

// aten::cumulative_trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor, and dx
template <bool HasX>
V cumulative_trapezoid(Call& c) {
  int64_t axis = 0;
  Expr areas = trapezoids<HasX>(c, axis);
  return result(c, Expr(c, cumulative_sum(c, areas, axis)));
}

constexpr Row kRows[] = {
    {"aten::_logcumsumexp", logcumsumexp},
    {"aten::cummax", cumulative_extremum<"ReduceMax">},
    {"aten::cummin", cumulative_extremum<"ReduceMin">},
    {"aten::cumprod", cumprod},
    {"aten::cumsum", cumsum},
    {"aten::cumulative_trapezoid.dx", cumulative_trapezoid<false>},
    {"aten::cumulative_trapezoid.x", cumulative_trapezoid<true>},
    {"aten::diff", diff},
    {"aten::logcumsumexp", logcumsumexp},
    {"aten::trapezoid.dx", trapezoid<false>},
    {"aten::trapezoid.x", trapezoid<true>},
    {"aten::trapz.dx", trapezoid<false>},
    {"aten::trapz.x", trapezoid<true>},
};

}  // namespace

std::span<const Row> scan_table() {
  static const std::vector<Row> rows = joined(kRows, order_rows());
  return rows;
}

}  // namespace modelexport::lowering
