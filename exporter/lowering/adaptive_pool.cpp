// Pooling to a given output size, whatever the input's: window i of an axis covers
// [i * in / out, ceil((i + 1) * in / out)). Sizes may be dynamic.
#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

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

// Positions in the flattened plane of each output's window: int64 [outputs..., longest].
V plane_positions(Call& c, const std::vector<Axis>& axes) {
  const int64_t count = static_cast<int64_t>(axes.size());
  V positions;  // [outputs..., longest...]
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int64_t> others = axes_from(0, 2 * count);
    std::erase(others, i);
    std::erase(others, count + i);
    const V along = c.unsqueeze(window_positions(c, axes[i]), others);
    positions = i == 0 ? along : c.add(c.mul(positions, number(c, axes[i].in)), along);
  }
  std::vector<int64_t> shape(count, 0);
  shape.push_back(-1);
  return c.reshape_to(positions, c.constant_ints(shape));
}

// Where in its plane the maximum of each window is.
V maximum_position(Call& c, V x, const std::vector<Axis>& axes) {
  const V flat = c.reshape_to(x, c.constant_ints({0, 0, -1}));
  if (all_to_one(axes)) {
    const V best = run(c, "ArgMax", {flat}, {attr("axis", 2)});
    return c.reshape(c.typed(best, DType::i64), c.out_shape(1));
  }
  const V positions = plane_positions(c, axes);
  const V elements = c.gather(flat, positions, 2);  // [N, C, outputs..., longest]
  const V best = c.typed(run(c, "ArgMax", {elements}, {attr("axis", -1)}), DType::i64);
  const V table = expand_to(c, positions, c.node("Shape", {elements}));
  const V index = c.node("GatherElements", {table, best}, {attr("axis", -1)});
  return like_result(c, c.squeeze(index, {static_cast<int64_t>(axes.size()) + 2}),
                     static_cast<int64_t>(axes.size()));
}

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
  const V x = with_batch(c, c.tensor("self"), kSpatial);
  const std::vector<Axis> axes = spatial_axes(c, x, kSpatial);
  V y = x;
  if (all_to_one(axes)) {
    y = run(c, "GlobalMaxPool", {x});
  } else if (const auto windows = equal_windows(axes)) {
    y = run(c, "MaxPool", {x}, *windows);
  } else {
    for (const Axis& axis : axes) y = maximum_axis(c, y, axis);
  }
  const V index = c.output_used(1) ? maximum_position(c, x, axes) : kOmitted;
  return {like_result(c, y, kSpatial), index};
}

constexpr Row kRows[] = {
    {"aten::_adaptive_avg_pool2d", adaptive_avg_pool<2>},
    {"aten::_adaptive_avg_pool3d", adaptive_avg_pool<3>},
    {"aten::adaptive_avg_pool1d", adaptive_avg_pool<1>},
    {"aten::adaptive_avg_pool2d", adaptive_avg_pool<2>},
    {"aten::adaptive_avg_pool3d", adaptive_avg_pool<3>},
    {"aten::adaptive_max_pool1d", adaptive_max_pool<1>},
    {"aten::adaptive_max_pool2d", adaptive_max_pool<2>},
    {"aten::adaptive_max_pool3d", adaptive_max_pool<3>},
};

}  // namespace

std::span<const Row> adaptive_pool_rows() { return kRows; }

}  // namespace modelexport::lowering
