// Results that only training asks for: random states, what the backward pass needs.
#pragma once

#include <string_view>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// Stands for a result that nothing uses; no node computes it. Unsupported if something does:
// `what` says what it is.
V unused_result(Call& c, size_t index, std::string_view what);

}  // namespace modelexport::lowering
