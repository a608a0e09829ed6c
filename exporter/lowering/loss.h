// What loss functions end with.
#pragma once

#include "exporter/lowering/expression.h"

namespace modelexport::lowering {

// PyTorch's numbers for the argument `reduction`.
enum class Reduction { none, mean, sum };
Reduction reduction_of(Call& c);

// The losses of all elements, reduced as the argument says, in the observed dtype.
V reduced(Call& c, Expr losses);

}  // namespace modelexport::lowering
