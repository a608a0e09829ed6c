// Numbers that depend on the inputs: arithmetic, comparison, logic, conversion, sizes.
#include "exporter/lowering/scalar.h"

#include "exporter/lowering/builder.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {

V operand(Call& c, size_t index) {
  const V value = c.value_of(c.argument_at(index));
  return c.has_shape(value) && c.rank(value) == 0 ? value : c.reshape(value, {});
}

V operand(Call& c, size_t index, DType dtype) { return c.cast(operand(c, index), dtype); }

V result(Call& c, V value) { return c.cast(value, c.out_dtype()); }

namespace {

// What two numbers are compared or divided in.
DType common_dtype(Call& c, V a, V b) {
  if (c.dtype_of(a) == c.dtype_of(b)) return c.dtype_of(a);
  const bool floating = is_floating(c.dtype_of(a)) || is_floating(c.dtype_of(b));
  return floating ? DType::f64 : DType::i64;
}

// ---- arithmetic ---------------------------------------------------------------------------------

// aten::add.int(int a, int b) -> int
template <OpType op>
V arithmetic(Call& c) {
  const V a = operand(c, 0, c.out_dtype());
  return c.node(op.view(), {a, operand(c, 1, c.out_dtype())});
}

// aten::div.int(int a, int b) -> float
V true_division(Call& c) {
  return result(c, c.div(operand(c, 0, DType::f64), operand(c, 1, DType::f64)));
}

// Sizes of inputs and known numbers; nothing is known of others.
bool is_non_negative(Call& c, const Argument& argument) {
  const auto* ref = std::get_if<ValueRef>(&argument);
  if (!ref) {
    const auto* known = std::get_if<int64_t>(&argument);
    return known && *known >= 0;
  }
  const std::optional<Dim>& size = c.program().values[ref->id].size;
  return size && !is_static(*size) && c.builder().is_free(ref->id);
}

// Rounds towards minus infinity, as Python does; ONNX's integer Div towards zero.
V floor_divide(Call& c, V a, V b) {
  if (is_floating(c.dtype_of(a))) return c.node("Floor", {c.div(a, b)});
  return c.div(c.sub(a, c.node("Mod", {a, b})), b);  // Mod has the divisor's sign
}

V modulo(Call& c, V a, V b) {
  if (!is_floating(c.dtype_of(a))) return c.node("Mod", {a, b});
  const Attributes fmod = {attr("fmod", 1)};  // the only kind that floats have
  return c.node("Mod", {c.add(c.node("Mod", {a, b}, fmod), b), b}, fmod);
}

// aten::floordiv.int(int a, int b) -> int
V floor_division(Call& c) {
  const V a = operand(c, 0), b = operand(c, 1);
  const DType dtype = common_dtype(c, a, b);
  const bool plain = dtype == DType::i64 && is_non_negative(c, c.argument_at(0)) &&
                     is_non_negative(c, c.argument_at(1));
  if (plain) return c.div(c.cast(a, dtype), c.cast(b, dtype));
  return result(c, floor_divide(c, c.cast(a, dtype), c.cast(b, dtype)));
}

// aten::__round_to_zero_floordiv.int(int a, int b) -> int
V truncating_division(Call& c) {
  return c.div(operand(c, 0, DType::i64), operand(c, 1, DType::i64));
}

// aten::remainder.int(int a, int b) -> int
V python_remainder(Call& c) {
  const V a = operand(c, 0), b = operand(c, 1);
  const DType dtype = common_dtype(c, a, b);
  return result(c, modulo(c, c.cast(a, dtype), c.cast(b, dtype)));
}

// aten::fmod.float(float a, float b) -> float
V c_remainder(Call& c) {
  const V a = operand(c, 0, DType::f64);
  return result(c, c.node("Mod", {a, operand(c, 1, DType::f64)}, {attr("fmod", 1)}));
}

// aten::mathremainder.float(float a, float b) -> float
V ieee_remainder(Call& c) {
  const V a = operand(c, 0, DType::f64), b = operand(c, 1, DType::f64);
  return result(c, c.sub(a, c.mul(c.node("Round", {c.div(a, b)}), b)));
}

// aten::divmod.int(int x, int y) -> (int, int)
std::vector<V> divmod(Call& c) {
  const V x = operand(c, 0), y = operand(c, 1);
  const DType dtype = common_dtype(c, x, y);
  const V a = c.cast(x, dtype), b = c.cast(y, dtype);
  return {floor_divide(c, a, b), modulo(c, a, b)};
}

// ---- lists --------------------------------------------------------------------------------------

// prim::max.self_int(int[] self) -> int
template <OpType op>
V reduce_list(Call& c) {
  return c.node(op.view(), {c.int_list("self")}, {attr("keepdims", 0)});
}

// ---- comparisons and logic ----------------------------------------------------------------------

// aten::lt.int(int a, int b) -> bool
template <OpType op>
V compare(Call& c) {
  const V a = operand(c, 0), b = operand(c, 1);
  const DType dtype = common_dtype(c, a, b);
  return c.node(op.view(), {c.cast(a, dtype), c.cast(b, dtype)});
}

// aten::ne.int(int a, int b) -> bool
V not_equal(Call& c) { return c.node("Not", {compare<"Equal">(c)}); }

// aten::eq.int_list(int[] a, int[] b) -> bool
V equal_lists(Call& c) {
  const V a = c.int_list("a"), b = c.int_list("b");
  if (!c.has_shape(a) || !c.has_shape(b)) throw Unsupported{"lists of unknown length"};
  if (c.shape(a) != c.shape(b)) return c.constant_int(0, DType::boolean);
  const V same = c.cast(c.node("Equal", {a, b}), DType::i64);
  return c.cast(c.node("ReduceMin", {same}, {attr("keepdims", 0)}), DType::boolean);
}

// aten::ne.int_list(int[] a, int[] b) -> bool
V unequal_lists(Call& c) { return c.node("Not", {equal_lists(c)}); }

// aten::__and__.bool(bool a, bool b) -> bool
template <OpType op>
V logic(Call& c) {
  const V a = operand(c, 0, DType::boolean);
  return c.node(op.view(), {a, operand(c, 1, DType::boolean)});
}

// aten::__not__(bool self) -> bool
V logical_not(Call& c) { return c.node("Not", {operand(c, 0, DType::boolean)}); }

// aten::__and__.int(int a, int b) -> int
template <OpType op>
V bitwise(Call& c) {
  if (c.opset() < 18) throw Unsupported{"bitwise logic needs opset 18 or later"};
  return arithmetic<op>(c);
}

V power_of_two(Call& c, V exponent) { return c.node("Pow", {c.constant_int(2), exponent}); }

// aten::__lshift__.int(int a, int b) -> int
V left_shift(Call& c) { return c.mul(operand(c, 0), power_of_two(c, operand(c, 1))); }

// aten::__rshift__.int(int a, int b) -> int
V right_shift(Call& c) { return floor_divide(c, operand(c, 0), power_of_two(c, operand(c, 1))); }

// aten::isnan.float(float a) -> bool
template <OpType op>
V test(Call& c) {
  return c.node(op.view(), {operand(c, 0, DType::f64)});
}

// aten::isfinite.float(float a) -> bool
V is_finite(Call& c) { return c.node("Not", {c.node("Or", {test<"IsNaN">(c), test<"IsInf">(c)})}); }

// ---- conversions and sizes ----------------------------------------------------------------------

// aten::Int.float(float a) -> int
V convert(Call& c) { return result(c, operand(c, 0)); }

V number_of(Call& c, V size) { return c.squeeze(size, {0}); }

// aten::size.int(Tensor self, int dim) -> int
V size_at(Call& c) {
  const V self = c.tensor("self");
  if (c.is_known("dim")) return number_of(c, c.size_of(self, c.axis("dim", c.rank(self))));
  return c.gather(c.shape_of(self), c.scalar("dim", DType::i64), 0);
}

// aten::size(Tensor self) -> int[]
std::vector<V> sizes(Call& c) {
  const V self = c.tensor("self");
  std::vector<V> results;
  for (size_t axis = 0; axis < c.output_count(); ++axis) {
    results.push_back(
        c.output_used(axis) ? number_of(c, c.size_of(self, static_cast<int64_t>(axis))) : kOmitted);
  }
  return results;
}

// aten::numel(Tensor self) -> int
V element_count(Call& c) { return c.node("Size", {c.tensor("self")}); }

// aten::len.Tensor(Tensor t) -> int
V length(Call& c) { return number_of(c, c.size_of(c.tensor("t"), 0)); }

// aten::dim(Tensor self) -> int
V tensor_rank(Call& c) { return c.constant_int(c.rank(c.tensor("self"))); }

// aten::__range_length(int lo, int hi, int step) -> int
V range_length(Call& c) {
  const V low = c.scalar("lo", DType::i64), high = c.scalar("hi", DType::i64);
  if (!c.is_known("step")) {
    const V length = floor_divide(c, c.sub(low, high), c.scalar("step", DType::i64));
    return c.node("Max", {c.node("Neg", {length}), c.constant_int(0)});
  }
  const V span = c.sub(high, low);
  const int64_t step = c.integer("step");
  const V rounding = c.constant_int(step > 0 ? step - 1 : step + 1);
  const V length = c.div(c.add(span, rounding), c.constant_int(step));
  return c.node("Max", {length, c.constant_int(0)});
}

// aten::__derive_index(int index, int start, int step) -> int
V derive_index(Call& c) {
  const V offset = c.mul(c.scalar("index", DType::i64), c.scalar("step", DType::i64));
  return c.add(c.scalar("start", DType::i64), offset);
}

constexpr Row kRows[] = {
    {"aten::add", arithmetic<"Add">},
    {"aten::add.int", arithmetic<"Add">},
    {"aten::add.float", arithmetic<"Add">},
    {"aten::add.int_float", arithmetic<"Add">},
    {"aten::add.float_int", arithmetic<"Add">},
    {"aten::sub", arithmetic<"Sub">},
    {"aten::sub.int", arithmetic<"Sub">},
    {"aten::sub.float", arithmetic<"Sub">},
    {"aten::sub.int_float", arithmetic<"Sub">},
    {"aten::sub.float_int", arithmetic<"Sub">},
    {"aten::mul", arithmetic<"Mul">},
    {"aten::mul.int", arithmetic<"Mul">},
    {"aten::mul.float", arithmetic<"Mul">},
    {"aten::mul.int_float", arithmetic<"Mul">},
    {"aten::mul.float_int", arithmetic<"Mul">},
    {"aten::div", true_division},
    {"aten::div.int", true_division},
    {"aten::div.float", true_division},
    {"aten::floordiv", floor_division},
    {"aten::floordiv.int", floor_division},
    {"aten::floordiv.float", floor_division},
    {"aten::floordiv.int_float", floor_division},
    {"aten::floordiv.float_int", floor_division},
    {"aten::__round_to_zero_floordiv.int", truncating_division},
    {"aten::remainder", python_remainder},
    {"aten::remainder.int", python_remainder},
    {"aten::remainder.float", python_remainder},
    {"aten::remainder.int_float", python_remainder},
    {"aten::remainder.float_int", python_remainder},
    {"aten::fmod", c_remainder},
    {"aten::fmod.int", c_remainder},
    {"aten::fmod.float", c_remainder},
    {"aten::fmod.int_float", c_remainder},
    {"aten::fmod.float_int", c_remainder},
    {"aten::mathremainder", ieee_remainder},
    {"aten::mathremainder.int", ieee_remainder},
    {"aten::mathremainder.float", ieee_remainder},
    {"aten::mathremainder.int_float", ieee_remainder},
    {"aten::mathremainder.float_int", ieee_remainder},
    {"aten::divmod.int", divmod},
    {"aten::divmod.float", divmod},
    {"aten::divmod.int_float", divmod},
    {"aten::divmod.float_int", divmod},
    {"aten::pow.int", arithmetic<"Pow">},
    {"aten::pow.float", arithmetic<"Pow">},
    {"aten::pow.int_float", arithmetic<"Pow">},
    {"aten::pow.float_int", arithmetic<"Pow">},
    {"aten::pow.Scalar_Scalar", arithmetic<"Pow">},
    {"aten::pow.int_to_int", arithmetic<"Pow">},
    {"prim::min", arithmetic<"Min">},
    {"prim::min.int", arithmetic<"Min">},
    {"prim::min.float", arithmetic<"Min">},
    {"prim::min.int_float", arithmetic<"Min">},
    {"prim::min.float_int", arithmetic<"Min">},
    {"prim::max", arithmetic<"Max">},
    {"prim::max.int", arithmetic<"Max">},
    {"prim::max.float", arithmetic<"Max">},
    {"prim::max.int_float", arithmetic<"Max">},
    {"prim::max.float_int", arithmetic<"Max">},
    {"prim::min.self_int", reduce_list<"ReduceMin">},
    {"prim::max.self_int", reduce_list<"ReduceMax">},
    {"aten::sum.int", reduce_list<"ReduceSum">},
    {"aten::eq", compare<"Equal">},
    {"aten::eq.int", compare<"Equal">},
    {"aten::eq.float", compare<"Equal">},
    {"aten::eq.int_float", compare<"Equal">},
    {"aten::eq.float_int", compare<"Equal">},
    {"aten::eq.bool", compare<"Equal">},
    {"aten::lt", compare<"Less">},
    {"aten::lt.int", compare<"Less">},
    {"aten::lt.float", compare<"Less">},
    {"aten::lt.int_float", compare<"Less">},
    {"aten::lt.float_int", compare<"Less">},
    {"aten::le", compare<"LessOrEqual">},
    {"aten::le.int", compare<"LessOrEqual">},
    {"aten::le.float", compare<"LessOrEqual">},
    {"aten::le.int_float", compare<"LessOrEqual">},
    {"aten::le.float_int", compare<"LessOrEqual">},
    {"aten::gt", compare<"Greater">},
    {"aten::gt.int", compare<"Greater">},
    {"aten::gt.float", compare<"Greater">},
    {"aten::gt.int_float", compare<"Greater">},
    {"aten::gt.float_int", compare<"Greater">},
    {"aten::ge", compare<"GreaterOrEqual">},
    {"aten::ge.int", compare<"GreaterOrEqual">},
    {"aten::ge.float", compare<"GreaterOrEqual">},
    {"aten::ge.int_float", compare<"GreaterOrEqual">},
    {"aten::ge.float_int", compare<"GreaterOrEqual">},
    {"aten::ne", not_equal},
    {"aten::ne.int", not_equal},
    {"aten::ne.float", not_equal},
    {"aten::ne.int_float", not_equal},
    {"aten::ne.float_int", not_equal},
    {"aten::ne.bool", not_equal},
    {"aten::eq.int_list", equal_lists},
    {"aten::ne.int_list", unequal_lists},
    {"aten::__and__.bool", logic<"And">},
    {"aten::__or__.bool", logic<"Or">},
    {"aten::__xor__.bool", logic<"Xor">},
    {"aten::__not__", logical_not},
    {"aten::__and__.int", bitwise<"BitwiseAnd">},
    {"aten::__or__.int", bitwise<"BitwiseOr">},
    {"aten::__xor__.int", bitwise<"BitwiseXor">},
    {"aten::__lshift__.int", left_shift},
    {"aten::__rshift__.int", right_shift},
    {"aten::isnan.float", test<"IsNaN">},
    {"aten::isinf.float", test<"IsInf">},
    {"aten::isfinite.float", is_finite},
    {"aten::Int.Scalar", convert},
    {"aten::Int.bool", convert},
    {"aten::Int.float", convert},
    {"aten::Int.Tensor", convert},
    {"aten::Float.Scalar", convert},
    {"aten::Float.bool", convert},
    {"aten::Float.int", convert},
    {"aten::Float.Tensor", convert},
    {"aten::Bool.int", convert},
    {"aten::Bool.float", convert},
    {"aten::Bool.Tensor", convert},
    {"aten::IntImplicit", convert},
    {"aten::FloatImplicit", convert},
    {"aten::ScalarImplicit", convert},
    {"aten::item", convert},
    {"aten::_local_scalar_dense", convert},
    {"aten::is_nonzero", convert},
    {"prim::NumToTensor.Scalar", convert},
    {"prim::NumToTensor.bool", convert},
    {"aten::size.int", size_at},
    {"aten::sym_size.int", size_at},
    {"aten::sym_size", size_at},
    {"aten::size", sizes},
    {"aten::numel", element_count},
    {"aten::sym_numel", element_count},
    {"aten::len.Tensor", length},
    {"aten::dim", tensor_rank},
    {"aten::__range_length", range_length},
    {"aten::__derive_index", derive_index},
};

}  // namespace

std::span<const Row> scalar_table() { return kRows; }

}  // namespace modelexport::lowering
