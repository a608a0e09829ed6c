// Scaled dot-product attention, for the operators that contain it.
#pragma once

#include <optional>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

struct Attention {
  V query, key, value;  // [..., length, features]; ranks may differ, leading axes broadcast
  V mask;               // kOmitted, booleans (false: hidden), or floats that are added
  bool is_causal = false;
  std::optional<double> scale;  // default: 1 / sqrt(features)
  // What a query gets that may look at nothing: NaN as by the definition, or zeros.
  bool is_nan_if_blind = false;
};

struct Attended {
  V output;
  V weights;  // kOmitted where a fused operator keeps them to itself
};

Attended attend(Call& c, Attention attention, bool needs_weights);

}  // namespace modelexport::lowering
