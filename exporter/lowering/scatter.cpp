// Writes at positions: scatter, index_put, and what writes a changed view back into its base
// (slice_scatter, select_scatter, diagonal_scatter, as_strided_scatter).
#include <algorithm>
#include <limits>
#include <numeric>

#include "exporter/lowering/advanced_index.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- along one axis, a position per element
// ----------------------------------------------------------

// ONNX's name of a reduction, for all of PyTorch's but the mean.
std::string reduction_of(const std::string& reduce) {
  if (reduce == "sum" || reduce == "add") return "add";
  if (reduce == "prod" || reduce == "multiply") return "mul";
  if (reduce == "amax") return "max";
  if (reduce == "amin") return "min";
  throw Unsupported{"reduce=\"" + reduce + "\""};
}

// The value that does not change what it is combined with.
V neutral(Call& c, const std::string& reduction, DType dtype) {
  const bool is_boolean = dtype == DType::boolean;
  const double limit = is_boolean ? 1 : std::numeric_limits<double>::infinity();
  if (reduction == "max") return c.constant(is_boolean ? 0 : -limit, dtype);
  if (reduction == "min") return c.constant(limit, dtype);
  return c.constant(reduction == "mul" ? 1 : 0, dtype);
}

// A tensor, the positions along `axis` to write to, and what to write; all of rank 1 or more.
struct Scatter {
  V x;
  int64_t axis = 0;
  V index;
  V updates;  // of the index's shape, or a rank-0 value

  V with(Call& c, V base, V values, const std::string& reduction) const {
    if (c.has_shape(values) && c.rank(values) == 0)
      values = expand_to(c, values, c.shape_of(index));
    const DType dtype = c.dtype_of(base);
    const bool is_narrow = dtype == DType::f16 || dtype == DType::bf16;
    if (reduction != "none" && (is_narrow || dtype == DType::boolean)) {
      const DType wide = is_narrow ? DType::f32 : DType::i32;
      return c.cast(with(c, c.cast(base, wide), c.cast(values, wide), reduction), dtype);
    }
    Attributes attributes{attr("axis", axis)};
    if (reduction != "none") attributes.push_back(attr("reduction", reduction));
    if (c.opset() < 18 && (reduction == "max" || reduction == "min")) {
      throw Unsupported{"the reduction " + reduction + " before opset 18"};
    }
    return c.node("ScatterElements", {base, index, values}, attributes);
  }

  V write(Call& c, const std::string& reduction = "none") const {
    return with(c, x, updates, reduction);
  }

  // Combines the updates for a place with each other, and with what is there if `include_self`.
  V combine(Call& c, const std::string& reduce, bool include_self) const {
    if (reduce == "mean") return mean(c, include_self);
    const std::string reduction = reduction_of(reduce);
    const DType dtype = c.dtype_of(x);
    const V base = include_self ? x : with(c, x, neutral(c, reduction, dtype), "none");
    return with(c, base, updates, reduction);
  }

  V mean(Call& c, bool include_self) const {
    const DType dtype = c.dtype_of(x);
    const DType wide = is_floating(dtype) && byte_size(dtype) < 4 ? DType::f32 : dtype;
    const V one = c.constant(1, wide);
    const V base = include_self ? x : with(c, x, c.constant(0, dtype), "none");
    const V sum = with(c, c.cast(base, wide), c.cast(updates, wide), "add");
    const V none = expand_to(c, c.constant(include_self ? 1 : 0, wide), c.shape_of(x));
    const V count = run(c, "Max", {with(c, none, one, "add"), one});
    if (is_floating(wide)) return c.cast(c.div(sum, count), dtype);
    const V quotient = c.div(c.cast(sum, DType::f64), c.cast(count, DType::f64));
    return c.cast(c.node("Floor", {quotient}), dtype);
  }
};

V at_least_1d(Call& c, V x) { return c.rank(x) == 0 ? c.unsqueeze(x, {0}) : x; }

// The elements of `source` at the places that `index` has.
V crop(Call& c, V source, V index) {
  if (c.shape(source) == c.shape(index)) return source;
  const V start = c.constant_ints(std::vector<int64_t>(c.rank(index), 0));
  return c.node("Slice", {source, start, c.shape_of(index)});
}

V as_result(Call& c, V result) { return c.out_rank() == 0 ? c.squeeze(result, {0}) : result; }

// Arguments self, dim and index; the updates come from an argument of the name given.
Scatter scatter_of(Call& c, std::string_view source) {
  const V x = c.tensor("self"), index = at_least_1d(c, c.tensor("index", DType::i64));
  const int64_t axis = c.axis("dim", c.rank(x));
  const V updates = c.tensor(source, c.out_dtype());
  const bool is_value = source == "value";
  return {at_least_1d(c, x), axis, index,
          is_value ? updates : crop(c, at_least_1d(c, updates), index)};
}

// aten::scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor
V scatter_src(Call& c) { return as_result(c, scatter_of(c, "src").write(c)); }

