// Extrema and order statistics that come with their positions.
#include <limits>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The position of the first extremum, its axis kept; the first NaN counts as one. (ONNX Runtime
// skips NaNs, hence infinities in their place.)
V position(Call& c, std::string_view op_type, V x, int64_t axis) {
  Expr key(c, x);
  if (is_floating(key.dtype())) {
    key = where(is_nan(key), op_type == "ArgMax" ? kInfinity : -kInfinity, key);
  }
  key = cast(key, kernel_dtype(op_type, key.dtype()));
  V index = c.node(op_type, {key}, {attr("axis", axis), attr("keepdims", 1)});
  return c.typed(index, DType::i64);
}

V gather_elements(Call& c, V x, V indices, int64_t axis) {
  return c.node("GatherElements", {x, indices}, {attr("axis", axis)});
}

// Values and indices of one position per axis, which is kept or dropped as observed.
std::vector<V> values_and_indices(Call& c, V value, V index, int64_t axis, bool keepdim) {
  const bool scalar = c.rank(c.tensor("self")) == 0;
  if (keepdim && !scalar) return {value, index};
  return {c.squeeze(value, {axis}), c.squeeze(index, {axis})};
}

// aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices), and
//    min
template <OpType Name>
std::vector<V> extremum_dim(Call& c) {
  V self = with_axis(c, c.tensor("self"));
  const int64_t axis = c.axis("dim", c.rank(self));
  V index = position(c, Name.view(), self, axis);
  V value = gather_elements(c, self, index, axis);
  return values_and_indices(c, value, index, axis, c.boolean("keepdim"));
}

// aten::argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor, and argmin
template <OpType Name>
V arg_extremum(Call& c) {
  V self = c.tensor("self");
  const bool keepdim = c.boolean("keepdim");
  if (c.is_none("dim")) {
    return c.reshape(position(c, Name.view(), c.flatten_to_1d(self), 0), c.out_shape());
  }
  const int64_t axis = c.axis("dim", c.rank(self));
  V index = position(c, Name.view(), with_axis(c, self), axis);
  return keepdim && c.rank(self) > 0 ? index : c.squeeze(index, {axis});
}

// The element at a rank (1-D int64, one element) of the sorted order, the axis kept.
Sorted at_rank(Call& c, const Sorted& order, V rank, int64_t axis) {
  return {c.gather(order.values, rank, axis), c.gather(order.indices, rank, axis)};
}

// The lower median: NaN if there is one, then with its position.
Sorted lower_median(Call& c, V x, int64_t axis) {
  const Sorted order = sorted(c, x, axis, false);
  V last = c.sub(c.size_of(x, axis), c.constant_ints({1}));
  Sorted median = at_rank(c, order, c.div(last, c.constant_ints({2})), axis);
  if (!is_floating(c.dtype_of(x))) return median;
  const Sorted largest = at_rank(c, order, last, axis);
  Expr nan = is_nan(Expr(c, largest.values));
  return {where(nan, Expr(c, largest.values), Expr(c, median.values)),
          where(nan, Expr(c, largest.indices), Expr(c, median.indices))};
}

// The lower median of what is not NaN: NaNs are sorted to the end and not counted.
Sorted lower_nan_median(Call& c, V x, int64_t axis) {
  if (!is_floating(c.dtype_of(x))) return lower_median(c, x, axis);
  const Sorted order = sorted(c, x, axis, false);
  Expr present = cast(!is_nan(Expr(c, x)), DType::i64);
  Expr count(c, reduce(c, "ReduceSum", present, {axis}, true));
  Expr rank = maximum(count - 1.0, 0.0) / 2.0;
  return {gather_elements(c, order.values, rank, axis),
          gather_elements(c, order.indices, rank, axis)};
}

// aten::median(Tensor self) -> Tensor, and nanmedian
template <Sorted (*Median)(Call&, V, int64_t)>
V median(Call& c) {
  V self = c.flatten_to_1d(c.tensor("self"));
  if (c.has_shape(self) && c.shape(self) == Shape{0}) return filled(c, kNan);
  return c.squeeze(Median(c, self, 0).values, {0});
}

// aten::median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
template <Sorted (*Median)(Call&, V, int64_t)>
std::vector<V> median_dim(Call& c) {
  V self = with_axis(c, c.tensor("self"));
  const int64_t axis = c.axis("dim", c.rank(self));
  const Sorted median = Median(c, self, axis);
  return values_and_indices(c, median.values, median.indices, axis, c.boolean("keepdim"));
}

// aten::kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor
//    indices)
std::vector<V> kthvalue(Call& c) {
  V self = with_axis(c, c.tensor("self"));
  const int64_t axis = c.axis("dim", c.rank(self));
  V rank = c.sub(c.int_list("k"), c.constant_ints({1}));
  const Sorted found = at_rank(c, sorted(c, self, axis, false), rank, axis);
  return values_and_indices(c, found.values, found.indices, axis, c.boolean("keepdim"));
}

// aten::mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices): the
//    smallest of the most frequent values, and where it is last
std::vector<V> mode(Call& c) {
  V self = with_axis(c, c.tensor("self"));
  const int64_t rank = c.rank(self), axis = c.axis("dim", rank);
  Expr pairs = equal(Expr(c, c.unsqueeze(self, {axis})), Expr(c, c.unsqueeze(self, {axis + 1})));
  Expr counts(c, reduce(c, "ReduceSum", cast(pairs, DType::i64), {axis + 1}, false));
  Expr most(c, reduce(c, "ReduceMax", counts, {axis}, true));
  // In order, the first one that is as frequent as any.
  const Sorted order = sorted(c, self, axis, false);
  Expr frequent = equal(Expr(c, gather_elements(c, counts, order.indices, axis)), most);
  V rank_of_mode = position(c, "ArgMax", cast(frequent, DType::i32), axis);
  Expr value(c, gather_elements(c, order.values, rank_of_mode, axis));
  Expr here = cast(equal(Expr(c, self), value), DType::i32);
  V index = c.node("ArgMax", {here},
                   {attr("axis", axis), attr("keepdims", 1), attr("select_last_index", 1)});
  return values_and_indices(c, value, index, axis, c.boolean("keepdim"));
}

constexpr Row kRows[] = {
    {"aten::argmax", arg_extremum<"ArgMax">},
    {"aten::argmin", arg_extremum<"ArgMin">},
    {"aten::kthvalue", kthvalue},
    {"aten::max.dim", extremum_dim<"ArgMax">},
    {"aten::median", median<lower_median>},
    {"aten::median.dim", median_dim<lower_median>},
    {"aten::min.dim", extremum_dim<"ArgMin">},
    {"aten::mode", mode},
    {"aten::nanmedian", median<lower_nan_median>},
    {"aten::nanmedian.dim", median_dim<lower_nan_median>},
};

}  // namespace

V with_axis(Call& c, V x) { return c.rank(x) == 0 ? c.unsqueeze(x, {0}) : x; }

Sorted sorted(Call& c, V x, int64_t axis, bool descending) {
  const std::vector<V> found = run_many(c, "TopK", {x, c.size_of(x, axis)}, 2,
                                        {attr("axis", axis), attr("largest", descending)});
  if (!c.has_shape(x)) return {found[0], found[1]};
  return {c.typed(found[0], c.dtype_of(x), c.shape(x)), c.typed(found[1], DType::i64, c.shape(x))};
}

std::span<const Row> extrema_rows() { return kRows; }

}  // namespace modelexport::lowering
