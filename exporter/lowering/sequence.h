// Lists as ONNX sequences.
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// A list argument as a sequence with elements of `dtype`: a list of known length becomes one.
V as_sequence(Call& c, const Argument& list, DType dtype);

}  // namespace modelexport::lowering
