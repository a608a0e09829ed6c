// How far two tensors of one shape and dtype are apart.
#pragma once

#include <cstdint>
#include <optional>

#include "exporter/program/program.h"

namespace modelexport::analysis {

struct ValueDifference {
  int64_t different = 0;          // elements whose bytes differ
  std::optional<double> max_abs;  // of float32 and float64; nullopt also if it is not finite
};

ValueDifference value_difference(const Program& first, const Tensor& a, const Program& second,
                                 const Tensor& b);

}  // namespace modelexport::analysis
