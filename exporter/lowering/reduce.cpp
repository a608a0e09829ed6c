// Sums, products, extrema and truth over some dimensions, or all.
#include <algorithm>
#include <limits>
#include <string_view>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor, and prod
template <OpType Name>
V reduce_all(Call& c) {
  c.ignore({"dtype"});
  return reduce(c, Name.view(), c.tensor("self", c.out_dtype()), {}, false);
}

// aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor aten::prod.dim_int(Tensor self, int dim, bool
//    keepdim=False, *, ScalarType? dtype=None) -> Tensor
template <OpType Name>
V reduce_dims(Call& c) {
  c.ignore({"dtype"});
  V self = c.tensor("self", c.out_dtype());
  return reduce(c, Name.view(), self, c.axes("dim", c.rank(self)), c.boolean("keepdim"));
}

// aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor
V mean(Call& c) {
  c.ignore({"dtype"});
  return mean_over(Expr(c, c.tensor("self", c.out_dtype())), {}, false);
}

// aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor
V mean_dim(Call& c) {
  c.ignore({"dtype"});
  V self = c.tensor("self", c.out_dtype());
  return mean_over(Expr(c, self), c.axes("dim", c.rank(self)), c.boolean("keepdim"));
}

// aten::nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor
V nansum(Call& c) {
  c.ignore({"dtype"});
  Expr self(c, c.tensor("self", c.out_dtype()));
  if (is_floating(self.dtype())) self = where(is_nan(self), 0.0, self);
  return reduce(c, "ReduceSum", self, c.axes("dim", c.rank(self)), c.boolean("keepdim"));
}

// aten::nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *,
//    ScalarType? dtype=None) -> Tensor
V nanmean(Call& c) {
  c.ignore({"dtype"});
  Expr self = operand(c, "self");
  const std::vector<int64_t> axes = c.axes("dim", c.rank(self));
  const bool keepdim = c.boolean("keepdim");
  Expr missing = is_nan(self);
  Expr sum(c, reduce(c, "ReduceSum", where(missing, 0.0, self), axes, keepdim));
  Expr count(c, reduce(c, "ReduceSum", cast(!missing, self.dtype()), axes, keepdim));
  return result(c, sum / count);
}

// aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor, and amin
template <OpType Name>
V extremum_dims(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  return extremum(c, Name.view(), self, c.axes("dim", c.rank(self)), c.boolean("keepdim"));
}

// aten::max(Tensor self) -> Tensor, and min
template <OpType Name>
V extremum_all(Call& c) {
  return extremum(c, Name.view(), c.tensor("self", c.out_dtype()), {}, false);
}

// aten::aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)
std::vector<V> aminmax(Call& c) {
  V self = c.tensor("self");
  std::vector<int64_t> axes;
  if (!c.is_none("dim")) axes = {c.axis("dim", c.rank(self))};
  const bool keepdim = c.boolean("keepdim");
  V min = extremum(c, "ReduceMin", self, axes, keepdim);
  return {min, extremum(c, "ReduceMax", self, axes, keepdim)};
}

// aten::_aminmax(Tensor self) -> (Tensor, Tensor)
std::vector<V> aminmax_all(Call& c) {
  V self = c.tensor("self");
  V min = extremum(c, "ReduceMin", self, {}, false);
  return {min, extremum(c, "ReduceMax", self, {}, false)};
}

// aten::any(Tensor self) -> Tensor, and all
template <OpType Name>
V truth_all(Call& c) {
  return c.cast(truth(c, Name.view(), c.tensor("self", DType::boolean), {}, false), c.out_dtype());
}

// aten::any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor, and all
// aten::any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor
template <OpType Name>
V truth_dims(Call& c) {
  V self = c.tensor("self", DType::boolean);
  const std::vector<int64_t> axes = c.axes("dim", c.rank(self));
  const bool keepdim = c.boolean("keepdim");
  // An empty list, unlike None, reduces nothing.
  if (axes.empty() && !c.is_none("dim")) return c.cast(self, c.out_dtype());
  return c.cast(truth(c, Name.view(), self, axes, keepdim), c.out_dtype());
}

// aten::count_nonzero(Tensor self, int? dim=None) -> Tensor
// aten::count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor
V count_nonzero(Call& c) {
  V self = c.cast(c.tensor("self", DType::boolean), DType::i64);
  return reduce(c, "ReduceSum", self, c.axes("dim", c.rank(self)), false);
}

