// Several tensors into one, and one into several: cat, stack, split and their relatives.
#include <algorithm>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- join
// ----------------------------------------------------------------------------------------

V join(Call& c, std::vector<V> tensors, int64_t axis) {
  for (V& tensor : tensors) tensor = c.cast(tensor, c.out_dtype());
  return tensors.size() == 1 ? tensors[0] : c.concat(tensors, axis);
}

// aten::cat(Tensor[] tensors, int dim=0) -> Tensor
V cat(Call& c) {
  std::vector<V> tensors = c.tensors("tensors");
  const V first = tensors[0];
  // A tensor of shape [0] joins with tensors of any rank.
  std::erase_if(tensors, [&](V tensor) { return c.shape(tensor) == Shape{0}; });
  if (tensors.empty()) tensors.push_back(first);
  return join(c, tensors, c.axis("dim", c.out_rank()));
}

// aten::stack(Tensor[] tensors, int dim=0) -> Tensor
V stack(Call& c) {
  std::vector<V> tensors = c.tensors("tensors");
  const int64_t axis = c.axis("dim", c.out_rank());
  for (V& tensor : tensors) tensor = c.unsqueeze(tensor, {axis});
  return join(c, tensors, axis);
}

// Like numpy.atleast_1d, atleast_2d and atleast_3d.
V at_least(Call& c, V x, int64_t rank) {
  const int64_t missing = rank - c.rank(x);
  if (missing <= 0) return x;
  if (rank < 3)
    return c.unsqueeze(
        x, rank == 2 && missing == 2 ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0});
  if (missing == 1) return c.unsqueeze(x, {2});
  return c.unsqueeze(x, missing == 2 ? std::vector<int64_t>{0, 2} : std::vector<int64_t>{0, 1, 2});
}

V join_at_least(Call& c, int64_t rank, int64_t axis) {
  std::vector<V> tensors = c.tensors("tensors");
  for (V& tensor : tensors) tensor = at_least(c, tensor, rank);
  return join(c, tensors, std::min(axis, c.out_rank() - 1));
}

// aten::hstack(Tensor[] tensors) -> Tensor
V hstack(Call& c) { return join_at_least(c, 1, 1); }

// aten::vstack(Tensor[] tensors) -> Tensor
V vstack(Call& c) { return join_at_least(c, 2, 0); }

// aten::dstack(Tensor[] tensors) -> Tensor
V dstack(Call& c) { return join_at_least(c, 3, 2); }

// aten::column_stack(Tensor[] tensors) -> Tensor
V column_stack(Call& c) {
  std::vector<V> tensors = c.tensors("tensors");
  for (V& tensor : tensors) {
    if (c.rank(tensor) < 2) tensor = c.unsqueeze(at_least(c, tensor, 1), {1});
  }
  return join(c, tensors, 1);
}

// aten::block_diag(Tensor[] tensors) -> Tensor
V block_diag(Call& c) {
  std::vector<V> blocks = c.tensors("tensors");
  for (V& block : blocks) block = at_least(c, c.cast(block, c.out_dtype()), 2);
  // Columns of zeros of the blocks from `begin` to `end`.
  const auto columns = [&](size_t begin, size_t end) {
    V sum = c.constant_ints({0});
    for (size_t i = begin; i < end; ++i) sum = add_sizes(c, sum, c.size_of(blocks[i], 1));
    return sum;
  };
  const V none = c.constant_ints({0});
  std::vector<V> rows;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const V pads = concat_sizes(c, {none, columns(0, i), none, columns(i + 1, blocks.size())});
    rows.push_back(run(c, "Pad", {blocks[i], pads}));
  }
  return join(c, rows, 0);
}

// aten::cartesian_prod(Tensor[] tensors) -> Tensor
V cartesian_prod(Call& c) {
  std::vector<V> tensors = c.tensors("tensors");
  if (tensors.size() == 1) return tensors[0];
  const V sizes = [&] {
    std::vector<V> parts;
    for (V tensor : tensors) parts.push_back(c.size_of(tensor, 0));
    return c.concat(parts, 0);
  }();
  for (size_t i = 0; i < tensors.size(); ++i) {
    Shape shape(tensors.size(), 1);
    shape[i] = c.shape(tensors[i])[0];
    const V grid = expand_to(c, c.reshape(tensors[i], shape), sizes);
    tensors[i] = c.reshape_to(grid, c.constant_ints({-1, 1}));
  }
  return join(c, tensors, 1);
}

// ---- split
// ---------------------------------------------------------------------------------------

std::vector<V> split(Call& c, V x, V sizes, int64_t axis) {
  return c.nodes("Split", {x, sizes}, c.output_count(), {attr("axis", axis)});
}

