// Sorting, distinct values, positions in a sorted sequence, histograms.
#include <limits>
#include <string>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/promotion.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

Sorted sorted_self(Call& c, int64_t axis, bool descending) {
  V self = c.tensor("self");
  if (c.rank(self) == 0) return {self, c.constant_int(0)};
  return sorted(c, self, axis, descending);
}

// aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)
// aten::sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor
//    values, Tensor indices)
std::vector<V> sort(Call& c) {
  ignore_all_but(c, {"self", "dim", "descending"});  // TopK is stable
  const int64_t axis = c.axis("dim", c.rank(c.tensor("self")));
  const Sorted found = sorted_self(c, axis, c.boolean("descending"));
  return {found.values, found.indices};
}

// aten::argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor
V argsort(Call& c) { return sort(c)[1]; }

// aten::msort(Tensor self) -> Tensor
V msort(Call& c) { return sorted_self(c, 0, false).values; }

// aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor
//    values, Tensor indices)
std::vector<V> topk(Call& c) {
  c.ignore({"sorted"});  // unsorted ones may stand in any order
  V self = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(self));
  const Attributes attributes{attr("axis", axis), attr("largest", c.boolean("largest"))};
  std::vector<V> found = run_many(c, "TopK", {with_axis(c, self), c.int_list("k")}, 2, attributes);
  if (c.rank(self) == 0) found = {c.squeeze(found[0], {0}), c.squeeze(found[1], {0})};
  return found;
}

// ---- distinct values ---------------------------------------------------------------------------

V no_integers(Call& c) { return c.constant_ints({}); }

std::vector<V> unique_of(Call& c, V self, Attributes attributes) {
  attributes.push_back(attr("sorted", 1));
  // Values, first positions, inverse, counts.
  const std::vector<V> found = run_many(c, "Unique", {self}, 4, std::move(attributes));
  return {found[0], found[2], found[3]};
}

// aten::_unique2(Tensor self, bool sorted=True, bool return_inverse=False,
//    bool return_counts=False) -> (Tensor, Tensor, Tensor)
std::vector<V> unique(Call& c) {
  c.ignore({"sorted"});
  V self = c.tensor("self");
  std::vector<V> found = unique_of(c, self, {});
  found[1] = c.boolean("return_inverse") ? c.reshape(found[1], c.shape(self)) : no_integers(c);
  if (!c.boolean("return_counts")) found[2] = no_integers(c);
  return found;
}

// aten::_unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)
std::vector<V> unique_without_counts(Call& c) {
  c.ignore({"sorted"});
  V self = c.tensor("self");
  const std::vector<V> found = unique_of(c, self, {});
  const bool inverse = c.boolean("return_inverse");
  return {found[0], inverse ? c.reshape(found[1], c.shape(self)) : no_integers(c)};
}

// aten::unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False,
//    bool return_counts=False) -> (Tensor, Tensor, Tensor)
std::vector<V> unique_dim(Call& c) {
  c.ignore({"sorted", "return_inverse", "return_counts"});
  V self = c.tensor("self");
  return unique_of(c, self, {attr("axis", c.axis("dim", c.rank(self)))});
}

// Runs of equal slices along an axis: first slices, the run of each slice, lengths.
std::vector<V> runs_along(Call& c, V x, int64_t axis) {
  Expr differs = !equal(Expr(c, c.slice(x, axis, 1, kEnd)), Expr(c, c.slice(x, axis, 0, -1)));
  std::vector<int64_t> others;
  for (int64_t i = 0; c.has_shape(x) && i < c.rank(x); ++i) {
    if (i != axis) others.push_back(i);
  }
  if (!others.empty()) differs = truth(c, "ReduceSum", differs, others, false);
  V first = c.constant_tensor(DType::boolean, {1}, std::string(1, '\x01'));
  V starts = c.concat({first, differs}, 0);
  V values = run(c, "Compress", {x, starts}, {attr("axis", axis)});
  V run_of = run(c, "CumSum", {c.cast(starts, DType::i64), c.constant_int(0)});
  V positions =
      c.typed(c.reshape_to(c.node("NonZero", {starts}), c.constant_ints({-1})), DType::i64);
  V ends = c.concat({c.slice(positions, 0, 1, kEnd), c.size_of(x, axis)}, 0);
  return {values, c.sub(run_of, c.constant_int(1)), c.sub(ends, positions)};
}

// aten::unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False,
//    int? dim=None) -> (Tensor, Tensor, Tensor)
std::vector<V> unique_consecutive(Call& c) {
  V self = c.tensor("self");
  // Over a dimension all results are returned, asked for or not; PyTorch takes 0 of a vector for
  // None.
  const bool flat = c.is_none("dim") || (c.integer("dim") == 0 && c.rank(self) == 1);
  const int64_t axis = flat ? 0 : c.axis("dim", c.rank(self));
  std::vector<V> found = runs_along(c, flat ? c.flatten_to_1d(self) : self, axis);
  const bool inverse = c.boolean("return_inverse"), counts = c.boolean("return_counts");
  if (flat) found[1] = inverse ? c.reshape(found[1], c.shape(self)) : no_integers(c);
  if (flat && !counts) found[2] = no_integers(c);
  return found;
}

