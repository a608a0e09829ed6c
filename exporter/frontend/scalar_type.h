// LibTorch's element types in the program's terms.
#pragma once

#include <c10/core/ScalarType.h>

#include "exporter/program/dtype.h"

namespace modelexport::frontend {

inline DType dtype_of(c10::ScalarType type) {
  return dtype_from_scalar_type(static_cast<int64_t>(type));
}

// Undefined for types LibTorch does not have (string).
c10::ScalarType scalar_type_of(DType dtype);

}  // namespace modelexport::frontend
