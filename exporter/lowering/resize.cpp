// Interpolation to another size: aten::upsample_* and aten::_upsample_*. Each operator has a plain
// form (output_size, and the scale of each axis that was given) and a `.vec` form (one of
// output_size and scale_factors). Padding, grids and folding have files of their own.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/interpolation.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

using enum Interpolation;

struct Resize {
  V x;
  Interpolation mode;
  bool align_corners = false, antialias = false;
  std::vector<std::optional<double>> scales;  // one per spatial axis
  V sizes = kOmitted;  // int64 [spatial]; omitted: they follow from the scales
  V factors =
      kOmitted;  // float64 [spatial]: scales that depend on the inputs, in place of `scales`

  int64_t spatial() const { return static_cast<int64_t>(scales.size()); }
  bool is_nearest() const { return mode == nearest || mode == nearest_exact; }
  bool by_scales() const {
    return std::ranges::all_of(scales, [](const auto& scale) { return scale && *scale > 0; });
  }
};

// Spatial axis `i`, if its sizes are static.
std::optional<ResizedAxis> static_axis(Call& c, const Resize& resize, int64_t i) {
  const Dim in = c.shape(resize.x)[i + 2], out = c.out_shape()[i + 2];
  if (!is_static(in) || !is_static(out) || resize.factors != kOmitted) return std::nullopt;
  ResizedAxis axis{in, out, resize.scales[i], resize.align_corners, resize.antialias};
  if (axis.scale.value_or(0) <= 0) axis.scale.reset();
  return axis;
}

// The spatial axes, if all their sizes are static.
std::optional<std::vector<ResizedAxis>> static_axes(Call& c, const Resize& resize) {
  std::vector<ResizedAxis> axes;
  for (int64_t i = 0; i < resize.spatial(); ++i) {
    const auto axis = static_axis(c, resize, i);
    if (!axis) return std::nullopt;
    axes.push_back(*axis);
  }
  return axes;
}

// Why ONNX's Resize does not say this, or nullptr if it does.
const char* not_expressible(Call& c, const Resize& resize) {
  if (resize.mode == lanczos) return "Lanczos interpolation";
  if (resize.antialias && resize.align_corners) return "antialias with align_corners";
  if (resize.antialias && c.opset() < 18) return "antialias before opset 18";
  const bool any = std::ranges::any_of(resize.scales, [](const auto& s) { return s && *s > 0; });
  if (any && !resize.by_scales()) return "a scale for some axes only";
  return nullptr;
}

// Whether Resize gives these sizes and, of nearest modes, takes the same elements as PyTorch.
bool is_exact(const Resize& resize, const std::vector<ResizedAxis>& axes) {
  return std::ranges::all_of(axes, [&](const ResizedAxis& axis) {
    if (axis.scale) {
      const float out = static_cast<float>(axis.in) * static_cast<float>(*axis.scale);
      if (static_cast<int64_t>(out) != axis.out) return false;
    }
    return !resize.is_nearest() ||
           source_positions(resize.mode, axis) == resize_positions(resize.mode, axis);
  });
}

Attributes attributes_of(const Resize& resize) {
  if (resize.mode == nearest) {
    return {attr("mode", "nearest"), attr("coordinate_transformation_mode", "asymmetric"),
            attr("nearest_mode", "floor")};
  }
  if (resize.mode == nearest_exact) {
    return {attr("mode", "nearest"), attr("coordinate_transformation_mode", "half_pixel"),
            attr("nearest_mode", "round_prefer_ceil")};
  }
  Attributes attributes{attr("mode", resize.mode == linear ? "linear" : "cubic"),
                        attr("coordinate_transformation_mode",
                             resize.align_corners ? "align_corners" : "half_pixel")};
  if (resize.mode == cubic)
    attributes.push_back(attr("cubic_coeff_a", resize.antialias ? -0.5 : -0.75));
  if (resize.antialias) {
    attributes.push_back(attr("antialias", true));
    attributes.push_back(attr("exclude_outside", true));
  }
  return attributes;
}

V resize_node(Call& c, const Resize& resize) {
  Attributes attributes = attributes_of(resize);
  const bool has_axes = c.opset() >= 18;
  if (has_axes) attributes.push_back(attr("axes", axes_from(2, resize.spatial())));
  if (resize.factors != kOmitted) {
    const V ones = constant_numbers(c, DType::f32, {2}, {1, 1});
    const V factors = c.cast(resize.factors, DType::f32);
    const V all = has_axes ? factors : c.concat({ones, factors}, 0);
    return run(c, "Resize", {resize.x, kOmitted, all}, attributes);
  }
  if (resize.by_scales()) {
    std::vector<double> scales(has_axes ? 0 : 2, 1.0);
    for (const auto& scale : resize.scales) scales.push_back(*scale);
    const int64_t count = static_cast<int64_t>(scales.size());
    const V factors = constant_numbers(c, DType::f32, {count}, scales);
    return run(c, "Resize", {resize.x, kOmitted, factors}, attributes);
  }
  V sizes = resize.sizes;
  if (!has_axes) {
    const Shape& shape = c.shape(resize.x);
    sizes = c.concat({c.shape_vector({shape[0], shape[1]}), sizes}, 0);
  }
  return run(c, "Resize", {resize.x, kOmitted, kOmitted, sizes}, attributes);
}

