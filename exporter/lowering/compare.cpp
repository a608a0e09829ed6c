// Comparisons, logic, and selection by a condition. What compares computes in the promoted dtype of
// both sides, which the boolean result does not tell.
#include <limits>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/promotion.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

struct Pair {
  Expr a, b;
};

Pair promoted_pair(Call& c, std::string_view first, std::string_view second) {
  const DType dtype = promoted_dtype(c, {first, second});
  Expr a(c, c.tensor(first, dtype));
  return {a, Expr(c, c.tensor(second, dtype))};
}

// aten::lt.Tensor(Tensor self, Tensor other) -> Tensor
// aten::lt.Scalar(Tensor self, Scalar other) -> Tensor, and the others
template <OpType Name>
V comparison(Call& c) {
  const Pair pair = promoted_pair(c, "self", "other");
  return apply(Name.view(), pair.a, pair.b);
}

// aten::ne.Tensor(Tensor self, Tensor other) -> Tensor
V not_equal(Call& c) {
  const Pair pair = promoted_pair(c, "self", "other");
  return !equal(pair.a, pair.b);
}

// aten::logical_and(Tensor self, Tensor other) -> Tensor, and or, xor
template <OpType Name>
V logical(Call& c) {
  V self = c.tensor("self", DType::boolean);
  return c.node(Name.view(), {self, c.tensor("other", DType::boolean)});
}

// aten::logical_not(Tensor self) -> Tensor
V logical_not(Call& c) { return c.node("Not", {c.tensor("self", DType::boolean)}); }

// aten::isnan(Tensor self) -> Tensor
V isnan(Call& c) {
  Expr x(c, c.tensor("self"));
  return is_floating(x.dtype()) ? V(is_nan(x)) : filled(c, 0.0);
}

// aten::isinf(Tensor self) -> Tensor
V isinf(Call& c) {
  Expr x(c, c.tensor("self"));
  return is_floating(x.dtype()) ? V(is_infinite(x)) : filled(c, 0.0);
}

// aten::isfinite(Tensor self) -> Tensor
V isfinite(Call& c) {
  Expr x(c, c.tensor("self"));
  if (!is_floating(x.dtype())) return filled(c, 1.0);
  return abs(x) < std::numeric_limits<double>::infinity();
}

// aten::isposinf(Tensor self) -> Tensor, and isneginf
template <int Sign>
V is_infinity(Call& c) {
  Expr x(c, c.tensor("self"));
  if (!is_floating(x.dtype())) return filled(c, 0.0);
  return equal(x, Sign * std::numeric_limits<double>::infinity());
}

// aten::isreal(Tensor self) -> Tensor
V isreal(Call& c) {
  c.ignore({"self"});
  return filled(c, 1.0);
}

// aten::isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08,
//    bool equal_nan=False) -> Tensor
Expr close(Call& c) {
  Pair pair = promoted_pair(c, "self", "other");
  // Differences of integers are exact in double; halves would round rtol and atol away.
  const DType dtype = is_floating(pair.a.dtype()) ? compute_dtype(pair.a.dtype()) : DType::f64;
  Expr a = cast(pair.a, dtype), b = cast(pair.b, dtype);
  Expr error = abs(a - b);
  Expr within = error <= abs(b * number(c, "rtol", dtype)) + number(c, "atol", dtype);
  Expr close = equal(a, b) | (within & (error < std::numeric_limits<double>::infinity()));
  return c.boolean("equal_nan") ? close | (is_nan(a) & is_nan(b)) : close;
}

V isclose(Call& c) { return close(c); }

Expr all_true(Expr condition) {
  Call& c = condition.call();
  return cast(Expr(c, reduce(c, "ReduceProd", cast(condition, DType::i32), {}, false)),
              DType::boolean);
}

// aten::allclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08,
//    bool equal_nan=False) -> bool
V allclose(Call& c) { return all_true(close(c)); }

// aten::equal(Tensor self, Tensor other) -> bool
V equal_tensors(Call& c) {
  const Pair pair = promoted_pair(c, "self", "other");
  const Shape a = c.shape(pair.a), b = c.shape(pair.b);
  if (a == b) return all_true(equal(pair.a, pair.b));
  if (a.size() == b.size() && !(is_static(a) && is_static(b))) {
    throw Unsupported{"shapes that are equal for some inputs only"};
  }
  return c.constant_int(0, DType::boolean);
}

