// Views: the same elements in another shape or in another order of axes.
#include <algorithm>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- shapes
// --------------------------------------------------------------------------------------

V reshape_to_argument(Call& c, std::string_view sizes) {
  const V x = c.tensor("self");
  if (!has_sizes(c, c.out_shape(), 1)) return c.reshape_to(x, c.int_list(sizes));
  c.ignore({sizes});
  return c.reshape(x, c.out_shape());
}

// aten::view(Tensor self, SymInt[] size) -> Tensor
// aten::_unsafe_view(Tensor self, SymInt[] size) -> Tensor
V view(Call& c) { return reshape_to_argument(c, "size"); }

// aten::reshape(Tensor self, SymInt[] shape) -> Tensor
V reshape(Call& c) { return reshape_to_argument(c, "shape"); }

// aten::_reshape_alias(Tensor self, SymInt[] size, SymInt[] stride) -> Tensor
V reshape_alias(Call& c) {
  c.ignore({"stride"});
  return reshape_to_argument(c, "size");
}

// aten::view_as(Tensor self, Tensor other) -> Tensor
V view_as(Call& c) {
  if (!has_sizes(c, c.out_shape(), 1))
    return c.reshape_to(c.tensor("self"), c.shape_of(c.tensor("other")));
  c.ignore({"other"});
  return c.reshape(c.tensor("self"), c.out_shape());
}

// aten::_reshape_from_tensor(Tensor self, Tensor shape) -> Tensor
V reshape_from_tensor(Call& c) {
  return c.reshape_to(c.tensor("self"), c.tensor("shape", DType::i64));
}

// aten::flatten.using_ints(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor
V flatten(Call& c) {
  c.ignore({"start_dim", "end_dim"});
  return c.reshape(c.tensor("self"), c.out_shape());
}

// aten::unflatten.int(Tensor self, int dim, SymInt[] sizes) -> Tensor
V unflatten(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  if (has_sizes(c, c.out_shape(), 1)) {
    c.ignore({"sizes"});
    return c.reshape(x, c.out_shape());
  }
  const Shape shape = c.shape(x);
  return c.reshape_to(
      x, c.concat({c.shape_vector(Shape(shape.begin(), shape.begin() + axis)), c.int_list("sizes"),
                   c.shape_vector(Shape(shape.begin() + axis + 1, shape.end()))},
                  0));
}

// aten::ravel(Tensor self) -> Tensor
// aten::atleast_1d(Tensor self) -> Tensor
// aten::atleast_2d(Tensor self) -> Tensor
// aten::atleast_3d(Tensor self) -> Tensor
V reshape_to_result(Call& c) { return c.reshape(c.tensor("self"), c.out_shape()); }

// aten::atleast_1d.Sequence(Tensor[] tensors) -> Tensor[]
// aten::atleast_2d.Sequence(Tensor[] tensors) -> Tensor[]
// aten::atleast_3d.Sequence(Tensor[] tensors) -> Tensor[]
std::vector<V> reshape_to_results(Call& c) {
  std::vector<V> results = c.tensors("tensors");
  for (size_t i = 0; i < results.size(); ++i) results[i] = c.reshape(results[i], c.out_shape(i));
  return results;
}

// aten::view.dtype(Tensor self, ScalarType dtype) -> Tensor
V view_dtype(Call& c) {
  const V x = c.tensor("self");
  if (c.dtype("dtype") == c.dtype_of(x)) return x;
  throw Unsupported{"ONNX cannot reinterpret the bits of a tensor as another dtype"};
}

// ---- axes of size 1
// ------------------------------------------------------------------------------

// Those of `axes` whose size is 1; if the rank shows that there are more, those that were 1 in the
// first example.
V squeeze_axes(Call& c, V x, std::vector<int64_t> axes) {
  if (c.rank(x) == 0) return x;
  const Shape shape = c.shape(x);
  const auto is_one = [&](int64_t axis) { return shape[axis] == 1; };
  int64_t more = c.rank(x) - c.out_rank() - std::ranges::count_if(axes, is_one);
  std::erase_if(axes, [&](int64_t axis) {
    if (is_static(shape[axis])) return shape[axis] != 1;
    const std::vector<int64_t>& seen = c.program().symbols[symbol_index(shape[axis])].sizes;
    return seen[0] != 1 || more-- <= 0;
  });
  return c.squeeze(x, axes);
}

