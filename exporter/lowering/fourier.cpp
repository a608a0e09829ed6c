#include "exporter/lowering/fourier.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/spatial.h"

namespace modelexport::lowering {
namespace {

bool is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

// Of a value whose shape need not be known.
Length axis_length(Call& c, V x, int64_t axis) {
  const V size = c.node("Shape", {x}, {attr("start", axis), attr("end", axis + 1)});
  return {std::nullopt, c.squeeze(size, {0}), true};
}

V dft_node(Call& c, V x, int64_t axis, const Length& length, bool inverse, bool onesided) {
  Attributes attributes;
  if (inverse) attributes.push_back(attr("inverse", 1));
  if (onesided) attributes.push_back(attr("onesided", 1));
  std::vector<V> inputs{x, length.is_the_axis ? kOmitted : length.number};
  if (c.opset() >= 20) {
    inputs.push_back(c.constant_int(axis));
  } else {
    attributes.push_back(attr("axis", axis));
  }
  return c.node("DFT", inputs, attributes);
}

V swap_parts(Call& c, V x) { return c.gather(x, c.constant_ints({1, 0}), -1); }

// The inverse of ONNX divides by the number of points, in float whatever the dtype: in double, it
// is the transform of the numbers with their parts swapped.
bool inverse_divides(Call& c, V x) { return c.dtype_of(x) != DType::f64; }

V dft(Call& c, V x, int64_t axis, const Length& length, bool inverse) {
  if (!inverse || inverse_divides(c, x)) return dft_node(c, x, axis, length, inverse, false);
  return swap_parts(c, dft_node(c, swap_parts(c, x), axis, length, false, false));
}

// Along the first `count` axes.
V unscaled(Call& c, V x, const Transform& transform, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    x = dft(c, x, transform.axes[i], transform.lengths[i], transform.inverse);
  }
  return x;
}

V scaled(Call& c, V x, const std::vector<Length>& lengths, double power) {
  if (power == 0) return x;
  const DType dtype = c.dtype_of(x);
  double known = 1;
  V factor;
  for (const Length& length : lengths) {
    if (length.known) {
      known *= static_cast<double>(*length.known);
      continue;
    }
    const V number = c.cast(length.number, dtype);
    factor = factor == kOmitted ? number : c.mul(factor, number);
  }
  if (factor == kOmitted) return c.mul(x, c.constant(std::pow(known, power), dtype));
  factor = c.mul(factor, c.constant(known, dtype));
  return c.mul(x, c.node("Pow", {factor, c.constant(power, dtype)}));
}

// The first elements along an axis.
V leading(Call& c, V x, int64_t axis, const Length& count) {
  const V end = count.known ? c.constant_ints({*count.known}) : c.unsqueeze(count.number, {0});
  return c.node("Slice", {x, c.constant_ints({0}), end, c.constant_ints({axis})});
}

// 1 for the points that stand for themselves (the first, and the last of an even length), 2 for
// those that stand for their mirror image, too.
V mirror_weights(Call& c, V x, int64_t axis, int64_t rank, const Length& length,
                 std::optional<int64_t> size) {
  const DType dtype = c.dtype_of(x);
  std::vector<int64_t> later(rank - axis - 1);
  std::iota(later.begin(), later.end(), 1);
  if (length.known && size) {
    std::vector<double> weights(*size, 2);
    if (*size > 0) weights[0] = 1;
    if (*length.known % 2 == 0 && *size > *length.known / 2) weights[*length.known / 2] = 1;
    std::vector<int64_t> dims(rank - axis, 1);
    dims[0] = *size;
    return constant_numbers(c, dtype, dims, weights);
  }
  const V place = iota(c, axis_length(c, x, axis).number);
  const V twice = c.add(place, place);
  const V alone = c.node(
      "Or", {c.node("Equal", {twice, c.constant_int(0)}), c.node("Equal", {twice, length.number})});
  return c.unsqueeze(c.where(alone, c.constant(1, dtype), c.constant(2, dtype)), later);
}

Length half_of(Call& c, const Length& length) {
  if (length.known) return given_length(c, c.constant_int(*length.known / 2 + 1));
  const V half = c.div(length.number, c.constant_int(2));
  return given_length(c, c.add(half, c.constant_int(1)));
}

}  // namespace

Length length_of(Call& c, V x, int64_t axis) {
  const std::optional<int64_t> known = static_size(c, x, axis);
  return {known, known ? c.constant_int(*known) : size_number(c, x, axis), true};
}

Length given_length(Call& c, V number) {
  const auto known = c.known_integers(number);
  return {known ? std::optional(known->at(0)) : std::nullopt, number, false};
}

DType transform_dtype(DType dtype, const std::vector<Length>& lengths) {
  const bool exact = std::ranges::all_of(
      lengths, [](const Length& length) { return length.known && is_power_of_two(*length.known); });
  return exact && dtype != DType::f64 ? DType::f32 : DType::f64;
}

V complex_transform(Call& c, V x, const Transform& transform) {
  const bool divides = transform.inverse && inverse_divides(c, x);
  x = unscaled(c, x, transform, transform.axes.size());
  return scaled(c, x, transform.lengths, transform.scale + (divides ? 1 : 0));
}

V half_transform(Call& c, V x, const Transform& transform) {
  x = dft_node(c, x, transform.axes.back(), transform.lengths.back(), false, true);
  x = unscaled(c, x, transform, transform.axes.size() - 1);
  return scaled(c, x, transform.lengths, transform.scale);
}

V real_transform(Call& c, V x, const Transform& transform) {
  const int64_t rank = c.rank(x), axis = transform.axes.back();
  const Length& length = transform.lengths.back();
  const bool divides = transform.inverse && inverse_divides(c, x);
  std::optional<int64_t> size = static_size(c, x, axis);
  x = unscaled(c, x, transform, transform.axes.size() - 1);
  if (!length.is_the_axis) {
    const Length half = half_of(c, length);
    x = leading(c, x, axis, half);
    if (size && half.known) size = std::min(*size, *half.known);
  }
  x = c.mul(x, mirror_weights(c, x, axis, rank, length, size));
  x = dft(c, x, axis, {length.known, length.number, false}, transform.inverse);
  x = c.gather(x, c.constant_int(0), -1);
  return scaled(c, x, transform.lengths, transform.scale + (divides ? 1 : 0));
}

}  // namespace modelexport::lowering
