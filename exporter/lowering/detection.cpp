// Object detection: operators of torchvision.
#include "exporter/lowering/call.h"
#include "exporter/lowering/registry.h"

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

// torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,
//   SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor
V roi_align(Call& c) {
  const V x = c.tensor("input", DType::f32), rois = c.tensor("rois", DType::f32);
  const V batch = c.squeeze(c.cast(c.slice(rois, 1, 0, 1), DType::i64), {1});
  const int64_t ratio = c.integer("sampling_ratio");
  const V aligned = c.node("RoiAlign", {x, c.slice(rois, 1, 1, 5), batch},
                           {attr("coordinate_transformation_mode",
                                 c.boolean("aligned") ? "half_pixel" : "output_half_pixel"),
                            attr("output_height", c.integer("pooled_height")),
                            attr("output_width", c.integer("pooled_width")),
                            attr("sampling_ratio", ratio < 0 ? int64_t{0} : ratio),
                            attr("spatial_scale", c.number("spatial_scale"))});
  return c.cast(c.typed(aligned, DType::f32, c.out_shape()), c.out_dtype());
}

constexpr Row kRows[] = {
    {"torchvision::nms", nms},
    {"torchvision::roi_align", roi_align},
};

}  // namespace

std::span<const Row> detection_table() { return kRows; }

}  // namespace modelexport::lowering
