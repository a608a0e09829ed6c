// Pooling over windows: MaxPool and AveragePool. Pooling to a given size is in adaptive_pool.cpp.
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

struct Windows {
  // One value per spatial axis.
  std::vector<int64_t> kernel, stride, padding, dilation;
  // Further padding at the end. In ceil mode PyTorch adds a last, incomplete window if it begins
  // inside of the input or its left padding; that is what this much padding gives in floor mode,
  // whatever the size of the input.
  std::vector<int64_t> extra;

  std::vector<int64_t> end() const {
    std::vector<int64_t> result = padding;
    for (size_t i = 0; i < result.size(); ++i) result[i] += extra[i];
    return result;
  }
  bool has_extra() const {
    return std::ranges::any_of(extra, [](int64_t size) { return size > 0; });
  }
};

// Reads kernel_size, stride, padding and ceil_mode.
Windows read_windows(Call& c, int64_t spatial, std::vector<int64_t> dilation = {1}) {
  Windows w;
  w.kernel = per_axis(c.integers("kernel_size"), spatial);
  w.stride = per_axis(c.integers("stride"), spatial);
  if (w.stride.empty()) w.stride = w.kernel;
  w.padding = per_axis(c.integers("padding"), spatial);
  w.dilation = per_axis(std::move(dilation), spatial);
  w.extra.assign(spatial, 0);
  if (!c.boolean("ceil_mode")) return w;
  for (int64_t i = 0; i < spatial; ++i) {
    const int64_t reach = w.dilation[i] * (w.kernel[i] - 1);
    w.extra[i] = std::min(w.stride[i] - 1, reach - w.padding[i]);
  }
  return w;
}

Attributes attributes_of(const Windows& w, const std::vector<int64_t>& pads) {
  return {attr("kernel_shape", w.kernel), attr("pads", pads), attr("strides", w.stride)};
}

// Pads the spatial axes with one value.
V pad_spatial(Call& c, V x, const std::vector<int64_t>& begin, const std::vector<int64_t>& end,
              double value) {
  const std::vector<int64_t> none(2, 0);
  const std::vector<int64_t> pads = joined(joined(none, begin), joined(none, end));
  return run(c, "Pad", {x, c.constant_ints(pads), c.constant(value, c.dtype_of(x))});
}

// Elements of one plane, as a number to divide by.
V plane_size(Call& c, V x, int64_t spatial) {
  const Shape& shape = c.shape(x);
  const Shape plane(shape.end() - spatial, shape.end());
  if (const auto count = element_count(plane)) return c.constant_int(*count);
  return run(c, "ReduceProd", {c.shape_vector(plane)}, {attr("keepdims", false)});
}

template <int64_t kSpatial>
std::vector<V> max_pool_with_indices(Call& c, bool want_indices) {
  const Windows w = read_windows(c, kSpatial, c.integers("dilation"));
  V x = with_batch(c, c.tensor("self"), kSpatial);
  std::vector<int64_t> pads = joined(w.padding, w.end());
  // ONNX Runtime takes padding only below the kernel's size, whatever the dilation.
  for (int64_t i = 0; i < kSpatial; ++i) {
    if (w.padding[i] + w.extra[i] < w.kernel[i]) continue;
    if (want_indices) throw Unsupported{"indices where the padding exceeds the kernel"};
    if (!is_floating(c.dtype_of(x))) x = c.cast(x, DType::f64);
    x = pad_spatial(c, x, w.padding, w.end(), -std::numeric_limits<double>::infinity());
    pads.assign(2 * kSpatial, 0);
    break;
  }
  Attributes attributes = attributes_of(w, pads);
  attributes.push_back(attr("dilations", w.dilation));
  if (!want_indices) return {like_result(c, run(c, "MaxPool", {x}, attributes), kSpatial)};
  std::vector<V> y = run_many(c, "MaxPool", {x}, 2, attributes);
  // ONNX counts through the whole tensor, PyTorch through one plane.
  const V indices = c.node("Mod", {c.typed(y[1], DType::i64), plane_size(c, x, kSpatial)});
  return {like_result(c, y[0], kSpatial), like_result(c, indices, kSpatial)};
}

// aten::max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0,
//   int[2] dilation=1, bool ceil_mode=False) -> Tensor
template <int64_t kSpatial>
V max_pool(Call& c) {
  return c.cast(max_pool_with_indices<kSpatial>(c, false)[0], c.out_dtype());
}

