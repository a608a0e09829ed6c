// What operators on quantised tensors compute, in terms of operators on real numbers. A quantised
// operator is recorded as: dequantise the arguments, these steps, quantise the result.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace modelexport::frontend {

// An argument is the name of an argument of the quantised operator, or
//   w.bias       a field of packed parameters (weight_1d: the weight without its third axis), an
//                element of a list (hx.0)
//   ~x           x as it is after a round trip through 8 bits, scale and zero point from its range
//   #b           the number b as a multiple of the scale of the first argument
//   [a, b]       a list
//   $            the result of the step before
//   1, 0.5, True, None   itself
struct RealStep {
  std::string key;  // "aten::relu"; or "requantize": a round trip with the same scale as ~x
  std::vector<std::string> arguments;
};

// nullptr if there is no such operator in the table.
const std::vector<RealStep>* real_steps(std::string_view key);

// "a, [b, c], d" as its elements.
std::vector<std::string> split_arguments(std::string_view list);

// What an operator asks about a quantised tensor: answered where it stands, by what the frontend
// knows of the tensor. "aten::q_scale".
bool reads_quantization(std::string_view key);

// Whether the frontend has a way of its own for the operator: one of the two.
bool is_quantized_operator(std::string_view key);

// All operators that real_steps() has, sorted.
std::vector<std::string_view> quantized_operators();

}  // namespace modelexport::frontend
