// Discrete Fourier transforms of pairs (see complex.h) along axes, by ONNX's DFT.
//
// ONNX Runtime computes sizes that are powers of two as precisely as LibTorch does; for others it
// loses four to five digits, so these are computed in double.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// How many points a transform has along an axis.
struct Length {
  std::optional<int64_t> known;
  V number;          // rank-0 int64
  bool is_the_axis;  // what the signal has: nothing is cut off or padded
};

// Of an axis of `x`; of an int that was given.
Length length_of(Call& c, V x, int64_t axis);
Length given_length(Call& c, V number);

// What the sum over the points is multiplied by: a power of their number.
struct Scale {
  static constexpr double kNone = 0, kRoot = -0.5, kWhole = -1;
};

struct Transform {
  std::vector<int64_t> axes;
  std::vector<Length> lengths;
  bool inverse = false;
  double scale = Scale::kNone;
};

// From real (a last dimension of size 1) or complex to complex; the rank includes the last
// dimension. Values are in `dtype`.
V complex_transform(Call& c, V x, const Transform& transform);
// From real to complex, along the last one of the axes to the half that determines the rest.
V half_transform(Call& c, V x, const Transform& transform);
// From that half to real; without the last dimension.
V real_transform(Call& c, V x, const Transform& transform);

// The dtype to compute these transforms in, for values of `dtype`.
DType transform_dtype(DType dtype, const std::vector<Length>& lengths);

}  // namespace modelexport::lowering
