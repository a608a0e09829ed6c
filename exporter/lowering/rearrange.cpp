// Copies of elements in other places: repeat, flip, roll, windows and diagonals.
#include <algorithm>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

std::vector<int64_t> leading_axes(int64_t count) {
  std::vector<int64_t> axes(count);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// ---- repetition
// ------------------------------------------------------------------------------------

// `counts`: 1-D int64, one per axis.
V tile_axes(Call& c, V x, V counts) {
  return c.cast(c.node("Tile", {without_bf16(c, x), counts}), c.out_dtype());
}

// `counts`: 1-D int64, from the last axis; there may be fewer or more of them than axes.
V tile(Call& c, V x, V counts) {
  const std::optional<std::vector<int64_t>> known = c.known_integers(counts);
  const int64_t given = known ? static_cast<int64_t>(known->size()) : c.shape(counts)[0];
  if (given < c.rank(x)) {
    counts = concat_sizes(c, {c.constant_ints(std::vector<int64_t>(c.rank(x) - given, 1)), counts});
  }
  x = c.unsqueeze(x, leading_axes(std::max<int64_t>(given - c.rank(x), 0)));
  if (known && std::ranges::all_of(*known, [](int64_t count) { return count == 1; })) return x;
  return tile_axes(c, x, counts);
}

// aten::repeat(Tensor self, SymInt[] repeats) -> Tensor
V repeat(Call& c) { return tile(c, c.tensor("self"), c.int_list("repeats")); }

// aten::tile(Tensor self, SymInt[] dims) -> Tensor
V tile_dims(Call& c) { return tile(c, c.tensor("self"), c.int_list("dims")); }

// aten::repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *,
//     SymInt? output_size=None) -> Tensor
V repeat_interleave_int(Call& c) {
  c.ignore({"output_size"});
  V x = c.tensor("self");
  if (c.is_none("dim")) x = c.flatten_to_1d(x);
  const int64_t axis = c.is_none("dim") ? 0 : c.axis("dim", c.rank(x));
  x = c.unsqueeze(x, {axis + 1});
  const std::vector<int64_t> after(c.out_rank() - 1 - axis, 1);
  const V counts = concat_sizes(c, {c.constant_ints(std::vector<int64_t>(axis + 1, 1)),
                                    c.int_list("repeats"), c.constant_ints(after)});
  const V repeated = tile_axes(c, x, counts);
  if (has_sizes(c, c.out_shape(), 1)) return c.reshape(repeated, c.out_shape());
  std::vector<V> sizes{c.constant_ints(std::vector<int64_t>(axis, 0)), c.constant_ints({-1})};
  for (int64_t later = axis + 2; later < c.rank(x); ++later) sizes.push_back(c.size_of(x, later));
  return c.reshape_to(repeated, concat_sizes(c, sizes));
}

// Position i, repeats[i] times over, for each i; in time linear in the number of results.
V repeated_positions(Call& c, V repeats) {
  const V ends = c.node("CumSum", {repeats, c.constant_int(0)});
  const V total = c.node("ReduceSum", {repeats}, {attr("keepdims", 1)});
  // How many runs end before each place, counted by marking the ends.
  const V none = expand_to(c, c.constant_int(0), c.add(total, c.constant_ints({1})));
  const V one_each = expand_to(c, c.constant_int(1), c.shape_of(repeats));
  const V marks = c.node("ScatterElements", {none, ends, one_each}, {attr("reduction", "add")});
  const V counts = c.node("CumSum", {marks, c.constant_int(0)});
  return c.slice(counts, 0, 0, -1);
}

// aten::repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor
V repeat_interleave(Call& c) {
  c.ignore({"output_size"});
  return c.cast(repeated_positions(c, c.tensor("repeats", DType::i64)), c.out_dtype());
}

// aten::repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *,
//     SymInt? output_size=None) -> Tensor
V repeat_interleave_tensor(Call& c) {
  c.ignore({"output_size"});
  V x = c.tensor("self");
  if (c.is_none("dim")) x = c.flatten_to_1d(x);
  const int64_t axis = c.is_none("dim") ? 0 : c.axis("dim", c.rank(x));
  V repeats = c.tensor("repeats", DType::i64);
  if (element_count(c.shape(repeats)) == 1) repeats = expand_to(c, repeats, c.size_of(x, axis));
  return c.gather(x, repeated_positions(c, repeats), axis);
}

// ---- order
// -----------------------------------------------------------------------------------------

V flip(Call& c, V x, const std::vector<int64_t>& axes) {
  if (axes.empty() || c.rank(x) == 0) return x;
  const auto all = [&](int64_t n) { return c.constant_ints(std::vector(axes.size(), n)); };
  return c.node("Slice", {x, all(-1), all(INT64_MIN), c.constant_ints(axes), all(-1)});
}

// aten::flip(Tensor self, int[] dims) -> Tensor
V flip_dims(Call& c) {
  const V x = c.tensor("self");
  return flip(c, x, c.axes("dims", c.rank(x)));
}

// aten::fliplr(Tensor self) -> Tensor
V fliplr(Call& c) { return flip(c, c.tensor("self"), {1}); }

// aten::flipud(Tensor self) -> Tensor
V flipud(Call& c) { return flip(c, c.tensor("self"), {0}); }

// aten::rot90(Tensor self, int k=1, int[] dims=[0, 1]) -> Tensor
V rot90(Call& c) {
  const V x = c.tensor("self");
  const std::vector<int64_t> axes = c.axes("dims", c.rank(x));
  const int64_t turns = c.integer_modulo("k", 4);
  if (turns == 0) return x;
  if (turns == 2) return flip(c, x, axes);
  std::vector<int64_t> permutation = leading_axes(c.rank(x));
  std::swap(permutation[axes[0]], permutation[axes[1]]);
  return c.transpose(flip(c, x, {axes[turns == 1 ? 1 : 0]}), permutation);
}

// aten::roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor
V roll_dims(Call& c) {
  V x = c.tensor("self");
  const V shifts = c.int_list("shifts");
  // They may name an axis twice.
  if (!c.is_none("dims") && c.shape(shifts) != Shape{1} && !c.is_known("dims"))
    throw Unsupported{"several axes that depend on the inputs"};
  const std::vector<int64_t> axes = c.axes("dims", c.rank(x));
  if (c.rank(x) == 0) return x;
  if (axes.empty()) return c.reshape(roll(c, c.flatten_to_1d(x), shifts, 0), c.out_shape());
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto known = c.known_integers(shifts);
    const auto at = static_cast<int64_t>(i);
    x = roll(c, x, known ? c.constant_ints({known->at(i)}) : c.slice(shifts, 0, at, at + 1),
             axes[i]);
  }
  return x;
}

