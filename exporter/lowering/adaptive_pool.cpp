#include "exporter/lowering/adaptive_pool.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"

namespace modelexport::lowering {
namespace {

struct Axis {
  int64_t index;  // in the input with its batch dimension
  Dim in, out;

  bool is_static() const { return modelexport::is_static(in) && modelexport::is_static(out); }
  int64_t start(int64_t i) const { return i * in / out; }
  int64_t end(int64_t i) const { return ((i + 1) * in + out - 1) / out; }
  int64_t longest() const {  // window
    int64_t length = 1;
    for (int64_t i = 0; i < out; ++i) length = std::max(length, end(i) - start(i));
    return length;
  }
};

std::vector<Axis> spatial_axes(Call& c, V x, int64_t spatial) {
  std::vector<Axis> axes;
  const Shape& in = c.shape(x);
  for (int64_t i = 0; i < spatial; ++i)
    axes.push_back({i + 2, in[i + 2], c.out_shape()[c.out_rank() - spatial + i]});
  return axes;
}

bool all_to_one(const std::vector<Axis>& axes) {
  return std::ranges::all_of(axes, [](const Axis& a) { return a.out == 1; });
}

// Attributes of the pooling operator with windows of one size, if that is what these axes are.
std::optional<Attributes> equal_windows(const std::vector<Axis>& axes) {
  std::vector<int64_t> kernel;
  for (const Axis& axis : axes) {
    if (!axis.is_static() || axis.out == 0 || axis.in % axis.out != 0) return std::nullopt;
    kernel.push_back(axis.in / axis.out);
  }
  return Attributes{attr("kernel_shape", kernel), attr("strides", kernel)};
}

V number(Call& c, Dim dim) {
  return is_static(dim) ? c.constant_int(dim) : c.squeeze(c.shape_vector({dim}), {0});
}

// First and last position + 1 of each window: int64 [out].
struct Bounds {
  V start, end;
};

Bounds bounds(Call& c, const Axis& axis) {
  if (axis.is_static()) {
    std::vector<int64_t> start, end;
    for (int64_t i = 0; i < axis.out; ++i) {
      start.push_back(axis.start(i));
      end.push_back(axis.end(i));
    }
    return {c.constant_ints(start), c.constant_ints(end)};
  }
  const V in = number(c, axis.in), out = number(c, axis.out), i = iota(c, axis.out);
  const V start = c.div(c.mul(i, in), out);
  const V next = c.mul(c.add(i, c.constant_int(1)), in);
  return {start, c.div(c.add(next, c.sub(out, c.constant_int(1))), out)};
}

// [in, out]: 1 / length where the position is in the window.
V averaging_matrix(Call& c, const Axis& axis, DType dtype) {
  if (axis.is_static()) {
    std::vector<double> values(axis.in * axis.out, 0.0);
    for (int64_t i = 0; i < axis.out; ++i)
      for (int64_t j = axis.start(i); j < axis.end(i); ++j)
        values[j * axis.out + i] = 1.0 / static_cast<double>(axis.end(i) - axis.start(i));
    return constant_numbers(c, dtype, {axis.in, axis.out}, values);
  }
  const auto [start, end] = bounds(c, axis);
  const V position = c.unsqueeze(iota(c, axis.in), {1});
  const V inside =
      c.node("And", {c.node("GreaterOrEqual", {position, start}), c.node("Less", {position, end})});
  return c.div(c.cast(inside, dtype), c.cast(c.sub(end, start), dtype));
}

// Positions of each window, the last one repeated in shorter windows: int64 [out, longest].
V window_positions(Call& c, const Axis& axis) {
  if (axis.is_static()) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < axis.out; ++i)
      for (int64_t k = 0; k < axis.longest(); ++k)
        values.push_back(std::min(axis.start(i) + k, axis.end(i) - 1));
    return constant_integers(c, {axis.out, axis.longest()}, values);
  }
  const auto [start, end] = bounds(c, axis);
  const V longest = reduce(c, "ReduceMax", c.sub(end, start), {0}, false);
  const V last = c.sub(c.unsqueeze(end, {1}), c.constant_int(1));
  return c.node("Min", {c.add(c.unsqueeze(start, {1}), iota(c, longest)), last});
}

V average_axis(Call& c, V x, const Axis& axis) {
  if (axis.in == axis.out) return x;
  if (axis.out == 1) return reduce(c, "ReduceMean", x, {axis.index}, true);
  return matrix_along(c, x, axis.index, averaging_matrix(c, axis, c.dtype_of(x)));
}

V maximum_axis(Call& c, V x, const Axis& axis) {
  if (axis.in == axis.out) return x;
  if (axis.out == 1) return reduce(c, "ReduceMax", x, {axis.index}, true);
  const V windows = c.gather(x, window_positions(c, axis), axis.index);
  return reduce(c, "ReduceMax", windows, {axis.index + 1}, false);
}

