// Histograms with the edges of their bins; histc, which has no edges, is with the orders.
#include <vector>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"

namespace modelexport::lowering {
namespace {

V sum(Call& c, V x, const std::vector<int64_t>& axes) {
  return reduce(c, "ReduceSum", x, axes, false);
}

// How much falls between one edge and the next: the last bin is closed, the others half open.
std::vector<V> between(Call& c, Expr x, Expr edges, Dim bins) {
  const Expr weight =
      c.is_none("weight") ? 1.0 + 0.0 * x : Expr(c, c.flatten_to_1d(c.tensor("weight", x.dtype())));
  const Expr values(c, c.unsqueeze(x, {1}));
  const Expr passed(c, sum(c, cast(edges <= values, DType::i64), {1}));
  const V last = c.slice(edges, 0, -1, INT64_MAX);
  const Expr at_end = equal(x, Expr(c, last));
  const Expr place = passed - 1.0 - cast(at_end, DType::i64);
  const Expr here = equal(Expr(c, c.unsqueeze(place, {1})), Expr(c, iota(c, bins)));
  const Expr counts(c, sum(c, where(here, Expr(c, c.unsqueeze(weight, {1})), 0.0), {0}));
  if (!c.boolean("density")) return {c.cast(counts, c.out_dtype(0)), c.cast(edges, c.out_dtype(1))};
  const Expr left(c, c.slice(edges, 0, 0, -1)), right(c, c.slice(edges, 0, 1, INT64_MAX));
  const Expr density = counts / Expr(c, sum(c, counts, {})) / (right - left);
  return {c.cast(density, c.out_dtype(0)), c.cast(edges, c.out_dtype(1))};
}

// bins + 1 numbers, counted from the nearer end, as linspace does.
Expr even_edges(Call& c, Expr low, Expr high, int64_t bins) {
  const Expr index = cast(Expr(c, iota(c, Dim{bins + 1})), low.dtype());
  const Expr step = (high - low) / static_cast<double>(bins);
  const Expr from_end = high - step * (static_cast<double>(bins) - index);
  return where(index < static_cast<double>((bins + 1) / 2), low + step * index, from_end);
}

// aten::histogram.bin_ct(Tensor self, int bins=100, *, float[]? range=None, Tensor? weight=None,
//     bool density=False) -> (Tensor hist, Tensor bin_edges)
std::vector<V> histogram(Call& c) {
  const Expr x(c, c.flatten_to_1d(c.tensor("self")));
  const int64_t bins = c.integer("bins");
  const bool given = !c.is_none("range");
  const auto end = [&](size_t index, const char* extremum) {
    return Expr(c, given ? c.constant(c.numbers("range").at(index), x.dtype())
                         : reduce(c, extremum, x, {}, false));
  };
  Expr low = end(0, "ReduceMin"), high = end(1, "ReduceMax");
  const Expr half = 0.5 * cast(equal(low, high), x.dtype());  // a point is given some width
  return between(c, x, even_edges(c, low - half, high + half, bins), bins);
}

// aten::histogram.bins_tensor(Tensor self, Tensor bins, *, Tensor? weight=None,
//     bool density=False) -> (Tensor hist, Tensor bin_edges)
std::vector<V> histogram_of_edges(Call& c) {
  const Expr x(c, c.flatten_to_1d(c.tensor("self")));
  return between(c, x, Expr(c, c.tensor("bins", x.dtype())), c.out_shape()[0]);
}

constexpr Row kRows[] = {
    {"aten::histogram.bin_ct", histogram},
    {"aten::histogram.bins_tensor", histogram_of_edges},
};

}  // namespace

std::span<const Row> histogram_rows() { return kRows; }

}  // namespace modelexport::lowering
