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

// roi_align with bins that each look at channels of their own: [K, C / bins, height, width], and
// the channel of each bin.
std::tuple<at::Tensor, at::Tensor> own_channels(const at::Tensor& bins) {
  const int64_t height = bins.size(2), width = bins.size(3), count = height * width;
  TORCH_CHECK(bins.size(1) % count == 0, "the channels should be a multiple of the bins");
  const int64_t outputs = bins.size(1) / count;
  const std::vector<int64_t> shape{bins.size(0), outputs, height, width};
  const at::Tensor channel = at::arange(bins.size(1), at::kInt).view({1, outputs, height, width});
  const at::Tensor own = bins.reshape({-1, outputs, count, count}).diagonal(0, 2, 3);
  return {own.reshape(shape), channel.expand(shape).contiguous()};
}

std::tuple<at::Tensor, at::Tensor> ps_roi_align(const at::Tensor& input, const at::Tensor& rois,
                                                double scale, int64_t height, int64_t width,
                                                int64_t sampling_ratio) {
  return own_channels(roi_align(input, rois, scale, height, width, sampling_ratio, true));
}

// The whole pixels of a bin along one axis: [first, last).
struct Pixels {
  int64_t first, last;

  // `closed`: the region ends after the pixel `to`, and pixels up to `size` count; otherwise, as
  // torchvision has it, it ends before, and the last pixel never counts.
  Pixels(double from, double to, double scale, int64_t bin, int64_t bins, int64_t size,
         bool closed) {
    const auto start = static_cast<int64_t>(std::round(from * scale));
    const auto end = static_cast<int64_t>(std::round(to * scale));
    const int64_t length = std::max<int64_t>(end - start + (closed ? 1 : 0), 1);
    const float step = static_cast<float>(length) / static_cast<float>(bins);
    const int64_t most = closed ? size : size - 1;
    first = start + static_cast<int64_t>(std::floor(static_cast<float>(bin) * step));
    last = start + static_cast<int64_t>(std::ceil(static_cast<float>(bin + 1) * step));
    first = std::clamp<int64_t>(first, 0, most);
    last = std::clamp<int64_t>(last, 0, most);
  }
};

// `pool` of the pixels [C, height, width] of each bin, 0 where there are none: [K, C, bins, bins].
at::Tensor pool_bins(const at::Tensor& input, const at::Tensor& rois, double scale, int64_t height,
                     int64_t width, bool closed, at::Tensor (*pool)(const at::Tensor&)) {
  TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, "rois should be [K, 5]");
  TORCH_CHECK(input.dim() == 4, "input should be [N, C, H, W]");
  const at::Tensor regions = rois.to(at::kDouble).contiguous();
  const auto region = regions.accessor<double, 2>();
  at::Tensor output = at::zeros({rois.size(0), input.size(1), height, width}, input.options());
  for (int64_t i = 0; i < rois.size(0) * height * width; ++i) {
    const int64_t k = i / (height * width), row = i / width % height, column = i % width;
    const Pixels y(region[k][2], region[k][4], scale, row, height, input.size(2), closed);
    const Pixels x(region[k][1], region[k][3], scale, column, width, input.size(3), closed);
    if (y.last <= y.first || x.last <= x.first) continue;
    const at::Tensor pixels = input[static_cast<int64_t>(region[k][0])]
                                  .slice(1, y.first, y.last)
                                  .slice(2, x.first, x.last);
    output.select(0, k).select(1, row).select(1, column).copy_(pool(pixels));
  }
  return output;
}

std::tuple<at::Tensor, at::Tensor> ps_roi_pool(const at::Tensor& input, const at::Tensor& rois,
                                               double scale, int64_t height, int64_t width) {
  return own_channels(
      pool_bins(input, rois, scale, height, width, false, [](const at::Tensor& pixels) {
        return pixels.mean(at::IntArrayRef{1, 2});
      }));
}

// The second result, where the largest pixels are, is for training alone.
std::tuple<at::Tensor, at::Tensor> roi_pool(const at::Tensor& input, const at::Tensor& rois,
                                            double scale, int64_t height, int64_t width) {
  const at::Tensor output =
      pool_bins(input, rois, scale, height, width, true, [](const at::Tensor& pixels) {
        return pixels.amax(at::IntArrayRef{1, 2});
      });
  return {output, at::zeros(output.sizes(), at::kInt)};
}

// Convolution of pixels that are displaced, each by its own offset (y, x) [N, groups * kernel * 2,
// height, width], and weighted by a mask.
at::Tensor deform_conv2d(const at::Tensor& input, const at::Tensor& weight,
                         const at::Tensor& offset, const at::Tensor& mask, const at::Tensor& bias,
                         int64_t stride_h, int64_t stride_w, int64_t pad_h, int64_t pad_w,
                         int64_t dilation_h, int64_t dilation_w, int64_t groups,
                         int64_t offset_groups, bool use_mask) {
  const int64_t batch = input.size(0), channels = input.size(1), kernel_w = weight.size(3);
  const int64_t kernel = weight.size(2) * kernel_w, h = offset.size(2), w = offset.size(3);
  TORCH_CHECK(offset.size(1) == 2 * kernel * offset_groups,
              "offset should have two channels for each place of the kernel");
  const at::Tensor moved = offset.view({batch * offset_groups, kernel, 2, h, w});
  const auto options = input.options();
  const at::Tensor place = at::arange(kernel, at::kLong).view({-1, 1, 1});
  const at::Tensor row = at::arange(h, at::kLong).view({-1, 1}) * stride_h - pad_h +
                         place.floor_divide(kernel_w) * dilation_h;
  const at::Tensor column = at::arange(w, at::kLong).view({1, -1}) * stride_w - pad_w +
                            place.remainder(kernel_w) * dilation_w;
  const at::Tensor y = (moved.select(2, 0) + row) * 2 + 1,
                   x = (moved.select(2, 1) + column) * 2 + 1;
  const at::Tensor grid =
      at::stack({x / input.size(3) - 1, y / input.size(2) - 1}, -1).flatten(1, 2).to(options);
  at::Tensor pixels = at::grid_sampler(
      input.reshape({batch * offset_groups, -1, input.size(2), input.size(3)}), grid, 0, 0, false);
  if (use_mask) pixels = pixels * mask.reshape({batch * offset_groups, 1, kernel * h, w});
  pixels = pixels.reshape({batch, channels, kernel, h * w});
  const at::Tensor sums =
      at::conv2d(pixels, weight.flatten(2).unsqueeze(-1), bias, at::IntArrayRef{1, 1},
                 at::IntArrayRef{0, 0}, at::IntArrayRef{1, 1}, groups);
  return sums.reshape({batch, weight.size(0), h, w});
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
  library.def(
      "ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width, int sampling_ratio) -> (Tensor, Tensor)",
      &ps_roi_align);
  library.def(
      "ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width) -> (Tensor, Tensor)",
      &ps_roi_pool);
  library.def(
      "roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width) -> (Tensor, Tensor)",
      &roi_pool);
  library.def(
      "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
      "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, "
      "SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor",
      &deform_conv2d);
}

}  // namespace modelexport::frontend
