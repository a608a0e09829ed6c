#include "exporter/program/program.h"

#include <algorithm>

namespace modelexport {

bool is_static(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](Dim dim) { return is_static(dim); });
}

std::optional<int64_t> element_count(const Shape& shape) {
  // A zero makes the tensor empty whatever the symbols are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t count = 1;
  for (Dim dim : shape) {
    if (!is_static(dim)) return std::nullopt;
    count *= dim;
  }
  return count;
}

bool Tensor::is_contiguous() const {
  if (element_count() <= 1) return true;
  int64_t expected = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] != 1 && strides[i] != expected) return false;  // a stride over one element is moot
    expected *= sizes[i];
  }
  return true;
}

int64_t Tensor::element_count() const {
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  return count;
}

}  // namespace modelexport
