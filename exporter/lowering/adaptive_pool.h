// Pooling to a given output size: window i of an axis covers [i * in / out, ceil((i + 1) * in /
// out)). Sizes may be dynamic. `kSpatial` is 1, 2 or 3; rows of pool_table().
#pragma once

#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

template <int64_t kSpatial>
V adaptive_avg_pool(Call& c);

template <int64_t kSpatial>
std::vector<V> adaptive_max_pool(Call& c);

}  // namespace modelexport::lowering
