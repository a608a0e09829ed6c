// Object detection: operators of torchvision.
#include <string>
#include <vector>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/side_results.h"
#include "exporter/lowering/spatial.h"

namespace modelexport::lowering {
namespace {

// torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor
V nms(Call& c) {
  const V boxes = c.unsqueeze(c.tensor("dets", DType::f32), {0});        // [1, N, 4]
  const V scores = c.unsqueeze(c.tensor("scores", DType::f32), {0, 1});  // [1, 1, N]
  const V threshold = c.reshape(c.scalar("iou_threshold", DType::f32), {1});
  const V most = c.size_of(boxes, 1);
  // Rows of (batch, class, box), by descending score.
  const V selected = c.typed(c.node("NonMaxSuppression", {boxes, scores, most, threshold}),
                             DType::i64, {c.out_shape()[0], 3});
  return c.squeeze(c.slice(selected, 1, 2, 3), {1});
}

constexpr const char* kChannels = "the channels of the bins";

// Which image each region is in.
V image_of(Call& c, V rois) { return c.squeeze(c.cast(c.slice(rois, 1, 0, 1), DType::i64), {1}); }

V aligned_regions(Call& c, bool by_half_pixel) {
  const V x = c.tensor("input", DType::f32), rois = c.tensor("rois", DType::f32);
  const int64_t ratio = c.integer("sampling_ratio");
  const int64_t height = c.integer("pooled_height"), width = c.integer("pooled_width");
  const V aligned = c.node(
      "RoiAlign", {x, c.slice(rois, 1, 1, 5), image_of(c, rois)},
      {attr("coordinate_transformation_mode", by_half_pixel ? "half_pixel" : "output_half_pixel"),
       attr("output_height", height), attr("output_width", width),
       attr("sampling_ratio", ratio < 0 ? int64_t{0} : ratio),
       attr("spatial_scale", c.number("spatial_scale"))});
  return c.typed(aligned, DType::f32, {c.out_shape()[0], c.shape(x)[1], height, width});
}

// torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,
//   SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor
V roi_align(Call& c) { return c.cast(aligned_regions(c, c.boolean("aligned")), c.out_dtype()); }

// Bins [K, C, height, width] that each look at channels of their own: [K, C / bins, height, width].
V own_channels(Call& c, V bins) {
  const int64_t count = c.integer("pooled_height") * c.integer("pooled_width");
  std::vector<int64_t> diagonal;
  for (int64_t i = 0; i < count; ++i) diagonal.push_back(i * (count + 1));
  const V flat = c.reshape(bins, {c.out_shape()[0], c.out_shape()[1], count * count});
  return c.reshape(c.gather(flat, c.constant_ints(diagonal), 2), c.out_shape());
}

// torchvision::ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,
//   SymInt pooled_width, int sampling_ratio) -> (Tensor, Tensor)
std::vector<V> ps_roi_align(Call& c) {
  const V aligned = aligned_regions(c, true);
  return {c.cast(own_channels(c, aligned), c.out_dtype()), unused_result(c, 1, kChannels)};
}

// torchvision::roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,
//   SymInt pooled_width) -> (Tensor, Tensor)
std::vector<V> roi_pool(Call& c) {
  const V pooled = c.node(
      "MaxRoiPool", {c.tensor("input", DType::f32), c.tensor("rois", DType::f32)},
      {attr("pooled_shape", std::vector{c.integer("pooled_height"), c.integer("pooled_width")}),
       attr("spatial_scale", c.number("spatial_scale"))});
  return {c.cast(c.typed(pooled, DType::f32, c.out_shape()), c.out_dtype()),
          unused_result(c, 1, "the places of the largest elements")};
}

// The whole pixels of each bin along an axis: 1 or 0 [K, bins, size], and how many: [K, bins].
struct Pixels {
  Expr within, count;
};

// `start` and `end` are the columns of a region that hold its ends on the axis.
Pixels pixels_of(Call& c, Expr rois, int64_t start, int64_t end, V x, int64_t axis, int64_t bins) {
  const auto rounded = [&](int64_t column) {  // half away from zero, as C does
    const Expr at =
        Expr(c, c.slice(rois, 1, column, column + 1)) * number(c, "spatial_scale", rois.dtype());
    return sign(at) * floor(abs(at) + 0.5);
  };
  const Expr from = rounded(start), step = maximum(rounded(end) - from, 1.0) / double(bins);
  const Expr bin = cast(Expr(c, iota(c, Dim{bins})), rois.dtype());
  const Expr most = cast(Expr(c, size_number(c, x, axis)), rois.dtype()) - 1.0;
  const auto clipped = [&](Expr at) { return minimum(maximum(from + at, 0.0), most); };
  const Expr first = clipped(floor(bin * step));
  const Expr last = clipped(apply("Ceil", (bin + 1.0) * step));
  const Expr at = cast(Expr(c, iota(c, x, axis)), rois.dtype());
  const auto wide = [&](Expr x) { return Expr(c, c.unsqueeze(x, {2})); };
  const Expr within = (wide(first) <= at) & (at < wide(last));
  return {cast(within, rois.dtype()), maximum(last - first, 0.0)};
}

// torchvision::ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,
//   SymInt pooled_width) -> (Tensor, Tensor)
std::vector<V> ps_roi_pool(Call& c) {
  const Expr x = operand(c, "input"), rois = operand(c, "rois");
  const int64_t height = c.integer("pooled_height"), width = c.integer("pooled_width");
  const Pixels rows = pixels_of(c, rois, 2, 4, x, 2, height);
  const Pixels columns = pixels_of(c, rois, 1, 3, x, 3, width);
  const V images = c.gather(x, image_of(c, rois), 0);
  const Shape shape = c.shape(x);
  const Shape by_bins{c.out_shape()[0], c.out_shape()[1], height, width, shape[2], shape[3]};
  const V of_bins = c.reshape(images, by_bins);
  const auto product = [&](V a, V b) { return c.node("MatMul", {a, b}); };
  const V in_rows = product(of_bins, c.unsqueeze(columns.within, {1, 2, 5}));  // [..., H, 1]
  const V sums = product(c.unsqueeze(rows.within, {1, 3, 4}), in_rows);        // [..., 1, 1]
  const Expr area =
      Expr(c, c.unsqueeze(rows.count, {1, 3})) * Expr(c, c.unsqueeze(columns.count, {1, 2}));
  const V sum = c.typed(c.squeeze(sums, {4, 5}), x.dtype(), c.out_shape());
  return {result(c, Expr(c, sum) / maximum(area, 1.0)), unused_result(c, 1, kChannels)};
}

// ---- deformable convolution
// ------------------------------------------------------------------------

struct Deformed {
  V x, weight, offset, mask;  // mask: kOmitted if there is none
  int64_t groups, offset_groups;