// Whether Resize takes the same elements as PyTorch, of nearest modes, whatever the size.
bool is_exact_at_any_size(const Resize& resize) {
  constexpr int64_t kLarge = 4096;
  return resize.by_scales() && std::ranges::all_of(resize.scales, [&](const auto& scale) {
           const ResizedAxis axis{kLarge, static_cast<int64_t>(kLarge * *scale), scale};
           return *scale == static_cast<float>(*scale) &&
                  source_positions(resize.mode, axis) == resize_positions(resize.mode, axis);
         });
}

// Of nearest modes, with the rounding of PyTorch: spatial axis `i` picked by positions that are
// computed in the graph.
V pick_nearest(Call& c, V x, const Resize& resize, int64_t i) {
  const int64_t axis = i + 2;
  const Expr in(c, size_number(c, x, axis));
  std::optional<Expr> scale;
  if (const auto known = resize.scales[i]; known && *known > 0)
    scale = Expr(c, c.constant(*known, DType::f64));
  if (resize.factors != kOmitted) scale = Expr(c, c.gather(resize.factors, c.constant_int(i), 0));
  const bool has_size = resize.sizes != kOmitted;
  const Expr out = has_size ? Expr(c, c.gather(resize.sizes, c.constant_int(i), 0))
                            : cast(cast(in, DType::f64) * *scale, DType::i64);
  const Expr step =
      scale ? cast(1.0 / *scale, DType::f32) : cast(in, DType::f32) / cast(out, DType::f32);
  Expr place = cast(Expr(c, iota(c, out)), DType::f32);
  if (resize.mode == nearest_exact) place = place + 0.5;
  const Expr position = cast(floor(place * step), DType::i64);
  return c.gather(x, minimum(position, in - 1.0), axis);
}

V resize_nearest(Call& c, const Resize& resize) {
  V y = resize.x;
  for (int64_t i = 0; i < resize.spatial(); ++i) {
    const auto axis = static_axis(c, resize, i);
    y = axis ? c.gather(y, c.constant_ints(source_positions(resize.mode, *axis)), i + 2)
             : pick_nearest(c, y, resize, i);
  }
  return y;
}

// Axis by axis: picking elements, or multiplying with the weights of the interpolation.
V resize_by_axes(Call& c, const Resize& resize, const std::vector<ResizedAxis>& axes) {
  V y = resize.x;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = static_cast<int64_t>(i) + 2;
    if (resize.is_nearest()) {
      y = c.gather(y, c.constant_ints(source_positions(resize.mode, axes[i])), axis);
      continue;
    }
    const std::vector<int64_t> dims{axes[i].in, axes[i].out};
    const std::vector<double> weights = weight_matrix(resize.mode, axes[i]);
    y = matrix_along(c, y, axis, constant_numbers(c, c.dtype_of(y), dims, weights));
  }
  return y;
}

// PyTorch interpolates bytes from the last axis to the first, and goes back to bytes after each.
V resize_bytes(Call& c, const Resize& resize, const std::vector<ResizedAxis>& axes) {
  V y = c.cast(resize.x, DType::f32);
  for (size_t i = axes.size(); i-- > 0;) {
    if (axes[i].in == axes[i].out) continue;
    std::vector<double> weights = weight_matrix(resize.mode, axes[i]);
    round_for_bytes(weights);
    const V matrix = constant_numbers(c, DType::f32, {axes[i].in, axes[i].out}, weights);
    y = matrix_along(c, y, static_cast<int64_t>(i) + 2, matrix);
    y = c.node("Floor", {c.add(y, c.constant(0.5, DType::f32))});
    y = c.node("Clip", {y, c.constant(0, DType::f32), c.constant(255, DType::f32)});
  }
  return c.cast(y, DType::u8);
}

V emit(Call& c, Resize resize) {
  const DType dtype = c.out_dtype();
  const char* reason = not_expressible(c, resize);
  const auto axes = static_axes(c, resize);
  if (!is_floating(dtype) && !resize.is_nearest()) {
    if (dtype != DType::u8 || !axes) throw Unsupported{"interpolation of integers"};
    return resize_bytes(c, resize, *axes);
  }
  if (!axes && resize.is_nearest() && !is_exact_at_any_size(resize))
    return resize_nearest(c, resize);
  if (reason && !axes) throw Unsupported{std::string(reason) + " of a dynamic size"};
  const bool has_kernel = dtype != DType::f64 && dtype != DType::i64;
  if (!axes || (!reason && has_kernel && is_exact(resize, *axes))) return resize_node(c, resize);
  if (!resize.is_nearest()) resize.x = c.cast(resize.x, compute_dtype(dtype));
  return c.cast(resize_by_axes(c, resize, *axes), dtype);
}