// aten::scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor
V scatter_value(Call& c) { return as_result(c, scatter_of(c, "value").write(c)); }

// aten::scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor
V scatter_reduce(Call& c) {
  return as_result(c, scatter_of(c, "src").write(c, reduction_of(c.text("reduce"))));
}

// aten::scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce)
//     -> Tensor
V scatter_value_reduce(Call& c) {
  return as_result(c, scatter_of(c, "value").write(c, reduction_of(c.text("reduce"))));
}

// aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor
V scatter_add(Call& c) { return as_result(c, scatter_of(c, "src").write(c, "add")); }

// aten::scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *,
//     bool include_self=True) -> Tensor
V scatter_reduce_two(Call& c) {
  const Scatter scatter = scatter_of(c, "src");
  return as_result(c, scatter.combine(c, c.text("reduce"), c.boolean("include_self")));
}

// aten::put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor
V put(Call& c) {
  const Scatter flat{c.flatten_to_1d(c.tensor("self")), 0,
                     c.flatten_to_1d(c.tensor("index", DType::i64)),
                     c.flatten_to_1d(c.tensor("source", c.out_dtype()))};
  return c.reshape(flat.write(c, c.boolean("accumulate") ? "add" : "none"), c.out_shape());
}

// ---- along one axis, a position per slice
// --------------------------------------------------------------

V scatter_nd(Call& c, V x, V positions, V updates, bool accumulate) {
  const DType dtype = c.dtype_of(x);
  if (!accumulate) return c.node("ScatterND", {x, positions, updates});
  const DType wide = dtype == DType::f16 || dtype == DType::bf16 ? DType::f32 : dtype;
  return c.cast(c.node("ScatterND", {c.cast(x, wide), positions, c.cast(updates, wide)},
                       {attr("reduction", "add")}),
                dtype);
}

// The index (of at most one dimension) repeated over the other axes of updates of a shape.
V index_of_slices(Call& c, V index, int64_t axis, int64_t rank, V shape) {
  std::vector<int64_t> others(rank);
  std::iota(others.begin(), others.end(), 0);
  others.erase(others.begin() + axis);
  return expand_to(c, c.unsqueeze(at_least_1d(c, index), others), shape);
}

// Updates of rank 1 or more: a single slice may come without its axis.
V with_axis(Call& c, V updates, int64_t rank, int64_t axis) {
  updates = at_least_1d(c, updates);
  return c.rank(updates) < rank ? c.unsqueeze(updates, {axis}) : updates;
}

Scatter slices_of(Call& c, V updates) {
  const V x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  updates = with_axis(c, updates, c.rank(x), axis);
  const V index =
      index_of_slices(c, c.tensor("index", DType::i64), axis, c.rank(updates), c.shape_of(updates));
  return {at_least_1d(c, x), axis, index, updates};
}

V write_slices(Call& c, V updates, bool accumulate) {
  const V x = c.tensor("self");
  if (c.axis("dim", c.rank(x)) != 0) {
    return slices_of(c, updates).write(c, accumulate ? "add" : "none");
  }
  const V index = at_least_1d(c, c.tensor("index", DType::i64));
  updates = with_axis(c, updates, c.rank(x), 0);
  return as_result(c,
                   scatter_nd(c, at_least_1d(c, x), c.unsqueeze(index, {1}), updates, accumulate));
}

// aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor
V index_add(Call& c) {
  V source = c.tensor("source", c.out_dtype());
  const V alpha = c.scalar("alpha", c.out_dtype());
  if (c.known_scalar(alpha) != 1) source = run(c, "Mul", {source, alpha});
  return write_slices(c, source, true);
}

// aten::index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor
V index_copy(Call& c) { return write_slices(c, c.tensor("source", c.out_dtype()), false); }

// aten::index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *,
//     bool include_self=True) -> Tensor
V index_reduce(Call& c) {
  const Scatter slices = slices_of(c, c.tensor("source", c.out_dtype()));
  return as_result(c, slices.combine(c, c.text("reduce"), c.boolean("include_self")));
}

// aten::index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor
// aten::index_fill.int_Tensor(Tensor self, int dim, Tensor index, Tensor value) -> Tensor
V index_fill(Call& c) {
  const V x = at_least_1d(c, c.tensor("self"));
  const int64_t axis = c.axis("dim", c.rank(x));
  const V index = at_least_1d(c, c.tensor("index", DType::i64));
  std::vector<V> sizes;
  for (int64_t i = 0; i < c.rank(x); ++i) {
    sizes.push_back(i == axis ? c.size_of(index, 0) : c.size_of(x, i));
  }
  const V shape = concat_sizes(c, sizes);
  const V value = expand_to(c, c.scalar("value", c.out_dtype()), shape);
  const V positions = index_of_slices(c, index, axis, c.rank(x), shape);
  return as_result(c, Scatter{x, axis, positions, value}.write(c));
}

// ---- advanced indices
// ------------------------------------------------------------------------------

