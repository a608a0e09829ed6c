// PyTorch's interpolation along one axis, as numbers: which input elements make an output element.
// For what ONNX's Resize cannot say, or ONNX Runtime rounds differently.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace modelexport::lowering {

enum class Interpolation : uint8_t { nearest, nearest_exact, linear, cubic, lanczos };

struct ResizedAxis {
  int64_t in = 0, out = 0;      // sizes
  std::optional<double> scale;  // as given by the user, instead of out / in
  bool align_corners = false;
  bool antialias = false;
};

// Of nearest and nearest_exact: the input position of each output, rounded as PyTorch does
// (float32).
std::vector<int64_t> source_positions(Interpolation mode, const ResizedAxis& axis);
// The same, as ONNX Runtime's Resize computes it.
std::vector<int64_t> resize_positions(Interpolation mode, const ResizedAxis& axis);

// Of the other modes: row-major [in, out].
std::vector<double> weight_matrix(Interpolation mode, const ResizedAxis& axis);

// The weights as PyTorch rounds them for bytes: to 15 bits, times a power of two.
void round_for_bytes(std::vector<double>& weights);

}  // namespace modelexport::lowering