template <int64_t kSpatial>
std::vector<std::string_view> scale_names() {
  if constexpr (kSpatial == 1) return {"scales"};
  if constexpr (kSpatial == 2) return {"scales_h", "scales_w"};
  return {"scales_d", "scales_h", "scales_w"};
}

// aten::upsample_bilinear2d(Tensor self, SymInt[2] output_size, bool align_corners,
//   float? scales_h=None, float? scales_w=None) -> Tensor
template <Interpolation kMode, int64_t kSpatial, bool kAntialias = false>
V upsample(Call& c) {
  Resize resize{c.tensor("self"), kMode};
  resize.antialias = kAntialias;
  if (!resize.is_nearest()) resize.align_corners = c.boolean("align_corners");
  std::vector<V> factors;
  for (const std::string_view name : scale_names<kSpatial>()) {
    const bool known = c.is_none(name) || c.is_known(name);
    resize.scales.push_back(known ? c.optional_number(name) : std::nullopt);
    if (!known) factors.push_back(c.unsqueeze(c.scalar(name, DType::f64), {0}));
  }
  if (!factors.empty()) {
    if (std::ssize(factors) < kSpatial) throw Unsupported{"a scale for some axes only"};
    resize.factors = c.concat(factors, 0);
  }
  resize.sizes = c.int_list("output_size");
  return emit(c, resize);
}

// aten::upsample_bilinear2d.vec(Tensor input, SymInt[]? output_size, bool align_corners,
//   float[]? scale_factors) -> Tensor
template <Interpolation kMode, int64_t kSpatial, bool kAntialias = false>
V upsample_vec(Call& c) {
  Resize resize{c.tensor("input"), kMode};
  resize.antialias = kAntialias;
  if (!resize.is_nearest()) resize.align_corners = c.boolean("align_corners");
  resize.scales.resize(kSpatial);
  if (c.is_none("output_size")) {
    c.ignore({"output_size"});
    if (!c.is_known("scale_factors")) {
      resize.factors = c.number_list("scale_factors", DType::f64);
      return emit(c, resize);
    }
    const std::vector<double> factors = c.numbers("scale_factors");
    for (int64_t i = 0; i < kSpatial; ++i) resize.scales[i] = factors[i];
  } else {
    resize.sizes = c.int_list("output_size");
    c.ignore({"scale_factors"});
  }
  return emit(c, resize);
}

constexpr Row kRows[] = {
    {"aten::_upsample_bicubic2d_aa", upsample<cubic, 2, true>},
    {"aten::_upsample_bicubic2d_aa.vec", upsample_vec<cubic, 2, true>},
    {"aten::_upsample_bilinear2d_aa", upsample<linear, 2, true>},
    {"aten::_upsample_bilinear2d_aa.vec", upsample_vec<linear, 2, true>},
    {"aten::_upsample_lanczos2d_aa", upsample<lanczos, 2, true>},
    {"aten::_upsample_lanczos2d_aa.vec", upsample_vec<lanczos, 2, true>},
    {"aten::_upsample_nearest_exact1d", upsample<nearest_exact, 1>},
    {"aten::_upsample_nearest_exact1d.vec", upsample_vec<nearest_exact, 1>},
    {"aten::_upsample_nearest_exact2d", upsample<nearest_exact, 2>},
    {"aten::_upsample_nearest_exact2d.vec", upsample_vec<nearest_exact, 2>},
    {"aten::_upsample_nearest_exact3d", upsample<nearest_exact, 3>},
    {"aten::_upsample_nearest_exact3d.vec", upsample_vec<nearest_exact, 3>},
    {"aten::upsample_bicubic2d", upsample<cubic, 2>},
    {"aten::upsample_bicubic2d.vec", upsample_vec<cubic, 2>},
    {"aten::upsample_bilinear2d", upsample<linear, 2>},
    {"aten::upsample_bilinear2d.vec", upsample_vec<linear, 2>},
    {"aten::upsample_linear1d", upsample<linear, 1>},
    {"aten::upsample_linear1d.vec", upsample_vec<linear, 1>},
    {"aten::upsample_nearest1d", upsample<nearest, 1>},
    {"aten::upsample_nearest1d.vec", upsample_vec<nearest, 1>},
    {"aten::upsample_nearest2d", upsample<nearest, 2>},
    {"aten::upsample_nearest2d.vec", upsample_vec<nearest, 2>},
    {"aten::upsample_nearest3d", upsample<nearest, 3>},
    {"aten::upsample_nearest3d.vec", upsample_vec<nearest, 3>},
    {"aten::upsample_trilinear3d", upsample<linear, 3>},
    {"aten::upsample_trilinear3d.vec", upsample_vec<linear, 3>},
};

}  // namespace

std::span<const Row> resize_table() {
  static const std::vector<Row> kAll = joined(
      joined(joined(joined(kRows, padding_rows()), grid_rows()), fold_rows()), shuffle_rows());
  return kAll;
}

}  // namespace modelexport::lowering
