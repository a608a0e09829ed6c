// Reductions of segments: runs of rows given by their lengths or by where they begin.
#include <limits>
#include <string>
#include <vector>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/reduction.h"

namespace modelexport::lowering {
namespace {

struct Bounds {
  Expr begin, end;  // [*, segments]
};

Bounds bounds(Call& c) {
  if (!c.is_none("lengths")) {
    const Expr lengths(c, c.tensor("lengths", DType::i64));
    const int64_t last = c.rank(lengths) - 1;
    const Expr ends(c, c.node("CumSum", {lengths, c.constant_int(last)}));
    return {ends - lengths, ends};
  }
  const V offsets = c.tensor("offsets", DType::i64);
  const int64_t last = c.rank(offsets) - 1;
  return {Expr(c, c.slice(offsets, last, 0, -1)),
          Expr(c, c.slice(offsets, last, 1, std::numeric_limits<int64_t>::max()))};
}

double neutral(const std::string& how) {
  if (how == "max") return -std::numeric_limits<double>::infinity();
  if (how == "min") return std::numeric_limits<double>::infinity();
  return how == "prod" ? 1.0 : 0.0;
}

Expr reduced_rows(Call& c, const std::string& how, Expr rows, int64_t axis, double initial) {
  if (how == "max") return maximum(Expr(c, extremum(c, "ReduceMax", rows, {axis}, false)), initial);
  if (how == "min") return minimum(Expr(c, extremum(c, "ReduceMin", rows, {axis}, false)), initial);
  if (how == "prod") return Expr(c, reduce(c, "ReduceProd", rows, {axis}, false)) * initial;
  return Expr(c, reduce(c, "ReduceSum", rows, {axis}, false)) + initial;
}

// aten::segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None,
//     Tensor? offsets=None, int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor
V segment_reduce(Call& c) {
  c.ignore({"indices", "unsafe", "lengths", "offsets"});
  const Expr data = operand(c, "data");
  const std::string how = c.text("reduce");
  const int64_t axis = c.axis("axis", c.rank(data));
  const auto [begin, end] = bounds(c);
  const Expr places(c, iota(c, data, axis));
  const auto column = [&](Expr x) { return Expr(c, c.unsqueeze(x, {c.rank(x)})); };
  std::vector<int64_t> inner;  // what each row holds
  for (int64_t i = axis + 1; i < c.rank(data); ++i) inner.push_back(i + 1);
  const Expr within = (column(begin) <= places) & (places < column(end));
  const Expr mask(c, c.unsqueeze(within, inner));
  const Expr rows = where(mask, Expr(c, c.unsqueeze(data, {axis})), neutral(how));
  const double initial = c.optional_number("initial").value_or(neutral(how));
  const Expr value = reduced_rows(c, how, rows, axis + 1, initial);
  if (how != "mean") return result(c, value);
  for (int64_t& i : inner) --i;
  const Expr count(c, c.unsqueeze(cast(end - begin, value.dtype()), inner));
  if (c.is_none("initial")) return result(c, value / count);
  return result(c, where(count > 0.0, value / count, value));
}

constexpr Row kRows[] = {
    {"aten::segment_reduce", segment_reduce},
};

}  // namespace

std::span<const Row> segment_rows() { return kRows; }

}  // namespace modelexport::lowering
