#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {

c10::ScalarType scalar_type_of(DType dtype) {
  if (dtype == DType::undefined) return c10::ScalarType::Undefined;
  for (int8_t number = 0; number < static_cast<int8_t>(c10::ScalarType::NumOptions); ++number) {
    if (dtype_from_scalar_type(number) == dtype) return static_cast<c10::ScalarType>(number);
  }
  return c10::ScalarType::Undefined;
}

}  // namespace modelexport::frontend