// aten::isin.Tensor_Tensor(Tensor elements, Tensor test_elements, *, bool assume_unique=False,
//    bool invert=False) -> Tensor
template <OpType Elements, OpType Tests>
V isin(Call& c) {
  c.ignore({"assume_unique"});
  const Pair pair = promoted_pair(c, Elements.view(), Tests.view());
  const int64_t rank = c.rank(pair.a);
  Expr matches = equal(Expr(c, c.unsqueeze(pair.a, {rank})), Expr(c, c.flatten_to_1d(pair.b)));
  V count = reduce(c, "ReduceSum", cast(matches, DType::i32), {rank}, false);
  Expr found(c, c.cast(count, DType::boolean));
  return c.boolean("invert") ? !found : found;
}

// aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor, and with Scalars
V where_self(Call& c) {
  Expr condition(c, c.tensor("condition", DType::boolean));
  Expr self(c, c.tensor("self", c.out_dtype()));
  return where(condition, self, Expr(c, c.tensor("other", c.out_dtype())));
}

// aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor
// aten::masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor
V masked_fill(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  Expr mask(c, c.tensor("mask", DType::boolean));
  return where(mask, Expr(c, c.tensor("value", c.out_dtype())), self);
}

constexpr Row kRows[] = {
    {"aten::allclose", allclose},
    {"aten::eq.Scalar", comparison<"Equal">},
    {"aten::eq.Tensor", comparison<"Equal">},
    {"aten::equal", equal_tensors},
    {"aten::ge.Scalar", comparison<"GreaterOrEqual">},
    {"aten::ge.Tensor", comparison<"GreaterOrEqual">},
    {"aten::greater.Scalar", comparison<"Greater">},
    {"aten::greater.Tensor", comparison<"Greater">},
    {"aten::greater_equal.Scalar", comparison<"GreaterOrEqual">},
    {"aten::greater_equal.Tensor", comparison<"GreaterOrEqual">},
    {"aten::gt.Scalar", comparison<"Greater">},
    {"aten::gt.Tensor", comparison<"Greater">},
    {"aten::isclose", isclose},
    {"aten::isfinite", isfinite},
    {"aten::isin.Scalar_Tensor", isin<"element", "test_elements">},
    {"aten::isin.Tensor_Scalar", isin<"elements", "test_element">},
    {"aten::isin.Tensor_Tensor", isin<"elements", "test_elements">},
    {"aten::isinf", isinf},
    {"aten::isnan", isnan},
    {"aten::isneginf", is_infinity<-1>},
    {"aten::isposinf", is_infinity<1>},
    {"aten::isreal", isreal},
    {"aten::le.Scalar", comparison<"LessOrEqual">},
    {"aten::le.Tensor", comparison<"LessOrEqual">},
    {"aten::less.Scalar", comparison<"Less">},
    {"aten::less.Tensor", comparison<"Less">},
    {"aten::less_equal.Scalar", comparison<"LessOrEqual">},
    {"aten::less_equal.Tensor", comparison<"LessOrEqual">},
    {"aten::logical_and", logical<"And">},
    {"aten::logical_not", logical_not},
    {"aten::logical_or", logical<"Or">},
    {"aten::logical_xor", logical<"Xor">},
    {"aten::lt.Scalar", comparison<"Less">},
    {"aten::lt.Tensor", comparison<"Less">},
    {"aten::masked_fill.Scalar", masked_fill},
    {"aten::masked_fill.Tensor", masked_fill},
    {"aten::ne.Scalar", not_equal},
    {"aten::ne.Tensor", not_equal},
    {"aten::not_equal.Scalar", not_equal},
    {"aten::not_equal.Tensor", not_equal},
    {"aten::where.Scalar", where_self},
    {"aten::where.ScalarOther", where_self},
    {"aten::where.ScalarSelf", where_self},
    {"aten::where.self", where_self},
};

}  // namespace

std::span<const Row> compare_table() { return kRows; }

}  // namespace modelexport::lowering
