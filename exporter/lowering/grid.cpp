// Sampling at the points of a grid, and grids of affine maps.
#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// Coordinates of `size` pixels in [-1, 1]: of their centres, or with the outer ones at the ends.
double coordinate(int64_t i, int64_t size, bool align_corners) {
  if (size == 1) return 0;
  const double position = 2.0 * static_cast<double>(i), count = static_cast<double>(size);
  return align_corners ? position / (count - 1) - 1 : (position + 1) / count - 1;
}

// (x, y, ..., 1) of each pixel, row-major: [pixels, axes + 1].
V homogeneous_points(Call& c, const Shape& spatial, bool align_corners, DType dtype) {
  const int64_t axes = static_cast<int64_t>(spatial.size());
  const int64_t pixels =
      std::accumulate(spatial.begin(), spatial.end(), int64_t{1}, std::multiplies());
  std::vector<double> points;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    int64_t rest = pixel;
    for (int64_t axis = axes - 1; axis >= 0; --axis) {  // x is the last axis
      points.push_back(coordinate(rest % spatial[axis], spatial[axis], align_corners));
      rest /= spatial[axis];
    }
    points.push_back(1);
  }
  return constant_numbers(c, dtype, {pixels, axes + 1}, points);
}

// aten::grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode,
//   bool align_corners) -> Tensor
V grid_sampler(Call& c) {
  const V x = c.tensor("input"), grid = c.tensor("grid");
  const int64_t mode = c.integer("interpolation_mode"), padding = c.integer("padding_mode");
  static constexpr const char* kModesBefore20[] = {"bilinear", "nearest", "bicubic"};
  static constexpr const char* kModes[] = {"linear", "nearest", "cubic"};
  static constexpr const char* kPaddings[] = {"zeros", "border", "reflection"};
  if (c.opset() < 20 && c.rank(x) > 4) throw Unsupported{"5-D grid sampling before opset 20"};
  const Attributes attributes{attr("align_corners", c.boolean("align_corners")),
                              attr("mode", c.opset() < 20 ? kModesBefore20[mode] : kModes[mode]),
                              attr("padding_mode", kPaddings[padding])};
  // From opset 20 on, ONNX Runtime has it for float64 too.
  if (c.opset() >= 20 && c.dtype_of(x) == DType::f64)
    return c.node("GridSample", {x, grid}, attributes);
  return run(c, "GridSample", {x, grid}, attributes);
}

// aten::affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor
V affine_grid_generator(Call& c) {
  const V theta = c.tensor("theta");
  const bool align_corners = c.boolean("align_corners");
  const Shape spatial(c.out_shape().begin() + 1, c.out_shape().end() - 1);
  // ONNX puts the only pixel of an axis at -1 with aligned corners, PyTorch at 0.
  const bool has_one = std::ranges::find(spatial, 1) != spatial.end();
  if (c.opset() >= 20 && !(align_corners && has_one)) {
    return run(c, "AffineGrid", {theta, c.int_list("size")},
               {attr("align_corners", align_corners)});
  }
  c.ignore({"size"});
  if (!is_static(spatial)) throw Unsupported{"an affine grid of dynamic size before opset 20"};
  const DType dtype = compute_dtype(c.out_dtype());
  const V points = homogeneous_points(c, spatial, align_corners, dtype);
  const V maps = c.transpose(c.cast(theta, dtype), {0, 2, 1});
  return c.reshape(c.cast(c.node("MatMul", {points, maps}), c.out_dtype()), c.out_shape());
}

constexpr Row kRows[] = {
    {"aten::affine_grid_generator", affine_grid_generator},
    {"aten::grid_sampler", grid_sampler},
    {"aten::grid_sampler_2d", grid_sampler},
    {"aten::grid_sampler_3d", grid_sampler},
};

}  // namespace

std::span<const Row> grid_rows() { return kRows; }

}  // namespace modelexport::lowering