// ---- windows
// ---------------------------------------------------------------------------------------

// aten::unfold(Tensor self, int dimension, int size, int step) -> Tensor
V unfold(Call& c) {
  V x = c.tensor("self");
  const int64_t axis = c.axis("dimension", c.rank(x));
  if (c.rank(x) == 0) {
    c.ignore({"size", "step"});
    return c.reshape(x, c.out_shape());
  }
  const V size = c.scalar("size", DType::i64), step = c.scalar("step", DType::i64);
  const std::optional<int64_t> length = static_size(c, x, axis);
  const bool known = c.is_known("size") && c.is_known("step");
  V windows;
  if (length && known) {
    windows = iota(c, Dim{(*length - c.integer("size")) / c.integer("step") + 1});
  } else {
    const V last = c.div(c.sub(size_number(c, x, axis), size), step);
    windows = iota(c, c.add(last, c.constant_int(1)));
  }
  const V within = c.is_known("size") ? iota(c, Dim{c.integer("size")}) : iota(c, size);
  const V positions = c.add(c.unsqueeze(c.mul(windows, step), {1}), within);
  std::vector<int64_t> permutation = leading_axes(c.out_rank());
  std::rotate(permutation.begin() + axis + 1, permutation.begin() + axis + 2, permutation.end());
  return c.transpose(c.gather(x, positions, axis), permutation);
}

// aten::as_strided(Tensor self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None)
//     -> Tensor
V as_strided(Call& c) {
  return c.gather(c.flatten_to_1d(c.tensor("self")), strided_positions(c), 0);
}

// ---- diagonals
// -------------------------------------------------------------------------------------

// The diagonal of the matrices that two axes span, as the last axis.
V diagonal(Call& c, V x, V offset, int64_t axis1, int64_t axis2) {
  const V matrices = c.transpose(x, to_front({axis1, axis2}, c.rank(x)));
  const V picked = c.node("GatherND", {matrices, diagonal_positions(c, matrices, offset)});
  std::vector<int64_t> permutation = leading_axes(c.rank(x) - 1);
  std::ranges::rotate(permutation, permutation.begin() + 1);
  return c.transpose(picked, permutation);
}

// aten::diagonal(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor
V diagonal_dims(Call& c) {
  const V x = c.tensor("self");
  return diagonal(c, x, c.int_list("offset"), c.axis("dim1", c.rank(x)), c.axis("dim2", c.rank(x)));
}

// aten::linalg_diagonal(Tensor A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor
V linalg_diagonal(Call& c) {
  const V x = c.tensor("A");
  return diagonal(c, x, c.int_list("offset"), c.axis("dim1", c.rank(x)), c.axis("dim2", c.rank(x)));
}