// The sizes observed, if all of them are static.
std::optional<std::vector<int64_t>> static_sizes(Call& c, int64_t axis) {
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < c.output_count(); ++i) sizes.push_back(c.out_shape(i)[axis]);
  if (std::ranges::any_of(sizes, [](Dim dim) { return !is_static(dim); })) return std::nullopt;
  return sizes;
}

std::vector<V> split_statically(Call& c, V x, const std::vector<int64_t>& sizes, int64_t axis) {
  if (sizes.size() == 1) return {x};
  if (std::ranges::adjacent_find(sizes, std::not_equal_to<>()) == sizes.end()) {
    return split_evenly(c, x, std::ssize(c.op().outputs), axis);
  }
  return split(c, x, c.constant_ints(sizes), axis);
}

// Parts of `size` (1-D int64 of one element), but for the last one, which may be shorter.
std::vector<V> split_every(Call& c, V x, V size, int64_t axis) {
  std::vector<V> parts;
  const V axes = c.constant_ints({axis});
  V start = c.constant_ints({0});
  for (size_t i = 0; i < c.output_count(); ++i) {
    const V end = c.mul(size, c.constant_ints({static_cast<int64_t>(i) + 1}));
    parts.push_back(c.node("Slice", {x, start, end, axes}));
    start = end;
  }
  return parts;
}

// aten::split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]
std::vector<V> split_tensor(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  if (const auto sizes = static_sizes(c, axis)) {
    c.ignore({"split_size"});
    return split_statically(c, x, *sizes, axis);
  }
  if (!c.is_known("split_size")) return split_every(c, x, c.int_list("split_size"), axis);
  std::vector<V> parts;
  const int64_t size = c.integer("split_size");
  for (size_t i = 0; i < c.output_count(); ++i) {
    const auto start = static_cast<int64_t>(i) * size;
    parts.push_back(c.slice(x, axis, start, start + size));
  }
  return parts;
}

std::vector<V> split_sizes(Call& c, std::string_view argument) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  if (const auto sizes = static_sizes(c, axis)) {
    c.ignore({argument});
    return split_statically(c, x, *sizes, axis);
  }
  const V sizes = c.int_list(argument);
  return c.output_count() == 1 ? std::vector<V>{x} : split(c, x, sizes, axis);
}

// aten::split.sizes(Tensor self, SymInt[] split_size, int dim=0) -> Tensor[]
std::vector<V> split_by_size(Call& c) { return split_sizes(c, "split_size"); }

// aten::split(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]
// aten::split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]
std::vector<V> split_with_sizes(Call& c) { return split_sizes(c, "split_sizes"); }

// aten::chunk(Tensor self, int chunks, int dim=0) -> Tensor[]
std::vector<V> chunk(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x)), chunks = c.integer("chunks");
  if (const auto sizes = static_sizes(c, axis)) return split_statically(c, x, *sizes, axis);
  // Split with num_outputs rounds the parts' size up, as chunk does.
  if (c.opset() >= 18 && static_cast<int64_t>(c.output_count()) == chunks) {
    return split_evenly(c, x, std::ssize(c.op().outputs), axis);
  }
  const V rounded_up = c.add(c.size_of(x, axis), c.constant_ints({chunks - 1}));
  return split_every(c, x, c.div(rounded_up, c.constant_ints({chunks})), axis);
}

// Like numpy.array_split: the first (size mod parts) parts are longer by one.
std::vector<V> tensor_split(Call& c, V x, int64_t axis) {
  if (const auto sizes = static_sizes(c, axis)) return split_statically(c, x, *sizes, axis);
  const V parts = c.constant_ints({static_cast<int64_t>(c.output_count())});
  const V size = c.size_of(x, axis);
  const V order = iota(c, static_cast<Dim>(c.output_count()));
  const V longer = c.node("Less", {order, c.node("Mod", {size, parts})});
  return split(c, x, c.add(c.div(size, parts), c.cast(longer, DType::i64)), axis);
}

// Parts between `indices` (1-D int64), which may be negative or out of order as those of a slice.
std::vector<V> split_at(Call& c, V x, V indices, int64_t axis) {
  std::vector<V> parts;
  const V axes = c.constant_ints({axis});
  V start = c.constant_ints({0});
  for (int64_t i = 0; i < static_cast<int64_t>(c.output_count()); ++i) {
    const bool last = i + 1 == static_cast<int64_t>(c.output_count());
    const V end = last ? c.constant_ints({INT64_MAX}) : c.slice(indices, 0, i, i + 1);
    parts.push_back(c.node("Slice", {x, start, end, axes}));
    start = end;
  }
  return parts;
}

std::vector<V> split_at(Call& c, V x, const std::vector<int64_t>& indices, int64_t axis) {
  if (const auto sizes = static_sizes(c, axis);
      sizes && std::ranges::is_sorted(indices) && (indices.empty() || indices[0] >= 0)) {
    return split_statically(c, x, *sizes, axis);
  }
  std::vector<V> parts;
  for (size_t i = 0; i <= indices.size(); ++i) {
    parts.push_back(c.slice(x, axis, i == 0 ? 0 : indices[i - 1],
                            i == indices.size() ? INT64_MAX : indices[i]));
  }
  return parts;
}

