// Numbers to and from the little-endian bytes of tensors: what small constants are made of and read
// with. Conversions follow PyTorch's casts: to bool is "not zero", to integers truncates and wraps;
// infinities saturate and NaN becomes 0 in integers; to narrower floats rounds to nearest even.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

using Number = std::variant<int64_t, double>;  // bool and integers are int64 (u64: its bit pattern)

// The bytes of one element; appends to `bytes`. Not for complex numbers and strings.
void append_element(std::string& bytes, DType dtype, Number value);
std::string element_bytes(DType dtype, Number value);

// Element `index` of `bytes`.
Number element_at(std::string_view bytes, DType dtype, size_t index);
double to_double(Number number);

// All elements in another type.
std::string converted(std::string_view bytes, DType from, DType to);

// Bytes of a tensor of the program in row-major order, whatever its strides.
std::string contiguous_bytes(const Program& program, const modelexport::Tensor& tensor);

int64_t element_count(const TensorData& tensor);

}  // namespace modelexport::graph