// aten::squeeze(Tensor self) -> Tensor
V squeeze(Call& c) {
  const V x = c.tensor("self");
  std::vector<int64_t> axes(c.rank(x));
  std::iota(axes.begin(), axes.end(), 0);
  return squeeze_axes(c, x, axes);
}

// aten::squeeze.dim(Tensor self, int dim) -> Tensor
// aten::squeeze.dims(Tensor self, int[] dim) -> Tensor
V squeeze_dims(Call& c) {
  const V x = c.tensor("self");
  return squeeze_axes(c, x, c.axes("dim", c.rank(x)));
}

// aten::unsqueeze(Tensor self, int dim) -> Tensor
V unsqueeze(Call& c) {
  const V x = c.tensor("self");
  return c.unsqueeze(x, {c.axis("dim", c.rank(x) + 1)});
}

// ---- order of axes
// ---------------------------------------------------------------------------------

V swap(Call& c, V x, int64_t a, int64_t b) {
  std::vector<int64_t> permutation(c.rank(x));
  std::iota(permutation.begin(), permutation.end(), 0);
  if (!permutation.empty()) std::swap(permutation[a], permutation[b]);
  return c.transpose(x, permutation);
}

// aten::transpose.int(Tensor self, int dim0, int dim1) -> Tensor
// aten::swapdims(Tensor self, int dim0, int dim1) -> Tensor
V transpose(Call& c) {
  const V x = c.tensor("self");
  return swap(c, x, c.axis("dim0", c.rank(x)), c.axis("dim1", c.rank(x)));
}

// aten::swapaxes(Tensor self, int axis0, int axis1) -> Tensor
V swapaxes(Call& c) {
  const V x = c.tensor("self");
  return swap(c, x, c.axis("axis0", c.rank(x)), c.axis("axis1", c.rank(x)));
}

// aten::t(Tensor self) -> Tensor
// aten::mT(Tensor self) -> Tensor
V transpose_matrix(Call& c) {
  const V x = c.tensor("self");
  return c.rank(x) < 2 ? x : swap(c, x, c.rank(x) - 2, c.rank(x) - 1);
}

// aten::adjoint(Tensor self) -> Tensor
// aten::mH(Tensor self) -> Tensor
// aten::matrix_H(Tensor self) -> Tensor
V adjoint(Call& c) { return transpose_matrix(c); }

// aten::numpy_T(Tensor self) -> Tensor
V reverse_axes(Call& c) {
  const V x = c.tensor("self");
  std::vector<int64_t> permutation(c.rank(x));
  std::iota(permutation.rbegin(), permutation.rend(), 0);
  return c.transpose(x, permutation);
}

// aten::permute(Tensor self, int[] dims) -> Tensor
V permute(Call& c) {
  const V x = c.tensor("self");
  return c.transpose(x, c.axes("dims", c.rank(x)));
}

// aten::movedim.int(Tensor self, int source, int destination) -> Tensor
// aten::movedim.intlist(Tensor self, int[] source, int[] destination) -> Tensor
V movedim(Call& c) {
  const V x = c.tensor("self");
  const int64_t rank = c.rank(x);
  const std::vector<int64_t> source = c.axes("source", rank), target = c.axes("destination", rank);
  if (rank == 0) return x;
  std::vector<int64_t> permutation(rank, -1);
  for (size_t i = 0; i < source.size(); ++i) permutation[target[i]] = source[i];
  const std::vector<int64_t> order = to_front(source, rank);
  auto rest = order.begin() + static_cast<std::ptrdiff_t>(source.size());
  for (int64_t& axis : permutation) {
    if (axis < 0) axis = *rest++;
  }
  return c.transpose(x, permutation);
}

// ---- expansion
// -------------------------------------------------------------------------------------

V expand_to_argument(Call& c) {
  const V x = c.tensor("self");
  // -1 stands for the size that the tensor has, which Expand keeps for a 1.
  if (!has_sizes(c, c.out_shape())) return expand_to(c, x, c.node("Abs", {c.int_list("size")}));
  c.ignore({"size"});
  return expand(c, x, c.out_shape());
}

// aten::expand(Tensor self, SymInt[] size, *, bool implicit=False) -> Tensor
V expand_size(Call& c) {
  c.ignore({"implicit"});
  return expand_to_argument(c);
}

// aten::broadcast_to(Tensor self, SymInt[] size) -> Tensor
V broadcast_to(Call& c) { return expand_to_argument(c); }

