// Bitwise logic and shifts. On booleans they are the logical operators; integers have them since
// opset 18.
#include <memory>

#include "exporter/lowering/builder.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// aten::bitwise_and.Tensor(Tensor self, Tensor other) -> Tensor, and or, xor
template <OpType Bits, OpType Logic>
V bitwise(Call& c) {
  V self = c.tensor("self", c.out_dtype()), other = c.tensor("other", c.out_dtype());
  if (c.out_dtype() == DType::boolean) return c.node(Logic.view(), {self, other});
  if (c.opset() < 18) throw Unsupported{"bitwise operators on integers need opset 18"};
  return run(c, Bits.view(), {self, other});
}

// aten::bitwise_not(Tensor self) -> Tensor
V bitwise_not(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  if (c.out_dtype() == DType::boolean) return !self;
  if (c.opset() >= 18) return apply("BitwiseNot", self);
  if (!is_signed(c.out_dtype())) {
    const int64_t bits = 8 * static_cast<int64_t>(byte_size(c.out_dtype()));
    return Expr(c, c.constant_int(bits == 64 ? -1 : (int64_t{1} << bits) - 1, self.dtype())) - self;
  }
  return -1.0 - self;
}

// What a shift multiplies or divides by. Integers are shifted as int64, in which counts beyond
// their own width do no harm; those beyond its width, and negative ones, act like the largest that
// fits.
Expr shift_factor(Call& c, DType dtype) {
  constexpr double kMost = 62.0;
  Expr count(c, c.tensor("other", dtype));
  if (is_floating(dtype)) return power(2.0, count);
  if (const auto known = c.known_scalar(count)) {
    const bool fits = *known >= 0.0 && *known <= kMost;
    return Expr(c, c.constant_int(int64_t{1} << static_cast<int>(fits ? *known : kMost)));
  }
  return power(2.0, where(count < 0.0, kMost, minimum(count, kMost)));
}

DType shift_dtype(Call& c) {
  return is_floating(c.out_dtype()) ? compute_dtype(c.out_dtype()) : DType::i64;
}

// aten::bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor
V left_shift(Call& c) {
  Expr self(c, c.tensor("self", shift_dtype(c)));
  return result(c, self * shift_factor(c, self.dtype()));
}

// aten::bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor: rounds down (keeps the
//    sign)
V right_shift(Call& c) {
  Expr self(c, c.tensor("self", shift_dtype(c)));
  Expr factor = shift_factor(c, self.dtype());
  if (is_floating(self.dtype())) return result(c, self / factor);
  return result(c, (self - apply("Mod", self, factor)) / factor);
}

Expr any_left(Expr x) { return truth(x.call(), "ReduceSum", !equal(x, 0.0), {}, false); }

// Euclid's algorithm, on all elements until none has a remainder left.
Expr greatest_common_divisor(Expr a, Expr b) {
  Call& c = a.call();
  const DType dtype = a.dtype();
  const Shape shape = c.out_shape();
  Expr first(c, c.expand(abs(a), shape)), second(c, c.expand(abs(b), shape));
  const V begin = any_left(second);
  c.builder().open_block();
  c.builder().block_input(DType::i64, {});  // the iteration and the condition are not looked at
  c.builder().block_input(DType::boolean, {});
  Expr x(c, c.builder().block_input(dtype, shape)), y(c, c.builder().block_input(dtype, shape));
  Expr done = equal(y, 0.0);
  Expr rest = where(done, 0.0, apply("Mod", x, where(done, 1.0, y)));
  Expr divisor = where(done, x, y);
  auto body =
      std::make_shared<graph::Block>(c.builder().close_block({any_left(rest), divisor, rest}));
  const std::vector<V> results = c.nodes("Loop", {kOmitted, begin, first, second}, 2,
                                         {graph::Attribute{"body", std::move(body)}});
  c.typed(results[1], dtype, shape);
  return Expr(c, c.typed(results[0], dtype, shape));
}

// aten::gcd(Tensor self, Tensor other) -> Tensor
V gcd(Call& c) {
  Expr self = cast(Expr(c, c.tensor("self")), DType::i64);
  return result(c, greatest_common_divisor(self, cast(Expr(c, c.tensor("other")), DType::i64)));
}

// aten::lcm(Tensor self, Tensor other) -> Tensor
V lcm(Call& c) {
  Expr self = cast(Expr(c, c.tensor("self")), DType::i64);
  Expr other = cast(Expr(c, c.tensor("other")), DType::i64);
  Expr divisor = greatest_common_divisor(self, other);
  return result(c, abs(self / maximum(divisor, 1.0) * other));
}

constexpr auto kAnd = bitwise<"BitwiseAnd", "And">;
constexpr auto kOr = bitwise<"BitwiseOr", "Or">;
constexpr auto kXor = bitwise<"BitwiseXor", "Xor">;

constexpr Row kRows[] = {
    {"aten::__and__.Scalar", kAnd},
    {"aten::__and__.Tensor", kAnd},
    {"aten::__lshift__.Scalar", left_shift},
    {"aten::__lshift__.Tensor", left_shift},
    {"aten::__or__.Scalar", kOr},
    {"aten::__or__.Tensor", kOr},
    {"aten::__rshift__.Scalar", right_shift},
    {"aten::__rshift__.Tensor", right_shift},
    {"aten::__xor__.Scalar", kXor},
    {"aten::__xor__.Tensor", kXor},
    {"aten::bitwise_and.Scalar", kAnd},
    {"aten::bitwise_and.Scalar_Tensor", kAnd},
    {"aten::bitwise_and.Tensor", kAnd},
    {"aten::bitwise_left_shift.Scalar_Tensor", left_shift},
    {"aten::bitwise_left_shift.Tensor", left_shift},
    {"aten::bitwise_left_shift.Tensor_Scalar", left_shift},
    {"aten::bitwise_not", bitwise_not},
    {"aten::bitwise_or.Scalar", kOr},
    {"aten::bitwise_or.Scalar_Tensor", kOr},
    {"aten::bitwise_or.Tensor", kOr},
    {"aten::bitwise_right_shift.Scalar_Tensor", right_shift},
    {"aten::bitwise_right_shift.Tensor", right_shift},
    {"aten::bitwise_right_shift.Tensor_Scalar", right_shift},
    {"aten::bitwise_xor.Scalar", kXor},
    {"aten::bitwise_xor.Scalar_Tensor", kXor},
    {"aten::bitwise_xor.Tensor", kXor},
    {"aten::gcd", gcd},
    {"aten::lcm", lcm},
};

}  // namespace

std::span<const Row> bitwise_rows() { return kRows; }

}  // namespace modelexport::lowering
