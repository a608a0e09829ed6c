// Integers that stand for real numbers, for the operators that can compute with them as such.
#pragma once

#include <optional>

#include "exporter/lowering/builder.h"
#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// Quantises to unsigned 8 bits (7 with reduce_range) by the range of the elements, as LibTorch
// does.
Dequantized quantize_by_range(Call& c, V x, bool reduce_range);

// The weight of a linear layer, as the second operand of MatMulInteger.
struct IntegerWeight {
  V integers, scale;
  V zero_point;  // kOmitted: zero
};

// nullopt if `weight` is not dequantised from 8 bits, or has several zero points.
std::optional<IntegerWeight> integer_weight(Call& c, V weight);

// x weight^T as float32.
V integer_product(Call& c, const Dequantized& x, const IntegerWeight& weight);

// The same if both are dequantised from integers that can be multiplied; otherwise kOmitted.
V integer_product(Call& c, V x, V weight);

}  // namespace modelexport::lowering
