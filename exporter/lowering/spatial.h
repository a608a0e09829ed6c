// What operators over [N, C, spatial...] share: convolution, pooling, resizing, padding. Their ATen
// forms also take [C, spatial...], and one number for all spatial axes.
//
//   V x = with_batch(c, c.tensor("self"), 2);
//   V y = run(c, "MaxPool", {x}, {attr("strides", per_axis(c.integers("stride"), 2)), ...});
//   return like_result(c, y, 2);
#pragma once

#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// Adds the batch dimension if `x` has only one more dimension than `spatial`.
V with_batch(Call& c, V x, int64_t spatial);

// Takes the batch dimension away if the call's first output was observed without it.
V like_result(Call& c, V y, int64_t spatial);

// One value for each of `axes` axes, from one for all of them or one for each.
std::vector<int64_t> per_axis(std::vector<int64_t> values, int64_t axes);

std::vector<int64_t> joined(std::vector<int64_t> a, const std::vector<int64_t>& b);

// 0, 1, 2 ...: `count` axes from `first`.
std::vector<int64_t> axes_from(int64_t first, int64_t count);

// Little-endian bytes of a constant, as constant_tensor() takes them.
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A float64 matrix or vector as a constant of `dtype` (float16, float32 or float64).
V constant_numbers(Call& c, DType dtype, std::vector<int64_t> dims,
                   const std::vector<double>& values);
// An int64 one.
V constant_integers(Call& c, std::vector<int64_t> dims, const std::vector<int64_t>& values);

// A tensor of one value; a constant if the shape is static.
V filled_with(Call& c, double value, DType dtype, const Shape& shape);

// Multiplies along one axis of `x` with a matrix [in, out] of the same dtype.
V matrix_along(Call& c, V x, int64_t axis, V matrix);

}  // namespace modelexport::lowering