// aten::max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[],
//   int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)
template <int64_t kSpatial>
std::vector<V> max_pool_indices(Call& c) {
  const bool want_indices = c.output_used(1);
  std::vector<V> y = max_pool_with_indices<kSpatial>(c, want_indices);
  return {c.cast(y[0], c.out_dtype()), want_indices ? y[1] : kOmitted};
}

// A quotient of integers with a divisor up to `most`, rounded to zero as they are divided: the
// nearest other quotients are 1 / most away.
Expr whole_average(Expr quotient, double most) {
  return cast(truncate(quotient + sign(quotient) * (0.5 / most)), DType::i64);
}

V average(Call& c, int64_t spatial, std::optional<int64_t> divisor) {
  const Windows w = read_windows(c, spatial);
  const bool count_include_pad = c.boolean("count_include_pad");
  V x = with_batch(c, c.tensor("self"), spatial);
  const bool integers = !is_floating(c.dtype_of(x));
  if (integers) x = c.cast(x, DType::f64);
  const double volume = std::accumulate(w.kernel.begin(), w.kernel.end(), 1.0, std::multiplies());
  Attributes attributes;
  V y;
  if (divisor) {
    attributes = attributes_of(w, joined(w.padding, w.end()));
    attributes.push_back(attr("count_include_pad", true));
    y = run(c, "AveragePool", {x}, attributes);
    y = run(c, "Mul", {y, c.constant(volume / static_cast<double>(*divisor), c.dtype_of(y))});
  } else if (count_include_pad && w.has_extra()) {
    // The given padding counts, what ceil mode adds does not.
    const std::vector<int64_t> none(spatial, 0);
    if (w.padding != none) x = pad_spatial(c, x, w.padding, w.padding, 0);
    y = run(c, "AveragePool", {x}, attributes_of(w, joined(none, w.extra)));
  } else {
    attributes = attributes_of(w, joined(w.padding, w.end()));
    attributes.push_back(attr("count_include_pad", count_include_pad));
    y = run(c, "AveragePool", {x}, attributes);
  }
  if (integers) y = whole_average(Expr(c, y), divisor ? static_cast<double>(*divisor) : volume);
  return like_result(c, y, spatial);
}

// aten::avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0,
//   bool ceil_mode=False, bool count_include_pad=True) -> Tensor
V avg_pool1d(Call& c) { return average(c, 1, std::nullopt); }

// aten::avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0,
//   bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor
template <int64_t kSpatial>
V avg_pool(Call& c) {
  return average(c, kSpatial, c.optional_integer("divisor_override"));
}

// Puts each element of `self` where `indices` says, in planes of the observed output's size.
V unpool(Call& c, int64_t spatial) {
  c.ignore({"output_size"});
  const int64_t outer = c.out_rank() - spatial;
  std::vector<int64_t> flat(outer, 0);  // keep these dimensions
  flat.push_back(-1);
  const V planes = c.constant_ints(flat);
  const V zeros = c.expand(c.constant(0, c.out_dtype()), c.out_shape());
  const V y = run(c, "ScatterElements",
                  {c.reshape_to(zeros, planes), c.reshape_to(c.tensor("indices"), planes),
                   c.reshape_to(c.tensor("self"), planes)},
                  {attr("axis", outer)});
  return c.reshape(y, c.out_shape());
}

// aten::max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> Tensor
V max_unpool2d(Call& c) { return unpool(c, 2); }

// aten::max_unpool3d(Tensor self, Tensor indices, SymInt[3] output_size, int[3] stride,
//   int[3] padding) -> Tensor
V max_unpool3d(Call& c) {
  c.ignore({"stride", "padding"});  // only checked
  return unpool(c, 3);
}

constexpr Row kRows[] = {
    {"aten::avg_pool1d", avg_pool1d},
    {"aten::avg_pool2d", avg_pool<2>},
    {"aten::avg_pool3d", avg_pool<3>},
    {"aten::max_pool1d", max_pool<1>},
    {"aten::max_pool1d_with_indices", max_pool_indices<1>},
    {"aten::max_pool2d", max_pool<2>},
    {"aten::max_pool2d_with_indices", max_pool_indices<2>},
    {"aten::max_pool3d", max_pool<3>},
    {"aten::max_pool3d_with_indices", max_pool_indices<3>},
    {"aten::max_unpool2d", max_unpool2d},
    {"aten::max_unpool3d", max_unpool3d},
};

}  // namespace

std::span<const Row> pool_table() {
  static const std::vector<Row> kAll = joined(kRows, adaptive_pool_rows());
  return kAll;
}

}  // namespace modelexport::lowering
