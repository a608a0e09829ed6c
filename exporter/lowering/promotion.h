// PyTorch's type promotion, for operators whose result does not tell the dtype they compute in:
// comparisons and the like.
#pragma once

#include <initializer_list>
#include <string_view>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// The dtype of an operation on two tensors of these dtypes, both of rank 1 or more.
DType promote(DType a, DType b);

// The dtype in which the call combines these arguments (Tensor or Scalar): a rank-0 tensor counts
// only by its category (bool, integral, floating), and a number less than a rank-0 tensor. Reads
// none of them.
DType promoted_dtype(Call& c, std::initializer_list<std::string_view> arguments);

// What kind of number a Scalar argument is: i64, f64, boolean or c128; its own dtype if it is a
// tensor.
DType number_dtype(Call& c, std::string_view argument);

}  // namespace modelexport::lowering
