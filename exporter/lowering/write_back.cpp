// A tensor with one view of it replaced: how an in-place change of a view reaches its base.
#include <algorithm>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// `positions`: int64, 1-D, along `axis`.
V write_slices(Call& c, V x, V positions, V source, int64_t axis) {
  if (axis == 0) return c.node("ScatterND", {x, c.unsqueeze(positions, {1}), source});
  std::vector<int64_t> others(c.rank(source));
  std::iota(others.begin(), others.end(), 0);
  others.erase(others.begin() + axis);
  const V index = expand_to(c, c.unsqueeze(positions, others), c.shape_of(source));
  return c.node("ScatterElements", {x, index, source}, {attr("axis", axis)});
}

// The first position of a slice as 1-D int64: counted from the front, within the axis.
V slice_start(Call& c, V x, int64_t axis) {
  const V start = c.is_none("start") ? c.constant_ints({0}) : c.int_list("start");
  const auto known = c.known_integers(start);
  const std::optional<int64_t> size = static_size(c, x, axis);
  if (known && size) {
    const int64_t first = known->at(0) < 0 ? known->at(0) + *size : known->at(0);
    return c.constant_ints({std::clamp<int64_t>(first, 0, *size)});
  }
  if (known && known->at(0) >= 0) return start;
  const V none = c.constant_ints({0});
  const V from_end = c.node("Max", {c.add(start, c.size_of(x, axis)), none});
  return known ? from_end : c.where(c.node("Less", {start, none}), from_end, start);
}

// Whether the slice is known to reach the end of the axis.
bool reaches_end(Call& c, V x, V slice_end, int64_t axis) {
  if (c.is_none("end")) return true;
  const std::optional<int64_t> size = static_size(c, x, axis);
  if (const auto end = c.known_integers(slice_end); end && size) return end->at(0) >= *size;
  return c.is_known("end") && c.integer("end") >= INT32_MAX;
}

// aten::slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None,
//     SymInt step=1) -> Tensor
V slice_scatter(Call& c) {
  const V x = c.tensor("self"), source = c.tensor("src", c.out_dtype());
  const int64_t axis = c.axis("dim", c.rank(x));
  const V start = slice_start(c, x, axis), step = c.int_list("step");
  const auto stride = c.known_integers(step);
  if (!stride || stride->at(0) != 1) {
    c.ignore({"end"});
    const V positions = c.add(c.mul(iota(c, source, axis), step), start);
    return write_slices(c, x, positions, source, axis);
  }
  std::vector<V> parts;
  const auto first = c.known_integers(start);
  const V axes = c.constant_ints({axis}), end = add_sizes(c, start, c.size_of(source, axis));
  if (!first || first->at(0) != 0) {
    parts.push_back(c.node("Slice", {x, c.constant_ints({0}), start, axes}));
  }
  parts.push_back(source);
  if (!reaches_end(c, x, end, axis)) {
    parts.push_back(c.node("Slice", {x, end, c.constant_ints({INT64_MAX}), axes}));
  }
  return c.concat(parts, axis);
}

// aten::select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor
V select_scatter(Call& c) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const V source = c.unsqueeze(c.tensor("src", c.out_dtype()), {axis});
  const V position = c.int_list("index");
  const auto known = c.known_integers(position);
  if (!known) return write_slices(c, x, position, source, axis);
  const std::optional<int64_t> size = static_size(c, x, axis);
  const int64_t index = size && known->at(0) < 0 ? known->at(0) + *size : known->at(0);
  std::vector<V> parts;
  if (index != 0) parts.push_back(c.slice(x, axis, 0, index));
  parts.push_back(source);
  const bool is_last = index == -1 || (size && index + 1 == *size);
  if (!is_last) parts.push_back(c.slice(x, axis, index + 1, INT64_MAX));
  return c.concat(parts, axis);
}

// aten::diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor
V diagonal_scatter(Call& c) {
  const V x = c.tensor("self"), source = c.tensor("src", c.out_dtype());
  const int64_t rank = c.rank(x);
  const std::vector<int64_t> front = to_front({c.axis("dim1", rank), c.axis("dim2", rank)}, rank);
  const V matrices = c.transpose(x, front);
  const V positions = diagonal_positions(c, matrices, c.int_list("offset"));
  const V updates = c.transpose(source, to_front({rank - 2}, rank - 1));
  return c.transpose(c.node("ScatterND", {matrices, positions, updates}), inverse(front));
}

// aten::as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] stride,
//     SymInt? storage_offset=None) -> Tensor
V as_strided_scatter(Call& c) {
  const V flat = c.flatten_to_1d(c.tensor("self"));
  const V source = c.flatten_to_1d(c.tensor("src", c.out_dtype()));
  const V positions = c.flatten_to_1d(strided_positions(c));
  return c.reshape(c.node("ScatterElements", {flat, positions, source}), c.out_shape());
}

}  // namespace

std::span<const Row> write_back_rows() {
  static constexpr Row kRows[] = {
      {"aten::as_strided_scatter", as_strided_scatter},
      {"aten::diagonal_scatter", diagonal_scatter},
      {"aten::select_scatter", select_scatter},
      {"aten::slice_scatter", slice_scatter},
  };
  return kRows;
}

}  // namespace modelexport::lowering
