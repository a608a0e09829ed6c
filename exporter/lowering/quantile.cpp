// Quantiles: elements at fractional places of the sorted values.
#include <numeric>
#include <string>
#include <vector>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/reduction.h"

namespace modelexport::lowering {
namespace {

// The values along the reduced dimension as the last one; all of them if there is none.
V along_last(Call& c, V x) {
  if (c.is_none("dim")) return c.flatten_to_1d(x);
  if (c.rank(x) == 0) return c.unsqueeze(x, {0});
  const int64_t rank = c.rank(x), axis = c.axis("dim", rank);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < rank; ++i) {
    if (i != axis) order.push_back(i);
  }
  order.push_back(axis);
  return c.transpose(x, order);
}

Expr elements_at(Expr values, Expr places) {
  Call& c = values.call();
  const int64_t last = c.rank(places) - 1;
  const V indices = c.cast(places, DType::i64);
  const V found = c.node("GatherElements", {values, indices}, {attr("axis", last)});
  return Expr(c, c.typed(found, values.dtype(), c.shape(places)));
}

Expr ceil_of(Expr x) { return -floor(-x); }

Expr interpolated(Call& c, Expr values, Expr places) {
  const std::string how = c.text("interpolation");
  if (how == "lower") return elements_at(values, floor(places));
  if (how == "higher") return elements_at(values, ceil_of(places));
  if (how == "nearest") return elements_at(values, round(places));
  Expr low = elements_at(values, floor(places)), high = elements_at(values, ceil_of(places));
  Expr weight = how == "midpoint" ? 0.5 + 0.0 * places : places - floor(places);
  return where(weight < 0.5, low + weight * (high - low), high - (high - low) * (1.0 - weight));
}

// aten::quantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *,
//     str interpolation='linear') -> Tensor
// aten::nanquantile, and both with a number q
template <bool IgnoresNan>
V quantile(Call& c) {
  c.ignore({"keepdim"});  // only ones in the shape
  const V x = along_last(c, c.tensor("self")), q = c.tensor("q", c.dtype_of(x));
  const int64_t last = c.is_none("dim") ? 0 : c.rank(x) - 1;
  const Expr values(c, sorted(c, x, last, false).values);
  const Expr numbers = !is_nan(Expr(c, x));
  const Expr fractions(c, c.rank(q) == 0 ? c.unsqueeze(q, {0}) : q);
  V numbers_seen = reduce(c, "ReduceSum", cast(numbers, c.dtype_of(x)), {last}, true);
  if (last == 0) c.typed(numbers_seen, c.dtype_of(x), {1});
  const Expr count(c, numbers_seen);
  const V length = c.typed(c.squeeze(c.size_of(x, last), {0}), DType::i64, {});
  const Expr size(c, c.cast(length, c.dtype_of(x)));
  Expr places = IgnoresNan ? fractions * maximum(count - 1.0, 0.0)
                           : where(count < size, size - 1.0, fractions * (size - 1.0));
  const Expr found = interpolated(c, values, places);
  std::vector<int64_t> order(last + 1);  // the quantiles first
  std::iota(order.begin() + 1, order.end(), 0);
  order[0] = last;
  return c.reshape(c.transpose(found, order), c.out_shape());
}

constexpr Row kRows[] = {
    {"aten::nanquantile", quantile<true>},
    {"aten::nanquantile.scalar", quantile<true>},
    {"aten::quantile", quantile<false>},
    {"aten::quantile.scalar", quantile<false>},
};

}  // namespace

std::span<const Row> quantile_rows() { return kRows; }

}  // namespace modelexport::lowering
