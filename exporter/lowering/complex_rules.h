// How an operator on complex tensors becomes operators on real ones.
#pragma once

#include <cstdint>
#include <string_view>

namespace modelexport::lowering {

enum class Rewrite : uint8_t {
  pairs,        // the operator on the pairs: axes count from the front, sizes get a last one
  parts,        // the operator on the real parts and on the imaginary parts
  real,         // the operator on the real parts: only their shape matters
  modulus,      // the operator on the absolute values
  nonzero,      // the operator on whether elements differ from 0
  polar,        // the operator on the absolute values, `other` on the angles
  bilinear,     // (a + bi)(c + di) with the operator as the product
  product_sum,  // beta * self + alpha * other(left, right)
};

inline constexpr int64_t kLastAxis = -1;

struct ComplexRule {
  std::string_view key;
  Rewrite rewrite;
  // pairs: arguments that are axes of `self`, or of the result.
  std::string_view axes = {}, more_axes = {};
  bool of_result = false;
  // pairs: an argument that has an element for each dimension, and what the last one gets.
  std::string_view sizes = {};
  int64_t last_size = 2;
  // Products: the two factors (the same name twice: elements of that list) and what is added to the
  // product, along the channels where there are any.
  std::string_view left = {}, right = {}, bias = {};
  // Another operator. parts: combines results that are real.
  std::string_view other = {};
};

// nullptr if there is none.
const ComplexRule* find_complex_rule(std::string_view key);

}  // namespace modelexport::lowering
