// Operands and results of the operators on numbers. In the graph an int is a rank-0 int64, a float
// a float64, a bool a bool. The operators mean the same in all overloads, so operands go by
// position.
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// Operand `index` as rank 0; a tensor given for a number has one element, but maybe a rank.
V operand(Call& c, size_t index);
V operand(Call& c, size_t index, DType dtype);

// As the type that was observed.
V result(Call& c, V value);

}  // namespace modelexport::lowering
