// Reads at positions: select, slice, gather, advanced indices and masks. Writes are in scatter.cpp.
#include <algorithm>
#include <numeric>

#include "exporter/lowering/advanced_index.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/infer.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- one axis
// --------------------------------------------------------------------------------------

// aten::select.int(Tensor self, int dim, SymInt index) -> Tensor
V select(Call& c) {
  const V x = c.tensor("self");
  return c.gather(x, c.scalar("index", DType::i64), c.axis("dim", c.rank(x)));
}

// aten::slice.Tensor(Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1)
//     -> Tensor
V slice(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const auto bound = [&](std::string_view name, int64_t otherwise) {
    return c.is_none(name) ? c.constant_ints({otherwise}) : c.int_list(name);
  };
  const V start = bound("start", 0), end = bound("end", INT64_MAX), step = bound("step", 1);
  const auto first = c.known_integers(start), last = c.known_integers(end);
  if (const auto stride = c.known_integers(step); first && last && stride) {
    return c.slice(x, axis, first->at(0), last->at(0), stride->at(0));
  }
  return c.node("Slice", {x, start, end, c.constant_ints({axis}), step});
}

// `start`: 1-D int64 of one element.
V narrow(Call& c, V start) {
  const V x = c.tensor("self"), length = c.int_list("length");
  const int64_t axis = c.axis("dim", c.rank(x));
  const auto first = c.known_integers(start), count = c.known_integers(length);
  if (first && count) {
    const int64_t end = first->at(0) + count->at(0);
    return c.slice(x, axis, first->at(0), first->at(0) < 0 && end >= 0 ? INT64_MAX : end);
  }
  if (!first || first->at(0) < 0) {
    const V is_negative = c.node("Less", {start, c.constant_ints({0})});
    start = c.where(is_negative, c.add(start, c.size_of(x, axis)), start);
  }
  const V end = first && first->at(0) == 0 ? length : c.add(start, length);
  return c.node("Slice", {x, start, end, c.constant_ints({axis})});
}

// aten::narrow(Tensor self, int dim, SymInt start, SymInt length) -> Tensor
V narrow_int(Call& c) { return narrow(c, c.int_list("start")); }

// aten::narrow.Tensor(Tensor self, int dim, Tensor start, SymInt length) -> Tensor
V narrow_tensor(Call& c) { return narrow(c, c.reshape(c.tensor("start", DType::i64), {1})); }

V as_index(Call& c, V index) {
  return c.dtype_of(index) == DType::i32 ? index : c.cast(index, DType::i64);
}

// aten::index_select(Tensor self, int dim, Tensor index) -> Tensor
V index_select(Call& c) {
  const V x = c.tensor("self"), index = as_index(c, c.tensor("index"));
  const int64_t axis = c.axis("dim", c.rank(x));
  if (c.rank(x) == 0) return c.ignore({"index"}), x;
  return c.gather(x, c.rank(index) == 0 ? c.unsqueeze(index, {0}) : index, axis);
}

// ---- as many positions as results
// ------------------------------------------------------------------

V gather_elements(Call& c, V x, V index, int64_t axis) {
  return c.node("GatherElements", {x, index}, {attr("axis", axis)});
}

// aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor
V gather(Call& c) {
  c.ignore({"sparse_grad"});
  V x = c.tensor("self"), index = as_index(c, c.tensor("index"));
  const int64_t axis = c.axis("dim", c.rank(x));
  if (is_static(c.out_shape()) && element_count(c.out_shape()) == 0) {
    return c.constant_tensor(c.out_dtype(), c.out_shape(), "");
  }
  if (c.rank(x) == 0) x = c.unsqueeze(x, {0});
  if (c.rank(index) == 0) index = c.unsqueeze(index, {0});
  const V picked = gather_elements(c, x, index, axis);
  return c.out_rank() == 0 ? c.squeeze(picked, {0}) : picked;
}

// aten::take(Tensor self, Tensor index) -> Tensor
V take(Call& c) {
  return c.gather(c.flatten_to_1d(c.tensor("self")), as_index(c, c.tensor("index")), 0);
}

// aten::take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor
V take_along_dim(Call& c) {
  const V x = c.tensor("self"), index = as_index(c, c.tensor("indices"));
  if (c.is_none("dim")) {
    return c.gather(c.flatten_to_1d(x), c.flatten_to_1d(index), 0);
  }
  const int64_t axis = c.axis("dim", c.rank(x));
  Shape shape = c.out_shape();
  shape[axis] = c.shape(x)[axis];
  return gather_elements(c, expand(c, x, shape), expand(c, index, c.out_shape()), axis);
}

// ---- advanced indices
// ------------------------------------------------------------------------------

// aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor
// aten::index.Tensor_hacked_twin(Tensor self, Tensor[] indices) -> Tensor
V index(Call& c) {
  const V x = c.tensor("self");
  const std::vector<V> indices = c.tensors("indices");
  if (const auto [single, axis] = single_index(indices); single != kOmitted) {
    if (!is_mask(c, single)) return c.gather(x, as_index(c, single), axis);
    const V mask = c.cast(single, DType::boolean);
    if (c.rank(mask) == 1) return run(c, "Compress", {x, mask}, {attr("axis", axis)});
  }
  const AdvancedIndex index = advanced_index(c, indices);
  if (index.axes.empty()) return x;
  const V indexed_first = c.transpose(x, to_front(index.axes, c.rank(x)));
  const V picked = c.node("GatherND", {indexed_first, index.positions});
  // From [indices, before, after] to [before, indices, after].
  std::vector<int64_t> permutation(c.rank(x) - std::ssize(index.axes) + index.rank);
  std::iota(permutation.begin(), permutation.end(), 0);
  const auto before = permutation.begin() + index.rank;
  std::rotate(permutation.begin(), before, before + index.place());
  return c.transpose(picked, permutation);
}

// ---- masks
// -----------------------------------------------------------------------------------------

// aten::masked_select(Tensor self, Tensor mask) -> Tensor
V masked_select(Call& c) {
  V x = c.tensor("self"), mask = c.tensor("mask", DType::boolean);
  const std::optional<Shape> shape = broadcast(c.shape(x), c.shape(mask));
  if (!shape) throw Unsupported{"a mask and a tensor whose sizes depend differently on the inputs"};
  x = expand(c, x, *shape);
  mask = expand(c, mask, *shape);
  if (shape->empty()) x = c.unsqueeze(x, {0});
  return run(c, "Compress", {x, c.flatten_to_1d(mask)});
}

// aten::nonzero(Tensor self) -> Tensor
// aten::argwhere(Tensor self) -> Tensor
V nonzero(Call& c) {
  const V x = c.tensor("self");
  const V positions = true_positions(c, x);
  return c.rank(x) == 0 ? c.slice(positions, 1, 0, 0) : positions;
}

// aten::nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor
V nonzero_static(Call& c) {
  const V x = c.tensor("self"), size = c.int_list("size");
  const V fill = c.scalar("fill_value", DType::i64);
  const V more = expand_to(
      c, fill, concat_sizes(c, {size, c.constant_ints({std::max<int64_t>(c.rank(x), 1)})}));
  const V padded = c.concat({true_positions(c, x), more}, 0);
  const V positions = c.node("Slice", {padded, c.constant_ints({0}), size, c.constant_ints({0})});
  return c.rank(x) == 0 ? c.slice(positions, 1, 0, 0) : positions;
}

std::vector<V> positions_by_axis(Call& c, V x) {
  const V positions = true_positions(c, x);
  std::vector<V> columns;
  for (int64_t axis = 0; axis < std::ssize(c.op().outputs); ++axis) {
    columns.push_back(c.gather(positions, c.constant_int(axis), 1));
  }
  return columns;
}

// aten::nonzero_numpy(Tensor self) -> Tensor[]
std::vector<V> nonzero_numpy(Call& c) { return positions_by_axis(c, c.tensor("self")); }

// aten::where(Tensor condition) -> Tensor[]
std::vector<V> where(Call& c) { return positions_by_axis(c, c.tensor("condition")); }

}  // namespace

std::span<const Row> index_table() {
  static constexpr Row kRows[] = {
      {"aten::_unsafe_index.Tensor", index},
      {"aten::_unsafe_index.Tensor_hacked_twin", index},
      {"aten::argwhere", nonzero},
      {"aten::gather", gather},
      {"aten::index.Tensor", index},
      {"aten::index.Tensor_hacked_twin", index},
      {"aten::index_select", index_select},
      {"aten::masked_select", masked_select},
      {"aten::narrow", narrow_int},
      {"aten::narrow.Tensor", narrow_tensor},
      {"aten::narrow_copy", narrow_int},
      {"aten::nonzero", nonzero},
      {"aten::nonzero_numpy", nonzero_numpy},
      {"aten::nonzero_static", nonzero_static},
      {"aten::select.int", select},
      {"aten::select_copy.int", select},
      {"aten::slice.Tensor", slice},
      {"aten::slice_copy.Tensor", slice},
      {"aten::take", take},
      {"aten::take_along_dim", take_along_dim},
      {"aten::where", where},
  };
  static const std::vector<Row> kAll = joined(joined(kRows, scatter_rows()), write_back_rows());
  return kAll;
}

}  // namespace modelexport::lowering