std::vector<V> split_at_argument(Call& c, V x, int64_t axis) {
  if (c.is_known("indices")) return split_at(c, x, c.integers("indices"), axis);
  return split_at(c, x, c.int_list("indices"), axis);
}

// aten::tensor_split.sections(Tensor self, SymInt sections, int dim=0) -> Tensor[]
std::vector<V> tensor_split_sections(Call& c) {
  c.ignore({"sections"});  // as many as there are outputs
  const V x = c.tensor("self");
  return tensor_split(c, x, c.axis("dim", c.rank(x)));
}

// aten::tensor_split.indices(Tensor self, SymInt[] indices, int dim=0) -> Tensor[]
std::vector<V> tensor_split_indices(Call& c) {
  const V x = c.tensor("self");
  return split_at_argument(c, x, c.axis("dim", c.rank(x)));
}

// aten::tensor_split.tensor_indices_or_sections(Tensor self, Tensor tensor_indices_or_sections,
//     int dim=0) -> Tensor[]
std::vector<V> tensor_split_tensor(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const V where = c.tensor("tensor_indices_or_sections", DType::i64);
  if (c.rank(where) == 0) return tensor_split(c, x, axis);
  if (const auto indices = c.known_integers(where)) return split_at(c, x, *indices, axis);
  return split_at(c, x, where, axis);
}

// The axis that hsplit, vsplit or dsplit works on.
template <int64_t axis>
int64_t axis_of(Call& c, V x) {
  return std::min(axis, c.rank(x) - 1);
}

// aten::hsplit.int(Tensor self, int sections) -> Tensor[]
// aten::vsplit.int(Tensor self, int sections) -> Tensor[]
// aten::dsplit.int(Tensor self, int sections) -> Tensor[]
template <int64_t axis>
std::vector<V> split_axis_sections(Call& c) {
  c.ignore({"sections"});
  const V x = c.tensor("self");
  return tensor_split(c, x, axis_of<axis>(c, x));
}

// aten::hsplit.array(Tensor self, int[] indices) -> Tensor[]
// aten::vsplit.array(Tensor self, int[] indices) -> Tensor[]
// aten::dsplit.array(Tensor self, int[] indices) -> Tensor[]
template <int64_t axis>
std::vector<V> split_axis_indices(Call& c) {
  const V x = c.tensor("self");
  return split_at_argument(c, x, axis_of<axis>(c, x));
}

// aten::unbind.int(Tensor self, int dim=0) -> Tensor[]
std::vector<V> unbind(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  std::vector<V> parts;
  for (size_t i = 0; i < c.output_count(); ++i) {
    parts.push_back(c.gather(x, c.constant_int(static_cast<int64_t>(i)), axis));
  }
  return parts;
}

}  // namespace

std::span<const Row> join_rows() {
  static constexpr Row kRows[] = {
      {"aten::_stack", stack},
      {"aten::block_diag", block_diag},
      {"aten::cartesian_prod", cartesian_prod},
      {"aten::cat", cat},
      {"aten::chunk", chunk},
      {"aten::column_stack", column_stack},
      {"aten::concat", cat},
      {"aten::concatenate", cat},
      {"aten::dsplit.array", split_axis_indices<2>},
      {"aten::dsplit.int", split_axis_sections<2>},
      {"aten::dstack", dstack},
      {"aten::hsplit.array", split_axis_indices<1>},
      {"aten::hsplit.int", split_axis_sections<1>},
      {"aten::hstack", hstack},
      {"aten::row_stack", vstack},
      {"aten::split", split_with_sizes},
      {"aten::split.Tensor", split_tensor},
      {"aten::split.sizes", split_by_size},
      {"aten::split_copy.Tensor", split_tensor},
      {"aten::split_with_sizes", split_with_sizes},
      {"aten::split_with_sizes_copy", split_with_sizes},
      {"aten::stack", stack},
      {"aten::tensor_split.indices", tensor_split_indices},
      {"aten::tensor_split.sections", tensor_split_sections},
      {"aten::tensor_split.tensor_indices_or_sections", tensor_split_tensor},
      {"aten::unbind.int", unbind},
      {"aten::unbind_copy.int", unbind},
      {"aten::unsafe_chunk", chunk},
      {"aten::unsafe_split.Tensor", split_tensor},
      {"aten::unsafe_split_with_sizes", split_with_sizes},
      {"aten::vsplit.array", split_axis_indices<0>},
      {"aten::vsplit.int", split_axis_sections<0>},
      {"aten::vstack", vstack},
  };
  return kRows;
}

}  // namespace modelexport::lowering
