#include "analysis/value_difference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "exporter/onnx/tensor_bytes.h"

namespace modelexport::analysis {
namespace {

using Bytes = std::span<const std::byte>;

// The contents as one piece: where they lie, or gathered into `buffer`.
Bytes whole(const Program& program, const Tensor& tensor, std::vector<std::byte>& buffer) {
  if (tensor.is_contiguous()) return onnx::contiguous_bytes(program, tensor);
  onnx::for_each_block(program, tensor, [&](Bytes block) {
    buffer.insert(buffer.end(), block.begin(), block.end());
  });
  return buffer;
}

template <typename T>
double max_abs(Bytes a, Bytes b) {
  double largest = 0;
  for (size_t i = 0; i + sizeof(T) <= a.size(); i += sizeof(T)) {
    T x, y;
    std::memcpy(&x, a.data() + i, sizeof(T));
    std::memcpy(&y, b.data() + i, sizeof(T));
    const double difference = std::abs(static_cast<double>(x) - static_cast<double>(y));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

}  // namespace

ValueDifference value_difference(const Program& first, const Tensor& a, const Program& second,
                                 const Tensor& b) {
  std::vector<std::byte> buffer_a, buffer_b;
  const Bytes x = whole(first, a, buffer_a), y = whole(second, b, buffer_b);
  ValueDifference out;
  const size_t width = byte_size(a.dtype);
  for (size_t i = 0; i + width <= std::min(x.size(), y.size()); i += width)
    out.different += std::memcmp(x.data() + i, y.data() + i, width) != 0;
  if (x.size() != y.size()) return out;
  if (a.dtype == DType::f32) out.max_abs = max_abs<float>(x, y);
  if (a.dtype == DType::f64) out.max_abs = max_abs<double>(x, y);
  if (out.max_abs && !std::isfinite(*out.max_abs)) out.max_abs.reset();
  return out;
}

}  // namespace modelexport::analysis
