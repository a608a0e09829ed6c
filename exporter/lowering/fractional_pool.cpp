// Fractional max pooling: windows of one size, whose places are spread by random samples.
#include <string>
#include <vector>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"

namespace modelexport::lowering {
namespace {

struct Axis {
  int64_t in, out, window, sample;  // sample: which of the random numbers
};

std::vector<Axis> axes_of(Call& c, const Shape& shape) {
  const std::vector<int64_t> windows = c.integers("kernel_size"), outs = c.integers("output_size");
  const auto count = std::ssize(windows);
  std::vector<Axis> axes;
  for (int64_t i = 0; i < count; ++i) {
    const Dim in = shape[shape.size() - count + i];
    if (!is_static(in)) throw Unsupported{"a dynamic size to pool over"};
    // In two dimensions LibTorch takes the width's sample first.
    axes.push_back({in, outs[i], windows[i], count == 2 ? 1 - i : i});
  }
  return axes;
}

// The positions along an axis, [N, C, out, window].
Expr positions(Call& c, Expr samples, const Axis& axis) {
  const auto range = [&](int64_t count) { return Expr(c, iota(c, Dim{count})); };
  Expr starts = Expr(c, c.constant_ints({axis.in - axis.window}));
  if (axis.out > 1) {
    const Expr u(c, c.slice(samples, 2, axis.sample, axis.sample + 1));
    Expr step = cast(Expr(c, c.constant_int(axis.in - axis.window)), u.dtype());
    step = step / cast(Expr(c, c.constant_int(axis.out - 1)), u.dtype());
    const Expr places = cast(range(axis.out), u.dtype());
    const Expr spread = cast((places + u) * step, DType::i64) - cast(u * step, DType::i64);
    starts = where(range(axis.out) < static_cast<double>(axis.out - 1), spread, starts);
  } else {
    starts = starts + 0.0 * cast(Expr(c, c.slice(samples, 2, 0, 1)), DType::i64);
  }
  return Expr(c, c.unsqueeze(starts, {3})) + range(axis.window);
}

// Where the elements of each window are among all of a plane: [N, C, outs..., windows...].
Expr plane_positions(Call& c, Expr samples, const std::vector<Axis>& axes) {
  const auto count = std::ssize(axes);
  Expr sum(c, c.constant_int(0));
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int64_t> others;  // [N, C, out, window] among the others' axes
    for (int64_t j = 0; j < 2 * count; ++j) {
      if (j != i && j != count + i) others.push_back(2 + j);
    }
    const Expr along(c, c.unsqueeze(positions(c, samples, axes[i]), others));
    sum = sum * static_cast<double>(axes[i].in) + along;
  }
  return sum;
}

// aten::fractional_max_pool2d(Tensor self, int[2] kernel_size, int[2] output_size,
//     Tensor random_samples) -> (Tensor, Tensor), and fractional_max_pool3d
std::vector<V> fractional_max_pool(Call& c) {
  V x = c.tensor("self");
  const std::vector<Axis> axes = axes_of(c, c.shape(x));
  const bool single = c.rank(x) == std::ssize(axes) + 1;
  if (single) x = c.unsqueeze(x, {0});
  const Shape shape = c.shape(x);
  Shape plane{shape[0], shape[1], 1}, outs{shape[0], shape[1]};
  int64_t outputs = 1, elements = 1;
  for (const Axis& axis : axes) {
    plane[2] *= axis.in;
    outputs *= axis.out;
    elements *= axis.window;
    outs.push_back(axis.out);
  }
  const Shape windows{shape[0], shape[1], outputs, elements};
  Expr samples(c, c.tensor("random_samples", compute_dtype(c.dtype_of(x))));
  if (c.shape(samples)[0] != shape[0]) {  // there may be more than are needed
    const V all = c.constant_ints({0});
    samples = Expr(c, c.node("Slice", {samples, all, c.size_of(x, 0), all}));
  }
  const V places = c.reshape(plane_positions(c, samples, axes), windows);
  const V flat = c.reshape(places, {shape[0], shape[1], outputs * elements});
  const V found = c.node("GatherElements", {c.reshape(x, plane), flat}, {attr("axis", 2)});
  const V values = c.reshape(c.typed(found, c.dtype_of(x), c.shape(flat)), windows);
  const V best = run(c, "ArgMax", {values}, {attr("axis", 3), attr("keepdims", 1)});
  const auto at_best = [&](V from) {
    const V one = c.node("GatherElements", {from, best}, {attr("axis", 3)});
    const V shaped =
        c.reshape(c.typed(one, c.dtype_of(from), {shape[0], shape[1], outputs, 1}), outs);
    return single ? c.squeeze(shaped, {0}) : shaped;
  };
  return {at_best(values), at_best(places)};
}

constexpr Row kRows[] = {
    {"aten::fractional_max_pool2d", fractional_max_pool},
    {"aten::fractional_max_pool3d", fractional_max_pool},
};

}  // namespace

std::span<const Row> fractional_pool_rows() { return kRows; }

}  // namespace modelexport::lowering