bool has_one_element(Call& c, V x) { return element_count(c.shape(x)) == 1; }

// One value at all places of a mask.
V put_where(Call& c, V x, V mask, int64_t axis, V value, bool accumulate) {
  std::vector<int64_t> later(c.rank(x) - axis - c.rank(mask));
  std::iota(later.begin(), later.end(), c.rank(mask));
  value = c.reshape(value, {});
  if (accumulate) value = run(c, "Add", {x, value});
  return choose(c, c.unsqueeze(c.cast(mask, DType::boolean), later), value, x);
}

// The values as updates for ScatterND on `x`, whose indexed axes come first.
V updates_for(Call& c, V x, V values, const AdvancedIndex& index) {
  const int64_t indexed = std::ssize(index.axes), kept = c.rank(x) - indexed;
  const int64_t rank = index.rank + kept, place = index.place();
  std::vector<int64_t> missing(std::max<int64_t>(rank - c.rank(values), 0));
  std::iota(missing.begin(), missing.end(), 0);
  if (place > 0) {
    // From [before, indices, after] to [indices, before, after].
    std::vector<int64_t> permutation(rank);
    std::iota(permutation.begin(), permutation.end(), 0);
    std::rotate(permutation.begin(), permutation.begin() + place,
                permutation.begin() + place + index.rank);
    values = c.transpose(c.unsqueeze(values, missing), permutation);
  }
  if (index.shape) {
    Shape shape = *index.shape;
    const Shape whole = c.shape(x);
    shape.insert(shape.end(), whole.begin() + indexed, whole.end());
    if (c.shape(values) == shape) return values;
  }
  std::vector<V> sizes{c.node("Shape", {index.positions}, {attr("end", -1)})};
  for (int64_t axis = indexed; axis < c.rank(x); ++axis) sizes.push_back(c.size_of(x, axis));
  return expand_to(c, values, c.concat(sizes, 0));
}

V index_put_at(Call& c) {
  const V x = c.tensor("self"), values = c.tensor("values", c.out_dtype());
  const std::vector<V> indices = c.tensors("indices");
  const bool accumulate = c.boolean("accumulate");
  if (const auto [mask, axis] = single_index(indices);
      mask != kOmitted && is_mask(c, mask) && has_one_element(c, values)) {
    return put_where(c, x, mask, axis, values, accumulate);
  }
  const AdvancedIndex index = advanced_index(c, indices);
  if (index.axes.empty()) {
    const V all = expand(c, values, c.out_shape());
    return accumulate ? run(c, "Add", {x, all}) : all;
  }
  const std::vector<int64_t> permutation = to_front(index.axes, c.rank(x));
  const V indexed_first = c.transpose(x, permutation);
  const V updates = updates_for(c, indexed_first, values, index);
  const V written = scatter_nd(c, indexed_first, index.positions, updates, accumulate);
  return c.transpose(written, inverse(permutation));
}

// aten::index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor
// aten::index_put.hacked_twin(Tensor self, Tensor[] indices, Tensor values,
//     bool accumulate=False) -> Tensor
V index_put(Call& c) { return index_put_at(c); }

// aten::_index_put_impl(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False,
//     bool unsafe=False) -> Tensor
V index_put_impl(Call& c) {
  c.ignore({"unsafe"});
  return index_put_at(c);
}

// aten::masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor
V masked_scatter(Call& c) {
  const V x = expand(c, c.tensor("self"), c.out_shape());
  const V mask = expand(c, c.tensor("mask", DType::boolean), c.out_shape());
  const V source = c.flatten_to_1d(c.tensor("source", c.out_dtype()));
  const V positions = true_positions(c, mask);
  const V count = c.node("Shape", {positions}, {attr("end", 1)});
  const V used = c.node("Slice", {source, c.constant_ints({0}), count});
  return as_result(c, c.node("ScatterND", {at_least_1d(c, x), positions, used}));
}

}  // namespace

std::span<const Row> scatter_rows() {
  static constexpr Row kRows[] = {
      {"aten::_index_put_impl", index_put_impl},
      {"aten::_unsafe_index_put", index_put},
      {"aten::_unsafe_index_put.hacked_twin", index_put},
      {"aten::index_add", index_add},
      {"aten::index_copy", index_copy},
      {"aten::index_fill.int_Scalar", index_fill},
      {"aten::index_fill.int_Tensor", index_fill},
      {"aten::index_put", index_put},
      {"aten::index_put.hacked_twin", index_put},
      {"aten::index_reduce", index_reduce},
      {"aten::masked_scatter", masked_scatter},
      {"aten::put", put},
      {"aten::scatter.reduce", scatter_reduce},
      {"aten::scatter.src", scatter_src},
      {"aten::scatter.value", scatter_value},
      {"aten::scatter.value_reduce", scatter_value_reduce},
      {"aten::scatter_add", scatter_add},
      {"aten::scatter_reduce.two", scatter_reduce_two},
  };
  return kRows;
}

}  // namespace modelexport::lowering
