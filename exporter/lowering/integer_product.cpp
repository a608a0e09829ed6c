// Products of matrices of 8-bit integers: exact sums, and the weights are never expanded to floats.
#include <algorithm>

#include "exporter/lowering/quantize.h"

namespace modelexport::lowering {
namespace {

bool is_byte(DType dtype) { return dtype == DType::u8 || dtype == DType::i8; }

}  // namespace

std::optional<IntegerWeight> integer_weight(Call& c, V weight) {
  const std::optional<Dequantized> from = c.builder().dequantized(weight);
  if (!from || !is_byte(c.dtype_of(from->integers)) || c.rank(weight) != 2) return std::nullopt;
  if (from->axis > 0) return std::nullopt;
  const auto zero_points = c.known_integers(from->zero_point);
  const bool is_zero =
      zero_points && std::ranges::all_of(*zero_points, [](int64_t z) { return z == 0; });
  if (!is_zero && from->axis == 0) return std::nullopt;
  return IntegerWeight{c.transpose(from->integers, {1, 0}), from->scale,
                       is_zero ? kOmitted : from->zero_point};
}

V integer_product(Call& c, const Dequantized& x, const IntegerWeight& weight) {
  const V sums =
      c.node("MatMulInteger", {x.integers, weight.integers, x.zero_point, weight.zero_point});
  return c.mul(c.cast(sums, DType::f32), c.mul(x.scale, weight.scale));
}

V integer_product(Call& c, V x, V weight) {
  const std::optional<Dequantized> from = c.builder().dequantized(x);
  if (!from || from->axis >= 0 || !is_byte(c.dtype_of(from->integers))) return kOmitted;
  const std::optional<IntegerWeight> by = integer_weight(c, weight);
  return by ? integer_product(c, *from, *by) : kOmitted;
}

}  // namespace modelexport::lowering
