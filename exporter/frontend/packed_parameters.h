// The C++ objects in which LibTorch keeps the weights of quantised layers
// (torch.classes.quantized.LinearPackedParamsBase and its kind), opened up: their contents as
// TorchScript values.
#pragma once

#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <vector>

namespace modelexport::frontend {

struct PackedField {
  std::string name;   // "weight", "bias", "stride"...
  c10::IValue value;  // a tensor, None, a number, a list of numbers, or another packed object
};

// In the order in which a program lists them. nullopt if it is no such object.
//   linear      weight, bias
//   convolution weight, bias, stride, padding, output_padding, dilation, groups, transposed
//   embedding   weight (unsigned bytes; of 4-bit integers two in each, the first one in the lower
//               half), scales, zero_points (real numbers, one for each row)
//   recurrent   ih and hh (linear), bias_ih, bias_hh, reduce_range
std::optional<std::vector<PackedField>> open_packed(const c10::IValue& value);

}  // namespace modelexport::frontend