// aten::expand_as(Tensor self, Tensor other) -> Tensor
V expand_as(Call& c) {
  const V x = c.tensor("self");
  if (!has_sizes(c, c.out_shape())) return expand_to(c, x, c.shape_of(c.tensor("other")));
  c.ignore({"other"});
  return expand(c, x, c.out_shape());
}

// aten::broadcast_tensors(Tensor[] tensors) -> Tensor[]
std::vector<V> broadcast_tensors(Call& c) {
  std::vector<V> results = c.tensors("tensors");
  for (size_t i = 0; i < results.size(); ++i) results[i] = expand(c, results[i], c.out_shape(i));
  return results;
}

// aten::meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]
std::vector<V> meshgrid_in_order(Call& c, bool swap_first_two) {
  std::vector<V> results = c.tensors("tensors");
  for (size_t i = 0; i < results.size(); ++i) {
    const size_t axis = swap_first_two && results.size() > 1 && i < 2 ? 1 - i : i;
    Shape shape(results.size(), 1);
    shape[axis] = c.out_shape(i)[axis];
    results[i] = expand(c, c.reshape(results[i], shape), c.out_shape(i));
  }
  return results;
}

std::vector<V> meshgrid_indexing(Call& c) {
  return meshgrid_in_order(c, c.text("indexing") == "xy");
}

// aten::meshgrid(Tensor[] tensors) -> Tensor[]
std::vector<V> meshgrid(Call& c) { return meshgrid_in_order(c, false); }

}  // namespace

std::span<const Row> view_table() {
  static constexpr Row kRows[] = {
      {"aten::_reshape_alias", reshape_alias},
      {"aten::_reshape_alias_copy", reshape_alias},
      {"aten::_reshape_copy", view},
      {"aten::_reshape_from_tensor", reshape_from_tensor},
      {"aten::_unsafe_view", view},
      {"aten::adjoint", adjoint},
      {"aten::atleast_1d", reshape_to_result},
      {"aten::atleast_1d.Sequence", reshape_to_results},
      {"aten::atleast_2d", reshape_to_result},
      {"aten::atleast_2d.Sequence", reshape_to_results},
      {"aten::atleast_3d", reshape_to_result},
      {"aten::atleast_3d.Sequence", reshape_to_results},
      {"aten::broadcast_tensors", broadcast_tensors},
      {"aten::broadcast_to", broadcast_to},
      {"aten::expand", expand_size},
      {"aten::expand_as", expand_as},
      {"aten::expand_copy", expand_size},
      {"aten::flatten.using_ints", flatten},
      {"aten::mH", adjoint},
      {"aten::mH.a", adjoint},
      {"aten::mT", transpose_matrix},
      {"aten::mT.a", transpose_matrix},
      {"aten::matrix_H", adjoint},
      {"aten::matrix_H.a", adjoint},
      {"aten::meshgrid", meshgrid},
      {"aten::meshgrid.indexing", meshgrid_indexing},
      {"aten::moveaxis.int", movedim},
      {"aten::moveaxis.intlist", movedim},
      {"aten::movedim.int", movedim},
      {"aten::movedim.intlist", movedim},
      {"aten::numpy_T", reverse_axes},
      {"aten::numpy_T.a", reverse_axes},
      {"aten::permute", permute},
      {"aten::permute_copy", permute},
      {"aten::ravel", reshape_to_result},
      {"aten::reshape", reshape},
      {"aten::reshape_as", view_as},
      {"aten::squeeze", squeeze},
      {"aten::squeeze.dim", squeeze_dims},
      {"aten::squeeze.dims", squeeze_dims},
      {"aten::squeeze_copy", squeeze},
      {"aten::squeeze_copy.dim", squeeze_dims},
      {"aten::squeeze_copy.dims", squeeze_dims},
      {"aten::swapaxes", swapaxes},
      {"aten::swapdims", transpose},
      {"aten::t", transpose_matrix},
      {"aten::t_copy", transpose_matrix},
      {"aten::transpose.int", transpose},
      {"aten::transpose_copy.int", transpose},
      {"aten::unflatten.int", unflatten},
      {"aten::unsqueeze", unsqueeze},
      {"aten::unsqueeze_copy", unsqueeze},
      {"aten::view", view},
      {"aten::view.dtype", view_dtype},
      {"aten::view_as", view_as},
      {"aten::view_copy", view},
      {"aten::view_copy.dtype", view_dtype},
  };
  static const std::vector<Row> kAll = joined(joined(kRows, join_rows()), rearrange_rows());
  return kAll;
}

}  // namespace modelexport::lowering