// aten::trace(Tensor self) -> Tensor
V trace(Call& c) {
  const V elements = diagonal(c, c.tensor("self", c.out_dtype()), c.constant_ints({0}), 0, 1);
  return reduce(c, "ReduceSum", elements, {}, false);
}

// Matrices with the last axis of `x` on a diagonal, zero elsewhere, as the last two axes.
V embed_diagonal(Call& c, V x, int64_t last, V offset) {
  const V before = not_negative(c, offset), after = not_negative(c, negated(c, offset));
  const V beside = add_sizes(c, before, after);
  const DType dtype = c.dtype_of(x);
  const std::optional<int64_t> length = static_size(c, x, last);
  const auto known = c.known_integers(beside);
  const V along = length && known ? iota(c, Dim{*length + known->at(0)})
                                  : iota(c, c.squeeze(c.add(c.size_of(x, last), beside), {0}));
  // Each column holds at most one element, which padding puts into its place.
  const V none = c.constant_ints(std::vector<int64_t>(last, 0));
  if (!known || known->at(0) > 0)
    x = run(c, "Pad", {x, concat_sizes(c, {none, before, none, after})});
  const V diagonal_of_row = c.add(c.unsqueeze(along, {1}), offset);
  const V on_diagonal = c.node("Equal", {diagonal_of_row, along});
  return choose(c, on_diagonal, c.unsqueeze(x, {last}), c.constant(0, dtype));
}

// aten::diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor
V diag_embed(Call& c) {
  const int64_t rank = c.out_rank();
  const int64_t axis1 = c.axis("dim1", rank), axis2 = c.axis("dim2", rank);
  // The axes that the result has, in the order in which embed_diagonal makes them.
  std::vector<int64_t> made = to_front({axis1, axis2}, rank);
  std::ranges::rotate(made, made.begin() + 2);
  const V matrices = embed_diagonal(c, c.tensor("self"), rank - 2, c.int_list("offset"));
  return c.transpose(matrices, inverse(made));
}

// aten::diag(Tensor self, int diagonal=0) -> Tensor
V diag(Call& c) {
  const V x = c.tensor("self");
  const V offset = c.int_list("diagonal");
  return c.rank(x) == 1 ? embed_diagonal(c, x, 0, offset) : diagonal(c, x, offset, 0, 1);
}

// aten::diagflat(Tensor self, int offset=0) -> Tensor
V diagflat(Call& c) {
  return embed_diagonal(c, c.flatten_to_1d(c.tensor("self")), 0, c.int_list("offset"));
}

// aten::combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor
V combinations(Call& c) {
  const V x = c.tensor("self");
  const int64_t r = c.integer("r");
  const bool with_replacement = c.boolean("with_replacement");
  if (r == 0) return c.constant_tensor(c.out_dtype(), {0}, "");
  const V along = iota(c, x, 0);
  const auto as_axis = [&](int64_t axis) {
    std::vector<int64_t> others = leading_axes(r);
    others.erase(others.begin() + axis);
    return c.unsqueeze(along, others);
  };
  V ascending = c.node("GreaterOrEqual", {as_axis(0), as_axis(0)});
  for (int64_t axis = 1; axis < r; ++axis) {
    const V pair =
        c.node(with_replacement ? "LessOrEqual" : "Less", {as_axis(axis - 1), as_axis(axis)});
    ascending = c.node("And", {ascending, pair});
  }
  return c.gather(x, true_positions(c, ascending), 0);
}

}  // namespace

std::span<const Row> rearrange_rows() {
  static constexpr Row kRows[] = {
      {"aten::as_strided", as_strided},
      {"aten::as_strided_copy", as_strided},
      {"aten::combinations", combinations},
      {"aten::diag", diag},
      {"aten::diag_embed", diag_embed},
      {"aten::diagflat", diagflat},
      {"aten::diagonal", diagonal_dims},
      {"aten::diagonal_copy", diagonal_dims},
      {"aten::flip", flip_dims},
      {"aten::fliplr", fliplr},
      {"aten::flipud", flipud},
      {"aten::linalg_diagonal", linalg_diagonal},
      {"aten::repeat", repeat},
      {"aten::repeat_interleave.Tensor", repeat_interleave},
      {"aten::repeat_interleave.self_Tensor", repeat_interleave_tensor},
      {"aten::repeat_interleave.self_int", repeat_interleave_int},
      {"aten::roll", roll_dims},
      {"aten::rot90", rot90},
      {"aten::tile", tile_dims},
      {"aten::trace", trace},
      {"aten::unfold", unfold},
      {"aten::unfold_copy", unfold},
  };
  return kRows;
}

}  // namespace modelexport::lowering
