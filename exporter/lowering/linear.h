// Linear layers, for the operators that contain them.
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// x weight^T + bias: Gemm for a matrix, otherwise MatMul with the transposed weight. `bias` may be
// kOmitted.
V linear_layer(Call& c, V x, V weight, V bias);

// Swaps the last two axes.
V transpose_matrices(Call& c, V x);

}  // namespace modelexport::lowering