// aten::unique_dim_consecutive(Tensor self, int dim, bool return_inverse=False,
//    bool return_counts=False) -> (Tensor, Tensor, Tensor)
std::vector<V> unique_dim_consecutive(Call& c) {
  c.ignore({"return_inverse", "return_counts"});
  V self = c.tensor("self");
  return runs_along(c, self, c.axis("dim", c.rank(self)));
}

// ---- positions in a sorted sequence ------------------------------------------------------------

// How many boundaries (the last axis) are below each value; NaN is above all of them.
V count_below(Expr boundaries, Expr values, bool right) {
  Call& c = values.call();
  Expr above = right ? boundaries > values : boundaries >= values;
  V below = c.cast(!above, DType::i64);
  return c.cast(reduce(c, "ReduceSum", below, {c.rank(below) - 1}, false), c.out_dtype());
}

// aten::bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False,
//    bool right=False) -> Tensor
V bucketize(Call& c) {
  c.ignore({"out_int32"});
  const DType dtype = promoted_dtype(c, {"self", "boundaries"});
  V self = c.tensor("self", dtype);
  Expr values(c, c.unsqueeze(self, {c.rank(self)}));
  return count_below(Expr(c, c.tensor("boundaries", dtype)), values, c.boolean("right"));
}

// aten::searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool out_int32=False,
//    bool right=False, str? side=None, Tensor? sorter=None) -> Tensor
V searchsorted(Call& c) {
  c.ignore({"out_int32"});
  const DType dtype = promoted_dtype(c, {"sorted_sequence", "self"});
  V sequence = c.tensor("sorted_sequence", dtype), self = c.tensor("self", dtype);
  const int64_t rank = c.rank(sequence);
  if (V sorter = c.optional_tensor("sorter"); sorter != kOmitted) {
    sequence = c.node("GatherElements", {sequence, sorter}, {attr("axis", rank - 1)});
  }
  if (rank > 1) sequence = c.unsqueeze(sequence, {rank - 1});
  Expr values(c, c.unsqueeze(self, {c.rank(self)}));
  const bool right = c.is_none("side") ? c.boolean("right") : c.text("side") == "right";
  c.ignore({"right"});
  return count_below(Expr(c, sequence), values, right);
}

// ---- histograms --------------------------------------------------------------------------------

// How many of some integers (1-D int64) are 0, 1, ... count-1, or the sum of their weights.
V tally(Call& c, V integers, V count, V weights) {
  V range = c.typed(c.node("Range", {c.constant_int(0), count, c.constant_int(1)}), DType::i64);
  Expr same = equal(Expr(c, c.unsqueeze(integers, {1})), Expr(c, range));
  Expr counted = cast(same, c.out_dtype());
  if (weights != kOmitted) {
    counted = counted * Expr(c, c.unsqueeze(c.cast(weights, c.out_dtype()), {1}));
  }
  return c.cast(reduce(c, "ReduceSum", counted, {0}, false), c.out_dtype());
}

// aten::bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor
V bincount(Call& c) {
  V self = c.tensor("self", DType::i64);
  V least = c.sub(c.int_list("minlength"), c.constant_ints({1}));
  V largest = reduce(c, "ReduceMax", c.concat({self, least}, 0), {}, false);
  V count = c.add(largest, c.constant_int(1));
  return tally(c, self, count, c.optional_tensor("weights"));
}

// aten::histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor
V histc(Call& c) {
  Expr x(c, c.flatten_to_1d(operand(c, "self")));
  Expr bins = number(c, "bins", x.dtype());
  Expr low(c, c.scalar("min", x.dtype())), high(c, c.scalar("max", x.dtype()));
  const bool known = c.is_known("min") && c.is_known("max");
  if (!known || c.number("min") == c.number("max")) {
    Expr none = equal(low, high), least(c, reduce(c, "ReduceMin", x, {}, false));
    Expr most(c, reduce(c, "ReduceMax", x, {}, false));
    low = known ? least : where(none, least, low);
    high = known ? most : where(none, most, high);
    Expr point = equal(low, high);
    low = where(point, low - 1.0, low);
    high = where(point, high + 1.0, high);
  }
  Expr position = (x - low) * bins / (high - low);
  Expr last = equal(x, high);  // the last bin is closed
  position = where(last, bins - 1.0, floor(position));
  V bin = where((x >= low) & (x <= high), position, -1.0);
  return tally(c, c.cast(bin, DType::i64), c.scalar("bins", DType::i64), kOmitted);
}

constexpr Row kRows[] = {
    {"aten::_unique", unique_without_counts},
    {"aten::_unique2", unique},
    {"aten::argsort", argsort},
    {"aten::argsort.stable", argsort},
    {"aten::bincount", bincount},
    {"aten::bucketize.Scalar", bucketize},
    {"aten::bucketize.Tensor", bucketize},
    {"aten::histc", histc},
    {"aten::msort", msort},
    {"aten::searchsorted.Scalar", searchsorted},
    {"aten::searchsorted.Tensor", searchsorted},
    {"aten::sort", sort},
    {"aten::sort.stable", sort},
    {"aten::topk", topk},
    {"aten::unique_consecutive", unique_consecutive},
    {"aten::unique_dim", unique_dim},
    {"aten::unique_dim_consecutive", unique_dim_consecutive},
};

}  // namespace

std::span<const Row> order_rows() { return kRows; }

}  // namespace modelexport::lowering
