// Functions of numbers that depend on the inputs: math.sqrt and its kind.
#include <numbers>

#include "exporter/lowering/registry.h"
#include "exporter/lowering/scalar.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// aten::sqrt.int(int a) -> float
template <OpType op>
V math(Call& c) {
  V value = operand(c, 0);
  if (c.dtype_of(value) == DType::i64) {
    const bool exact = op.view() == "Neg" || op.view() == "Abs";
    const bool whole = op.view() == "Floor" || op.view() == "Ceil" || op.view() == "Round";
    if (whole) return result(c, value);
    if (!exact) value = c.cast(value, DType::f64);
  }
  return result(c, c.node(op.view(), {value}));
}

// aten::tan.float(float a) -> float
// In single precision: that is all that ONNX Runtime has kernels for.
template <OpType op>
V math_f32(Call& c) {
  return result(c, c.node(op.view(), {operand(c, 0, DType::f32)}));
}

// aten::log1p.float(float a) -> float
V log1p(Call& c) {
  return c.node("Log", {c.add(operand(c, 0, DType::f64), c.constant(1, DType::f64))});
}

// aten::expm1.float(float a) -> float
V expm1(Call& c) {
  return c.sub(c.node("Exp", {operand(c, 0, DType::f64)}), c.constant(1, DType::f64));
}

V log_to_base(Call& c, V value, V base) {
  return c.div(c.node("Log", {value}), c.node("Log", {base}));
}

// aten::log10.float(float a) -> float
V log10(Call& c) { return log_to_base(c, operand(c, 0, DType::f64), c.constant(10, DType::f64)); }

// aten::log.float_float(float a, float b) -> float
V log_of_base(Call& c) {
  return log_to_base(c, operand(c, 0, DType::f64), operand(c, 1, DType::f64));
}

// aten::radians.float(float a) -> float
V radians(Call& c) {
  return c.mul(operand(c, 0, DType::f64), c.constant(std::numbers::pi / 180, DType::f64));
}

// aten::degrees.float(float a) -> float
V degrees(Call& c) {
  return c.mul(operand(c, 0, DType::f64), c.constant(180 / std::numbers::pi, DType::f64));
}

constexpr Row kRows[] = {
    {"aten::neg.int", math<"Neg">},
    {"aten::neg.float", math<"Neg">},
    {"aten::neg.Scalar", math<"Neg">},
    {"prim::abs.int", math<"Abs">},
    {"prim::abs.float", math<"Abs">},
    {"prim::abs.Scalar", math<"Abs">},
    {"aten::fabs.int", math<"Abs">},
    {"aten::fabs.float", math<"Abs">},
    {"aten::fabs.Scalar", math<"Abs">},
    {"aten::floor.int", math<"Floor">},
    {"aten::floor.float", math<"Floor">},
    {"aten::floor.Scalar", math<"Floor">},
    {"aten::ceil.int", math<"Ceil">},
    {"aten::ceil.float", math<"Ceil">},
    {"aten::ceil.Scalar", math<"Ceil">},
    {"aten::round.int", math<"Round">},
    {"aten::round.float", math<"Round">},
    {"aten::round.Scalar", math<"Round">},
    {"aten::sqrt.int", math<"Sqrt">},
    {"aten::sqrt.float", math<"Sqrt">},
    {"aten::sqrt.Scalar", math<"Sqrt">},
    {"aten::exp.int", math<"Exp">},
    {"aten::exp.float", math<"Exp">},
    {"aten::exp.Scalar", math<"Exp">},
    {"aten::log.int", math<"Log">},
    {"aten::log.float", math<"Log">},
    {"aten::log.Scalar", math<"Log">},
    {"aten::sin.int", math<"Sin">},
    {"aten::sin.float", math<"Sin">},
    {"aten::sin.Scalar", math<"Sin">},
    {"aten::cos.int", math<"Cos">},
    {"aten::cos.float", math<"Cos">},
    {"aten::cos.Scalar", math<"Cos">},
    {"aten::tanh.int", math<"Tanh">},
    {"aten::tanh.float", math<"Tanh">},
    {"aten::tanh.Scalar", math<"Tanh">},
    {"aten::tan.int", math_f32<"Tan">},
    {"aten::tan.float", math_f32<"Tan">},
    {"aten::tan.Scalar", math_f32<"Tan">},
    {"aten::asin.int", math_f32<"Asin">},
    {"aten::asin.float", math_f32<"Asin">},
    {"aten::asin.Scalar", math_f32<"Asin">},
    {"aten::acos.int", math_f32<"Acos">},
    {"aten::acos.float", math_f32<"Acos">},
    {"aten::acos.Scalar", math_f32<"Acos">},
    {"aten::atan.int", math_f32<"Atan">},
    {"aten::atan.float", math_f32<"Atan">},
    {"aten::atan.Scalar", math_f32<"Atan">},
    {"aten::sinh.int", math_f32<"Sinh">},
    {"aten::sinh.float", math_f32<"Sinh">},
    {"aten::sinh.Scalar", math_f32<"Sinh">},
    {"aten::cosh.int", math_f32<"Cosh">},
    {"aten::cosh.float", math_f32<"Cosh">},
    {"aten::cosh.Scalar", math_f32<"Cosh">},
    {"aten::asinh.int", math_f32<"Asinh">},
    {"aten::asinh.float", math_f32<"Asinh">},
    {"aten::asinh.Scalar", math_f32<"Asinh">},
    {"aten::acosh.int", math_f32<"Acosh">},
    {"aten::acosh.float", math_f32<"Acosh">},
    {"aten::acosh.Scalar", math_f32<"Acosh">},
    {"aten::atanh.int", math_f32<"Atanh">},
    {"aten::atanh.float", math_f32<"Atanh">},
    {"aten::atanh.Scalar", math_f32<"Atanh">},
    {"aten::erf.int", math_f32<"Erf">},
    {"aten::erf.float", math_f32<"Erf">},
    {"aten::erf.Scalar", math_f32<"Erf">},
    {"aten::log1p.int", log1p},
    {"aten::log1p.float", log1p},
    {"aten::log1p.Scalar", log1p},
    {"aten::expm1.int", expm1},
    {"aten::expm1.float", expm1},
    {"aten::expm1.Scalar", expm1},
    {"aten::log10.int", log10},
    {"aten::log10.float", log10},
    {"aten::log10.Scalar", log10},
    {"aten::radians.int", radians},
    {"aten::radians.float", radians},
    {"aten::radians.Scalar", radians},
    {"aten::degrees.int", degrees},
    {"aten::degrees.float", degrees},
    {"aten::degrees.Scalar", degrees},
    {"aten::log.int_int", log_of_base},
    {"aten::log.float_float", log_of_base},
    {"aten::log.int_float", log_of_base},
    {"aten::log.float_int", log_of_base},
    {"aten::log.Scalar_Scalar", log_of_base},
};

}  // namespace

std::span<const Row> scalar_math_table() { return kRows; }

}  // namespace modelexport::lowering
