// A tensor in memory with its name: what goes into and comes out of LibTorch and ONNX Runtime when
// their numbers are compared. Contiguous, row-major, little-endian; bool is one byte (0 or 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "exporter/program/dtype.h"

namespace modelexport {

struct HostTensor {
  std::string name;
  DType dtype = DType::undefined;
  std::vector<int64_t> dims;
  std::vector<std::byte> bytes;
};

// A complex tensor as the program and the ONNX file have it (see program.h): the same bytes, as
// pairs.
inline HostTensor as_pairs(HostTensor tensor) {
  if (!is_complex(tensor.dtype)) return tensor;
  tensor.dtype = part_dtype(tensor.dtype);
  tensor.dims.push_back(2);
  return tensor;
}

// One input or output of the model: a tensor, or a sequence of them.
struct HostValue {
  std::string name;
  bool is_sequence = false;
  std::vector<HostTensor> tensors;  // exactly one unless is_sequence
};

}  // namespace modelexport