// Positions in the flattened plane of each output's window: [outputs][longest], row-major.
std::vector<std::vector<int64_t>> plane_windows(const std::vector<Axis>& axes) {
  std::vector<std::vector<int64_t>> windows{{0}};
  for (const Axis& axis : axes) {
    std::vector<std::vector<int64_t>> next;
    for (const std::vector<int64_t>& outer : windows) {
      for (int64_t i = 0; i < axis.out; ++i) {
        std::vector<int64_t>& window = next.emplace_back();
        for (int64_t position : outer)
          for (int64_t k = 0; k < axis.longest(); ++k)
            window.push_back(position * axis.in + std::min(axis.start(i) + k, axis.end(i) - 1));
      }
    }
    windows = std::move(next);
  }
  return windows;
}

struct Maximum {
  V value, index;
};

Maximum maximum_with_index(Call& c, V x, const std::vector<Axis>& axes) {
  if (all_to_one(axes)) {
    std::vector<int64_t> spatial;
    for (const Axis& axis : axes) spatial.push_back(axis.index);
    const V flat = c.reshape_to(x, c.constant_ints({0, 0, -1}));
    return {reduce(c, "ReduceMax", x, spatial, true),
            c.typed(run(c, "ArgMax", {flat}, {attr("axis", 2)}), DType::i64)};
  }
  if (!std::ranges::all_of(axes, &Axis::is_static))
    throw Unsupported{"indices of adaptive max pooling over a dynamic size"};
  int64_t plane = 1;
  for (const Axis& axis : axes) plane *= axis.in;
  const V flat = c.reshape(x, {c.shape(x)[0], c.shape(x)[1], plane});
  const std::vector<std::vector<int64_t>> windows = plane_windows(axes);
  const int64_t outputs = static_cast<int64_t>(windows.size());
  const int64_t length = outputs == 0 ? 1 : static_cast<int64_t>(windows[0].size());
  std::vector<int64_t> positions, first;
  for (int64_t i = 0; i < outputs; ++i) {
    positions.insert(positions.end(), windows[i].begin(), windows[i].end());
    first.push_back(i * length);
  }
  const V table = constant_integers(c, {outputs, length}, positions);
  const V elements = c.gather(flat, table, 2);  // [N, C, outputs, length]
  const V best =
      c.typed(run(c, "ArgMax", {elements}, {attr("axis", 3), attr("keepdims", false)}), DType::i64);
  return {reduce(c, "ReduceMax", elements, {3}, false),
          c.gather(c.constant_ints(positions), c.add(best, c.constant_ints(first)), 0)};
}

}  // namespace

// aten::adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor
template <int64_t kSpatial>
V adaptive_avg_pool(Call& c) {
  c.ignore({"output_size"});
  V x = with_batch(c, c.tensor("self"), kSpatial);
  const std::vector<Axis> axes = spatial_axes(c, x, kSpatial);
  if (all_to_one(axes)) return like_result(c, run(c, "GlobalAveragePool", {x}), kSpatial);
  if (const auto windows = equal_windows(axes))
    return like_result(c, run(c, "AveragePool", {x}, *windows), kSpatial);
  x = c.cast(x, compute_dtype(c.out_dtype()));
  for (const Axis& axis : axes) x = average_axis(c, x, axis);
  return like_result(c, c.cast(x, c.out_dtype()), kSpatial);
}

// aten::adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)
template <int64_t kSpatial>
std::vector<V> adaptive_max_pool(Call& c) {
  c.ignore({"output_size"});
  V x = with_batch(c, c.tensor("self"), kSpatial);
  const std::vector<Axis> axes = spatial_axes(c, x, kSpatial);
  if (c.output_used(1)) {
    const auto [value, index] = maximum_with_index(c, x, axes);
    return {c.reshape(value, c.out_shape(0)), c.reshape(index, c.out_shape(1))};
  }
  if (all_to_one(axes)) {
    x = run(c, "GlobalMaxPool", {x});
  } else if (const auto windows = equal_windows(axes)) {
    x = run(c, "MaxPool", {x}, *windows);
  } else {
    for (const Axis& axis : axes) x = maximum_axis(c, x, axis);
  }
  return {like_result(c, x, kSpatial), kOmitted};
}

template V adaptive_avg_pool<1>(Call& c);
template V adaptive_avg_pool<2>(Call& c);
template V adaptive_avg_pool<3>(Call& c);
template std::vector<V> adaptive_max_pool<1>(Call& c);
template std::vector<V> adaptive_max_pool<2>(Call& c);
template std::vector<V> adaptive_max_pool<3>(Call& c);

}  // namespace modelexport::lowering
