// Distances and similarities of vectors, and cross products.
#include <algorithm>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/infer.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

V norm(Call& c, V x, Expr p, int64_t axis, bool keepdim) {
  return vector_norm(Expr(c, x), p, {axis}, keepdim);
}

// ---- of all pairs
// ----------------------------------------------------------------------------------

// Distances of each row of `a` from each row of `b`: [..., rows of a, rows of b].
V all_distances(Call& c, V a, V b, Expr p) {
  const int64_t last = std::max(c.rank(a), c.rank(b)) - 1;
  const V from = c.unsqueeze(a, {c.rank(a) - 1}), to = c.unsqueeze(b, {c.rank(b) - 2});
  const V difference = run(c, "Sub", {from, to});
  return norm(c, difference, p, last + 1, false);
}

// aten::cdist(Tensor x1, Tensor x2, float p=2., int? compute_mode=None) -> Tensor
// aten::_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor
V cdist(Call& c) {
  c.ignore({"compute_mode"});
  return all_distances(c, c.tensor("x1"), c.tensor("x2"), number(c, "p", c.out_dtype()));
}

// aten::_euclidean_dist(Tensor x1, Tensor x2) -> Tensor
V euclidean_dist(Call& c) { return all_distances(c, c.tensor("x1"), c.tensor("x2"), 2.0); }

// aten::pdist(Tensor self, float p=2.) -> Tensor
V pdist(Call& c) {
  const V x = c.tensor("self"), along = iota(c, x, 0);
  const V is_later = c.node("Less", {c.unsqueeze(along, {1}), along});
  const V pairs = true_positions(c, is_later);
  const V from = c.gather(x, c.gather(pairs, c.constant_int(0), 1), 0);
  const V to = c.gather(x, c.gather(pairs, c.constant_int(1), 1), 0);
  const Shape shape{c.out_shape()[0], c.shape(x)[1]};
  const V differences = c.typed(run(c, "Sub", {from, to}), c.dtype_of(x), shape);
  return norm(c, differences, number(c, "p", c.out_dtype()), 1, false);
}

// ---- of vectors at the same place
// --------------------------------------------------------------------

// aten::pairwise_distance(Tensor x1, Tensor x2, float p=2., float eps=1e-06, bool keepdim=False)
//     -> Tensor
V pairwise_distance(Call& c) {
  const DType dtype = c.out_dtype();
  const V a = c.tensor("x1", dtype), b = c.tensor("x2", dtype);
  const V difference = run(c, "Sub", {a, b});
  const V moved = run(c, "Add", {difference, c.scalar("eps", dtype)});
  const int64_t last = std::max(c.rank(a), c.rank(b)) - 1;
  return norm(c, moved, number(c, "p", dtype), last, c.boolean("keepdim"));
}

// aten::cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor
V cosine_similarity(Call& c) {
  const DType dtype = c.out_dtype();
  const V a = c.tensor("x1", dtype), b = c.tensor("x2", dtype);
  // The axis is one of the shape that both broadcast to.
  const std::optional<Shape> shape = broadcast(c.shape(a), c.shape(b));
  if (!shape) throw Unsupported{"tensors whose sizes depend differently on the inputs"};
  const int64_t axis = c.axis("dim", std::ssize(*shape));
  const V eps = c.scalar("eps", dtype);
  const auto unit = [&](V x) {
    x = expand(c, x, *shape);
    return run(c, "Div", {x, run(c, "Max", {norm(c, x, 2.0, axis, true), eps})});
  };
  return reduce(c, "ReduceSum", run(c, "Mul", {unit(a), unit(b)}), {axis}, false);
}

// ---- cross products
// --------------------------------------------------------------------------------

// An axis counts from the end of the tensor that has fewer.
V cross_along(Call& c, V a, V b, int64_t axis_from_end) {
  const auto turned = [&](V x, std::vector<int64_t> order) {
    return c.gather(x, c.constant_ints(order), c.rank(x) - axis_from_end);
  };
  const V plus = run(c, "Mul", {turned(a, {1, 2, 0}), turned(b, {2, 0, 1})});
  const V minus = run(c, "Mul", {turned(a, {2, 0, 1}), turned(b, {1, 2, 0})});
  return run(c, "Sub", {plus, minus});
}

// aten::linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor
V linalg_cross(Call& c) {
  const int64_t rank = c.out_rank();
  return cross_along(c, c.tensor("self", c.out_dtype()), c.tensor("other", c.out_dtype()),
                     rank - c.axis("dim", rank));
}

// aten::cross(Tensor self, Tensor other, int? dim=None) -> Tensor
V cross(Call& c) {
  if (!c.is_none("dim")) return linalg_cross(c);
  const V a = c.tensor("self", c.out_dtype()), b = c.tensor("other", c.out_dtype());
  // The first axis of size 3, by PyTorch's definition.
  const Shape shape = c.shape(a);
  const auto axis = std::ranges::find(shape, 3) - shape.begin();
  return cross_along(c, a, b, c.rank(a) - axis);
}

}  // namespace

std::span<const Row> distance_rows() {
  static constexpr Row kRows[] = {
      {"aten::_cdist_forward", cdist},
      {"aten::_euclidean_dist", euclidean_dist},
      {"aten::cdist", cdist},
      {"aten::cosine_similarity", cosine_similarity},
      {"aten::cross", cross},
      {"aten::linalg_cross", linalg_cross},
      {"aten::pairwise_distance", pairwise_distance},
      {"aten::pdist", pdist},
  };
  return kRows;
}

}  // namespace modelexport::lowering
