// A weight as the module has it, where the program has pairs of reals in its place (see program.h).
#pragma once

#include <cstdint>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport {

inline DType module_dtype(const Tensor& tensor) {
  return tensor.is_complex ? complex_dtype(tensor.dtype) : tensor.dtype;
}

inline std::vector<int64_t> module_sizes(const Tensor& tensor) {
  std::vector<int64_t> sizes = tensor.sizes;
  if (tensor.is_complex) sizes.pop_back();
  return sizes;
}

inline int64_t module_element_count(const Tensor& tensor) {
  return tensor.is_complex ? tensor.element_count() / 2 : tensor.element_count();
}

}  // namespace modelexport