// aten::logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor
V logsumexp(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  return reduce(c, "ReduceLogSumExp", self, c.axes("dim", c.rank(self)), c.boolean("keepdim"));
}

// aten::sum_to_size(Tensor self, SymInt[] size) -> Tensor: undoes a broadcast
V sum_to_size(Call& c) {
  c.ignore({"size"});
  V self = c.tensor("self", c.out_dtype());
  const Shape& from = c.shape(self);
  const size_t added = from.size() - c.out_shape().size();
  std::vector<int64_t> axes;
  for (size_t i = 0; i < from.size(); ++i) {
    const bool widened = i >= added && c.out_shape()[i - added] == 1 && from[i] != 1;
    if (i < added || widened) axes.push_back(static_cast<int64_t>(i));
  }
  if (axes.empty()) return self;
  return c.reshape(reduce(c, "ReduceSum", self, axes, true), c.out_shape());
}

// Whether the size was 0 in an example.
bool may_be_empty(Call& c, Dim size) {
  if (is_static(size)) return size == 0;
  const std::vector<int64_t>& seen = c.program().symbols[symbol_index(size)].sizes;
  return std::ranges::find(seen, 0) != seen.end();
}

constexpr Row kRows[] = {
    {"aten::_aminmax", aminmax_all},
    {"aten::_aminmax.dim", aminmax},
    {"aten::_is_all_true", truth_all<"ReduceProd">},
    {"aten::_is_any_true", truth_all<"ReduceSum">},
    {"aten::all", truth_all<"ReduceProd">},
    {"aten::all.dim", truth_dims<"ReduceProd">},
    {"aten::all.dims", truth_dims<"ReduceProd">},
    {"aten::amax", extremum_dims<"ReduceMax">},
    {"aten::amin", extremum_dims<"ReduceMin">},
    {"aten::aminmax", aminmax},
    {"aten::any", truth_all<"ReduceSum">},
    {"aten::any.dim", truth_dims<"ReduceSum">},
    {"aten::any.dims", truth_dims<"ReduceSum">},
    {"aten::count_nonzero", count_nonzero},
    {"aten::count_nonzero.dim_IntList", count_nonzero},
    {"aten::logsumexp", logsumexp},
    {"aten::max", extremum_all<"ReduceMax">},
    {"aten::mean", mean},
    {"aten::mean.dim", mean_dim},
    {"aten::min", extremum_all<"ReduceMin">},
    {"aten::nanmean", nanmean},
    {"aten::nansum", nansum},
    {"aten::prod", reduce_all<"ReduceProd">},
    {"aten::prod.dim_int", reduce_dims<"ReduceProd">},
    {"aten::special_logsumexp", logsumexp},
    {"aten::sum", reduce_all<"ReduceSum">},
    {"aten::sum.dim_IntList", reduce_dims<"ReduceSum">},
    {"aten::sum_to_size", sum_to_size},
};

}  // namespace

V extremum(Call& c, std::string_view op_type, V x, const std::vector<int64_t>& axes, bool keepdim) {
  V value = reduce(c, op_type, x, axes, keepdim);
  const bool scalar = c.has_shape(x) && c.rank(x) == 0;
  if (!is_floating(c.dtype_of(x)) || scalar) return value;
  Expr nan = truth(c, "ReduceSum", is_nan(Expr(c, x)), axes, keepdim);
  return where(nan, std::numeric_limits<double>::quiet_NaN(), Expr(c, value));
}

Expr truth(Call& c, std::string_view op_type, V x, const std::vector<int64_t>& axes, bool keepdim) {
  V count = reduce(c, op_type, c.cast(x, DType::i32), axes, keepdim);
  return Expr(c, c.cast(count, DType::boolean));
}

Expr mean_over(Expr x, const std::vector<int64_t>& axes, bool keepdim) {
  Call& c = x.call();
  const Shape& shape = c.shape(x);
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    const bool reduced = axes.empty() || std::ranges::find(axes, axis) != axes.end();
    if (!reduced || !may_be_empty(c, shape[i])) continue;
    return Expr(c, reduce(c, "ReduceSum", x, axes, keepdim)) / reduced_count(c, x, axes, x.dtype());
  }
  return Expr(c, reduce(c, "ReduceMean", x, axes, keepdim));
}

std::span<const Row> reduce_table() {
  static const std::vector<Row> rows = [] {
    const std::vector<Row> with_extrema = joined(kRows, extrema_rows());
    return joined(with_extrema, statistics_rows());
  }();
  return rows;
}

}  // namespace modelexport::lowering
