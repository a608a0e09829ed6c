// Products of matrices, for the operators that contain them.
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// MatMul, in a wider type where ONNX Runtime has no kernel for theirs (both have the same).
V matrix_product(Call& c, V a, V b);

// x weight^T + bias: Gemm for a matrix, otherwise MatMul with the transposed weight. `bias` may be
// kOmitted.
V linear_layer(Call& c, V x, V weight, V bias);

// Swaps the last two axes.
V transpose_matrices(Call& c, V x);

}  // namespace modelexport::lowering