  explicit Deformed(Call& c)
      : x(c.tensor("input", DType::f32)),
        weight(c.tensor("weight", DType::f32)),
        offset(c.tensor("offset", DType::f32)),
        mask(c.boolean("use_mask") ? c.tensor("mask", DType::f32) : kOmitted),
        groups(c.integer("groups")),
        offset_groups(c.integer("offset_groups")) {
    c.ignore({"mask"});
  }
};

// Where the places of the kernel lie along an axis without offsets, times 2 plus 1 and in terms of
// its size: [kernel, size, 1] for rows, [kernel, 1, size] for columns.
Expr undisplaced(Call& c, const Deformed& conv, int64_t axis) {
  const std::string side = axis == 2 ? "_h" : "_w";
  const int64_t width = c.shape(conv.weight)[3], count = c.shape(conv.weight)[2] * width;
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i)
    places.push_back((axis == 2 ? i / width : i % width) * c.integer("dilation" + side) -
                     c.integer("pad" + side));
  const V starts = c.mul(iota(c, conv.offset, axis), c.constant_int(c.integer("stride" + side)));
  const V along = c.unsqueeze(starts, {axis == 2 ? 1 : 0});
  const V all = c.add(c.unsqueeze(c.constant_ints(places), {1, 2}), along);
  return cast(Expr(c, all), DType::f32);
}

// [N * offset groups, C / offset groups, kernel * height, width]: the displaced pixels.
V displaced(Call& c, const Deformed& conv) {
  const int64_t count = c.shape(conv.weight)[2] * c.shape(conv.weight)[3];
  const auto sizes = [&](std::vector<int64_t> known, V from) {
    return concat_sizes(c, {c.constant_ints(known), c.size_of(from, 2), c.size_of(from, 3)});
  };
  const V moved = c.reshape_to(conv.offset, sizes({-1, count, 2}, conv.offset));
  const auto coordinate = [&](int64_t axis) {  // y stands first in the offsets
    const Expr offset(c, c.gather(moved, c.constant_int(axis - 2), 2));
    const Expr size = cast(Expr(c, size_number(c, conv.x, axis)), DType::f32);
    const Expr at = (offset + undisplaced(c, conv, axis)) * 2.0 + 1.0;
    return c.unsqueeze(at / size - 1.0, {4});
  };
  const V points = c.concat({coordinate(3), coordinate(2)}, 4);
  const V grid = c.reshape_to(
      points,
      concat_sizes(c, {c.constant_ints({0, -1}), c.size_of(conv.offset, 3), c.constant_ints({2})}));
  const V images =
      c.reshape_to(conv.x, sizes({-1, c.shape(conv.x)[1] / conv.offset_groups}, conv.x));
  return c.node("GridSample", {images, grid}, {attr("mode", "bilinear")});
}

// The same as DeformConv, which ONNX has since opset 19.
V composed(Call& c, const Deformed& conv) {
  const int64_t count = c.shape(conv.weight)[2] * c.shape(conv.weight)[3];
  V pixels = displaced(c, conv);
  if (conv.mask != kOmitted) {
    const V width = c.size_of(conv.offset, 3);
    const V by_group = c.reshape_to(conv.mask, concat_sizes(c, {c.constant_ints({-1, count}),
                                                                c.size_of(conv.offset, 2), width}));
    const V sizes = concat_sizes(c, {c.constant_ints({0, 1, -1}), width});
    pixels = c.mul(pixels, c.reshape_to(by_group, sizes));
  }
  const V by_place = c.reshape_to(
      pixels,
      concat_sizes(c, {c.size_of(conv.x, 0), c.constant_ints({c.shape(conv.x)[1], count, -1})}));
  const V weight = c.reshape(conv.weight, {c.out_shape()[1], c.shape(conv.weight)[1], count, 1});
  const V sums = c.node("Conv", {by_place, weight, c.tensor("bias", DType::f32)},
                        {attr("group", conv.groups)});
  return c.reshape(c.typed(sums, DType::f32), c.out_shape());
}

// torchvision::deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias,
//   SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h,
//   SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor
V deform_conv2d(Call& c) {
  const Deformed conv(c);
  if (c.opset() < 19) return c.cast(composed(c, conv), c.out_dtype());
  const auto both = [&](const std::string& name) {
    return std::vector{c.integer(name + "_h"), c.integer(name + "_w")};
  };
  const std::vector<int64_t> pads = joined(both("pad"), both("pad"));
  const V y = c.node(
      "DeformConv", {conv.x, conv.weight, conv.offset, c.tensor("bias", DType::f32), conv.mask},
      {attr("strides", both("stride")), attr("dilations", both("dilation")), attr("pads", pads),
       attr("group", conv.groups), attr("offset_group", conv.offset_groups)});
  return c.cast(c.typed(y, DType::f32, c.out_shape()), c.out_dtype());
}

constexpr Row kRows[] = {
    {"torchvision::deform_conv2d", deform_conv2d}, {"torchvision::nms", nms},
    {"torchvision::ps_roi_align", ps_roi_align},   {"torchvision::ps_roi_pool", ps_roi_pool},
    {"torchvision::roi_align", roi_align},         {"torchvision::roi_pool", roi_pool},
};

}  // namespace

std::span<const Row> detection_table() { return kRows; }

}  // namespace modelexport::lowering
