#include "exporter/lowering/indexing.h"

#include <algorithm>
#include <numeric>

#include "exporter/lowering/builder.h"
#include "exporter/lowering/kernels.h"

namespace modelexport::lowering {
namespace {

constexpr int64_t kLongestConstant = 256;  // counted up as a constant; longer ones by a node

}  // namespace

V add_sizes(Call& c, V a, V b) {
  std::optional<std::vector<int64_t>> sum = c.known_integers(a);
  const std::optional<std::vector<int64_t>> more = c.known_integers(b);
  const auto is_zero = [](const std::optional<std::vector<int64_t>>& sizes) {
    return sizes && std::ranges::all_of(*sizes, [](int64_t size) { return size == 0; });
  };
  if (is_zero(sum)) return b;
  if (is_zero(more)) return a;
  if (!sum || !more) return c.add(a, b);
  for (size_t i = 0; i < sum->size(); ++i) (*sum)[i] += (*more)[i];
  return c.constant_ints(*sum);
}

V concat_sizes(Call& c, const std::vector<V>& sizes) {
  std::vector<int64_t> all;
  for (V size : sizes) {
    const std::optional<std::vector<int64_t>> known = c.known_integers(size);
    if (!known) return c.concat(sizes, 0);
    all.insert(all.end(), known->begin(), known->end());
  }
  return c.constant_ints(all);
}

std::optional<int64_t> static_size(Call& c, V x, int64_t axis) {
  if (!c.has_shape(x) || !is_static(c.shape(x)[axis])) return std::nullopt;
  return c.shape(x)[axis];
}

V size_number(Call& c, V x, int64_t axis) {
  if (const auto size = static_size(c, x, axis)) return c.constant_int(*size);
  return c.squeeze(c.size_of(x, axis), {0});
}

V iota(Call& c, Dim count) {
  if (is_static(count) && count <= kLongestConstant) {
    std::vector<int64_t> values(count);
    std::iota(values.begin(), values.end(), 0);
    return c.constant_ints(values);
  }
  if (is_static(count)) return c.typed(iota(c, c.constant_int(count)), DType::i64, {count});
  return c.typed(iota(c, c.squeeze(c.shape_vector({count}), {0})), DType::i64, {count});
}

V iota(Call& c, V count) { return c.node("Range", {c.constant_int(0), count, c.constant_int(1)}); }

V iota(Call& c, V x, int64_t axis) {
  if (c.has_shape(x)) return iota(c, c.shape(x)[axis]);
  return iota(c, size_number(c, x, axis));
}

V true_positions(Call& c, V mask) {
  if (c.has_shape(mask) && c.rank(mask) == 0) mask = c.unsqueeze(mask, {0});
  const DType dtype = c.dtype_of(mask);
  const bool has_kernel = dtype == DType::boolean || dtype == DType::f32 || dtype == DType::i32 ||
                          dtype == DType::i64 || dtype == DType::u8;
  const V found = c.node("NonZero", {has_kernel ? mask : c.cast(mask, DType::boolean)});
  return c.transpose(c.typed(found, DType::i64), {1, 0});
}

V not_negative(Call& c, V sizes) {
  std::optional<std::vector<int64_t>> known = c.known_integers(sizes);
  if (!known) return c.node("Max", {sizes, c.constant_int(0)});
  for (int64_t& size : *known) size = std::max<int64_t>(size, 0);
  return c.constant_ints(*known);
}

V negated(Call& c, V sizes) {
  std::optional<std::vector<int64_t>> known = c.known_integers(sizes);
  if (!known) return c.node("Neg", {sizes});
  for (int64_t& size : *known) size = -size;
  return c.constant_ints(*known);
}

V diagonal_positions(Call& c, V x, V offset) {
  const V start = concat_sizes(c, {not_negative(c, negated(c, offset)), not_negative(c, offset)});
  const auto known = c.known_integers(start);
  if (!known) {
    const V left = c.sub(c.slice(c.shape_of(x), 0, 0, 2), start);
    const V length = c.node("ReduceMin", {left}, {attr("keepdims", 0)});
    return c.add(c.unsqueeze(iota(c, not_negative(c, length)), {1}), start);
  }
  const int64_t row = known->at(0), column = known->at(1);
  const Dim rows = c.shape(x)[0], columns = c.shape(x)[1];
  V along;
  if (is_static(rows) && is_static(columns)) {
    along = iota(c, std::max<int64_t>(std::min(rows - row, columns - column), 0));
  } else {
    const V below = c.sub(size_number(c, x, 0), c.constant_int(row));
    const V right = c.sub(size_number(c, x, 1), c.constant_int(column));
    along = iota(c, c.node("Max", {c.node("Min", {below, right}), c.constant_int(0)}));
  }
  return c.add(c.unsqueeze(along, {1}), start);
}

V strided_positions(Call& c) {
  const Shape sizes = c.dims("size"), strides = c.dims("stride");
  V positions =
      c.is_none("storage_offset") ? c.constant_int(0) : c.scalar("storage_offset", DType::i64);
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    const V along = c.mul(iota(c, sizes[axis]), c.shape_vector({strides[axis]}));
    std::vector<int64_t> later(sizes.size() - axis - 1);
    std::iota(later.begin(), later.end(), 1);
    positions = c.add(positions, c.unsqueeze(along, later));
  }
  return positions;
}

