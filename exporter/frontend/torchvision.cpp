#include "exporter/frontend/torchvision.h"

#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace modelexport::frontend {
namespace {

// Indexes of the boxes [N, 4] (x1, y1, x2, y2) that no kept box of a higher score overlaps by more
// than `threshold`, by descending score.
at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double threshold) {
  TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "boxes should be [N, 4]");
  TORCH_CHECK(scores.dim() == 1 && scores.size(0) == boxes.size(0), "scores should be [N]");
  const at::Tensor order = std::get<1>(scores.sort(/*stable=*/true, 0, /*descending=*/true));
  const at::Tensor box = boxes.index_select(0, order).to(at::kFloat).contiguous();
  const auto at = box.accessor<float, 2>();
  const int64_t count = boxes.size(0);
  const auto area = [&](int64_t i) { return (at[i][2] - at[i][0]) * (at[i][3] - at[i][1]); };
  const auto overlap = [&](int64_t i, int64_t j) {
    const float width = std::min(at[i][2], at[j][2]) - std::max(at[i][0], at[j][0]);
    const float height = std::min(at[i][3], at[j][3]) - std::max(at[i][1], at[j][1]);
    const float common = std::max(0.0f, width) * std::max(0.0f, height);
    return common / (area(i) + area(j) - common);
  };
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < count; ++i) {
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](int64_t j) {
      return overlap(i, j) > static_cast<float>(threshold);
    });
    if (!hidden) kept.push_back(i);
  }
  return order.index_select(0, at::tensor(kept, at::kLong));
}

// One axis of a sampling point: the two nearest pixels and their weights; none outside the image.
struct Neighbours {
  std::array<int64_t, 2> pixel{};
  std::array<double, 2> weight{};
};

Neighbours neighbours(double position, int64_t size) {
  if (position < -1 || position > static_cast<double>(size)) return {};
  position = std::max(position, 0.0);
  const int64_t low = std::min(static_cast<int64_t>(position), size - 1);
  const double fraction = low == size - 1 ? 0 : position - static_cast<double>(low);
  return {{low, std::min(low + 1, size - 1)}, {1 - fraction, fraction}};
}

// A region along one axis: where it begins, how large a bin is, and how many points are in a bin.
struct Bins {
  double start, size;
  int64_t points;

  Bins(double from, double to, double scale, int64_t bins, int64_t sampling_ratio, bool aligned) {
    const double shift = aligned ? 0.5 : 0;
    start = from * scale - shift;
    double length = to * scale - shift - start;
    if (!aligned) length = std::max(length, 1.0);
    size = length / static_cast<double>(bins);
    points = sampling_ratio > 0 ? sampling_ratio : static_cast<int64_t>(std::ceil(size));
  }

  double position(int64_t bin, int64_t point) const {
    return start + static_cast<double>(bin) * size +
           (static_cast<double>(point) + 0.5) * size / static_cast<double>(points);
  }
};

// Means over bilinearly interpolated points in the bins of each region [batch index, x1, y1, x2,
// y2].
at::Tensor roi_align(const at::Tensor& input, const at::Tensor& rois, double scale, int64_t height,
                     int64_t width, int64_t sampling_ratio, bool aligned) {
  TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, "rois should be [K, 5]");
  TORCH_CHECK(input.dim() == 4, "input should be [N, C, H, W]");
  const at::Tensor regions = rois.to(at::kDouble).contiguous();
  const at::Tensor image = input.to(at::kDouble).contiguous();
  const auto pixels = image.accessor<double, 4>();
  const auto region = regions.accessor<double, 2>();
  const int64_t channels = input.size(1);
  at::Tensor output = at::zeros({rois.size(0), channels, height, width}, image.options());
  auto means = output.accessor<double, 4>();
  for (int64_t k = 0; k < rois.size(0); ++k) {
    const auto source = pixels[static_cast<int64_t>(region[k][0])];
    const Bins x(region[k][1], region[k][3], scale, width, sampling_ratio, aligned);
    const Bins y(region[k][2], region[k][4], scale, height, sampling_ratio, aligned);
    const double count = static_cast<double>(std::max<int64_t>(x.points * y.points, 1));
    for (int64_t i = 0; i < height * y.points * width * x.points; ++i) {
      const int64_t column = i % (width * x.points), row = i / (width * x.points);
      const int64_t bin_x = column / x.points, bin_y = row / y.points;
      const Neighbours near_x = neighbours(x.position(bin_x, column % x.points), input.size(3));
      const Neighbours near_y = neighbours(y.position(bin_y, row % y.points), input.size(2));
      for (int corner = 0; corner < 4; ++corner) {
        const double weight = near_y.weight[corner / 2] * near_x.weight[corner % 2] / count;
        for (int64_t channel = 0; weight != 0 && channel < channels; ++channel) {
          means[k][channel][bin_y][bin_x] +=
              weight * source[channel][near_y.pixel[corner / 2]][near_x.pixel[corner % 2]];
        }
      }
    }
  }
  return output.to(input.scalar_type());
}

bool is_registered(const char* name) {
  return c10::Dispatcher::singleton().findSchema({name, ""}).has_value();
}

}  // namespace

void register_torchvision() {
  if (is_registered("torchvision::nms")) return;
  static torch::Library library(torch::Library::FRAGMENT, "torchvision", std::nullopt, __FILE__,
                                __LINE__);
  library.def("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", &nms);
  library.def(
      "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
      &roi_align);
}

}  // namespace modelexport::frontend