std::vector<int64_t> to_front(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<int64_t> permutation = axes;
  for (int64_t axis = 0; axis < rank; ++axis) {
    if (std::ranges::find(axes, axis) == axes.end()) permutation.push_back(axis);
  }
  return permutation;
}

std::vector<int64_t> inverse(const std::vector<int64_t>& permutation) {
  std::vector<int64_t> result(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i) result[permutation[i]] = static_cast<int64_t>(i);
  return result;
}

std::vector<V> split_evenly(Call& c, V x, int64_t parts, int64_t axis) {
  if (c.opset() < 18) return c.nodes("Split", {x}, parts, {attr("axis", axis)});
  return c.nodes("Split", {x}, parts, {attr("axis", axis), attr("num_outputs", parts)});
}

V roll(Call& c, V x, V shift, int64_t axis) {
  const V axes = c.constant_ints({axis});
  const std::optional<std::vector<int64_t>> known = c.known_integers(shift);
  const std::optional<int64_t> size = static_size(c, x, axis);
  V cut;
  if (known && size) {
    const int64_t rest = *size == 0 ? 0 : ((-known->at(0) % *size) + *size) % *size;
    if (rest == 0) return x;
    cut = c.constant_ints({rest});
  } else {
    const V period = c.node("Max", {c.size_of(x, axis), c.constant_ints({1})});
    cut = c.node("Mod", {c.sub(c.constant_ints({0}), shift), period});
  }
  const V tail = c.node("Slice", {x, cut, c.constant_ints({INT64_MAX}), axes});
  const V head = c.node("Slice", {x, c.constant_ints({0}), cut, axes});
  return c.concat({tail, head}, axis);
}

V without_bf16(Call& c, V x) { return c.dtype_of(x) == DType::bf16 ? c.cast(x, DType::f32) : x; }

V choose(Call& c, V condition, V a, V b) {
  if (c.dtype_of(a) != DType::boolean) return run(c, "Where", {condition, a, b});
  const V chosen = c.where(condition, c.cast(a, DType::u8), c.cast(b, DType::u8));
  return c.cast(chosen, DType::boolean);
}

V expand(Call& c, V x, const Shape& shape) {
  if (c.has_shape(x) && c.shape(x) == shape) return x;
  return c.cast(c.expand(without_bf16(c, x), shape), c.dtype_of(x));
}

V expand_to(Call& c, V x, V shape) {
  return c.cast(c.node("Expand", {without_bf16(c, x), shape}), c.dtype_of(x));
}

bool has_sizes(Call& c, const Shape& shape, int missing) {
  return missing >= std::ranges::count_if(shape, [&](Dim dim) {
           return !is_static(dim) && !c.builder().has_symbol(symbol_index(dim));
         });
}

}  // namespace modelexport::lowering
