// Activation functions. ONNX Runtime has most of ONNX's for float only; double takes the formula.
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

bool is_double(Call& c) { return c.out_dtype() == DType::f64; }

// aten::relu(Tensor self) -> Tensor
V relu(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  return is_floating(self.dtype()) ? apply("Relu", self) : maximum(self, 0.0);
}

V clip(Call& c, V min, V max) {
  return run(c, "Clip", {c.tensor("self", c.out_dtype()), min, max});
}

// aten::relu6(Tensor self) -> Tensor
V relu6(Call& c) {
  return clip(c, c.constant_int(0, c.out_dtype()), c.constant_int(6, c.out_dtype()));
}

// aten::hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor
V hardtanh(Call& c) {
  V min = c.scalar("min_val", c.out_dtype());
  return clip(c, min, c.scalar("max_val", c.out_dtype()));
}

// aten::threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor
V threshold(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  Expr low = self <= Expr(c, c.scalar("threshold", self.dtype()));
  return where(low, Expr(c, c.scalar("value", self.dtype())), self);
}

// aten::hardsigmoid(Tensor self) -> Tensor
V hardsigmoid(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  if (is_double(c)) return minimum(maximum(self + 3.0, 0.0), 6.0) / 6.0;
  return run(c, "HardSigmoid", {self}, {attr("alpha", 1.0 / 6.0), attr("beta", 0.5)});
}

// aten::hardswish(Tensor self) -> Tensor
V hardswish(Call& c) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  if (is_double(c)) return self * minimum(maximum(self + 3.0, 0.0), 6.0) / 6.0;
  return run(c, "HardSwish", {self});
}

// scale * (x, or alpha * (exp(input_scale * x) - 1) below 0)
Expr elu_formula(Expr x, Expr alpha, Expr scale, Expr input_scale) {
  Expr inner = minimum(x, 0.0);
  if (!is(input_scale, 1.0)) inner = inner * input_scale;
  Expr below = scale * alpha * expm1(inner);
  return where(x > 0.0, is(scale, 1.0) ? x : scale * x, below);
}

// aten::elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor
V elu(Call& c) {
  Expr x = operand(c, "self"), alpha = number(c, "alpha", x.dtype());
  Expr scale = number(c, "scale", x.dtype()), input_scale = number(c, "input_scale", x.dtype());
  if (is_double(c) || !alpha.is_number() || !is(scale, 1.0) || !is(input_scale, 1.0)) {
    return result(c, elu_formula(x, alpha, scale, input_scale));
  }
  return run(c, "Elu", {c.tensor("self", c.out_dtype())}, {attr("alpha", alpha.number())});
}

// aten::selu(Tensor self) -> Tensor
V selu(Call& c) {
  if (!is_double(c)) return run(c, "Selu", {c.tensor("self", c.out_dtype())});
  return elu_formula(operand(c, "self"), 1.6732632423543772848170429916717,
                     1.0507009873554804934193349852946, 1.0);
}

// aten::celu(Tensor self, Scalar alpha=1.) -> Tensor
V celu(Call& c) {
  Expr x = operand(c, "self"), alpha = number(c, "alpha", x.dtype());
  if (is_double(c) || !alpha.is_number()) {
    return result(c, elu_formula(x, alpha, 1.0, 1.0 / alpha));
  }
  return run(c, "Celu", {c.tensor("self", c.out_dtype())}, {attr("alpha", alpha.number())});
}

// x where it is not below 0, otherwise slope * x.
V leaky(Call& c, Expr slope) {
  Expr self(c, c.tensor("self", c.out_dtype()));
  if (is_double(c) || !slope.is_number()) return where(self >= 0.0, self, slope * self);
  return run(c, "LeakyRelu", {self}, {attr("alpha", slope.number())});
}

// aten::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor
V leaky_relu(Call& c) { return leaky(c, number(c, "negative_slope", c.out_dtype())); }

// The slopes of training mode, for elements that are not positive.
Expr random_slope(Call& c, Expr self) {
  Expr lower = number(c, "lower", self.dtype()), upper = number(c, "upper", self.dtype());
  return lower + (upper - lower) * Expr(c, c.node("RandomUniformLike", {self}));
}

// aten::rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.333, bool training=False,
//    Generator? generator=None) -> Tensor
// aten::rrelu_with_noise(Tensor self, Tensor noise, Scalar lower=0.125, Scalar upper=0.333,
//    bool training=False, Generator? generator=None) -> Tensor
V rrelu(Call& c) {
  ignore_all_but(c, {"self", "lower", "upper", "training"});
  Expr lower = number(c, "lower", c.out_dtype()), upper = number(c, "upper", c.out_dtype());
  if (!c.boolean("training")) return leaky(c, (lower + upper) / 2.0);
  Expr self = operand(c, "self");
  return result(c, where(self > 0.0, self, self * random_slope(c, self)));
}

// aten::rrelu_with_noise_functional(Tensor self, Tensor noise, Scalar lower=0.125,
//    Scalar upper=0.333, bool training=False, Generator? generator=None) -> (Tensor, Tensor)
std::vector<V> rrelu_functional(Call& c) {
  const V noise = c.tensor("noise");
  if (!c.boolean("training")) return {rrelu(c), noise};
  ignore_all_but(c, {"self", "noise", "lower", "upper", "training"});
  Expr self = operand(c, "self");
  Expr slope = where(self > 0.0, 1.0, random_slope(c, self));
  return {result(c, self * slope), c.cast(slope, c.out_dtype(1))};
}

V prelu_of(Call& c, V self, V weight) {
  Expr x(c, self);
  if (is_double(c)) return where(x > 0.0, x, x * Expr(c, weight));
  return run(c, "PRelu", {self, weight});
}

// aten::prelu(Tensor self, Tensor weight) -> Tensor: one slope per channel (dimension 1), or one
V prelu(Call& c) {
  V self = c.tensor("self", c.out_dtype()), weight = c.tensor("weight", c.out_dtype());
  const int64_t rank = c.rank(self);
  if (c.shape(weight) == Shape{1} && rank == 0) return prelu_of(c, self, c.reshape(weight, {}));
  if (c.rank(weight) == 1 && c.shape(weight)[0] != 1 && rank > 2) {
    std::vector<int64_t> trailing;
    for (int64_t i = 1; i < rank - 1; ++i) trailing.push_back(i);
    weight = c.unsqueeze(weight, trailing);
  }
  return prelu_of(c, self, weight);
}

// aten::_prelu_kernel(Tensor self, Tensor weight) -> Tensor
V prelu_kernel(Call& c) {
  V self = c.tensor("self", c.out_dtype());
  return prelu_of(c, self, c.tensor("weight", c.out_dtype()));
}

// aten::gelu(Tensor self, *, str approximate="none") -> Tensor
V gelu(Call& c) {
  const std::string approximate = c.text("approximate");
  if (c.opset() >= 20 && !is_double(c)) {
    return run(c, "Gelu", {c.tensor("self", c.out_dtype())}, {attr("approximate", approximate)});
  }
  Expr x = operand(c, "self");
  if (approximate == "none") {
    return result(c, 0.5 * x * (1.0 + erf(x / std::numbers::sqrt2)));
  }
  Expr inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return result(c, 0.5 * x * (1.0 + tanh(inner)));
}

// aten::silu(Tensor self) -> Tensor
V silu(Call& c) {
  Expr x(c, c.tensor("self", c.out_dtype()));
  return x * sigmoid(x);
}

// aten::mish(Tensor self) -> Tensor
V mish(Call& c) {
  if (c.opset() >= 18 && !is_double(c)) return run(c, "Mish", {c.tensor("self", c.out_dtype())});
  Expr x = operand(c, "self");
  return result(c, x * tanh(softplus(x)));
}

// aten::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor
V softplus_of(Call& c) {
  Expr x(c, c.tensor("self", c.out_dtype()));
  Expr beta = number(c, "beta", x.dtype()), limit = number(c, "threshold", x.dtype());
  Expr scaled = is(beta, 1.0) ? x : x * beta;
  Expr soft = is(beta, 1.0) ? softplus(scaled) : softplus(scaled) / beta;
  // Above 20 the two agree to the last digit of a float.
  const bool agree = limit.is_number() && limit.number() >= 20.0 && !is_double(c);
  return agree ? soft : where(scaled > limit, x, soft);
}

// aten::log_sigmoid(Tensor self) -> Tensor
V log_sigmoid(Call& c) { return -softplus(-Expr(c, c.tensor("self", c.out_dtype()))); }

// aten::log_sigmoid_forward(Tensor self) -> (Tensor output, Tensor buffer)
std::vector<V> log_sigmoid_forward(Call& c) {
  V output = log_sigmoid(c);
  return {output, exp(-abs(Expr(c, c.tensor("self"))))};
}

// aten::softshrink(Tensor self, Scalar lambd=0.5) -> Tensor
V softshrink(Call& c) {
  Expr x(c, c.tensor("self", c.out_dtype()));
  Expr max(c, c.scalar("lambd", x.dtype()));
  V min = c.is_known("lambd") ? c.constant(-c.number("lambd"), x.dtype()) : V(-max);
  return x - Expr(c, run(c, "Clip", {x, min, max}));
}

// aten::hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor
V hardshrink(Call& c) {
  Expr x(c, c.tensor("self", c.out_dtype()));
  return where(abs(x) <= Expr(c, c.scalar("lambd", x.dtype())), 0.0, x);
}

// aten::glu(Tensor self, int dim=-1) -> Tensor
V glu(Call& c) {
  V self = c.tensor("self");
  Attributes attributes{attr("axis", c.axis("dim", c.rank(self)))};
  if (c.opset() >= 18) attributes.push_back(attr("num_outputs", 2));
  const std::vector<V> halves = c.nodes("Split", {self}, 2, std::move(attributes));
  return Expr(c, halves[0]) * sigmoid(Expr(c, halves[1]));
}

// ---- softmax -----------------------------------------------------------------------------------

V softmax_over(Call& c, std::string_view op_type, V self, int64_t axis) {
  V found = run(c, op_type, {with_axis(c, self)}, {attr("axis", axis)});
  return c.rank(self) == 0 ? c.squeeze(found, {0}) : found;
}

// aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor
// aten::_softmax(Tensor self, int dim, bool half_to_float) -> Tensor
template <OpType Name>
V softmax(Call& c) {
  ignore_all_but(c, {"self", "dim"});
  V self = c.tensor("self", c.out_dtype());
  return softmax_over(c, Name.view(), self, c.axis("dim", c.rank(self)));
}

// aten::_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor: 0 where all are
//    -inf
V safe_softmax(Call& c) {
  c.ignore({"dtype"});
  V self = c.tensor("self", c.out_dtype());
  const int64_t axis = c.axis("dim", c.rank(self));
  Expr found(c, softmax_over(c, "Softmax", self, axis));
  Expr largest(c, reduce(c, "ReduceMax", self, {axis}, true));
  return where(equal(largest, -std::numeric_limits<double>::infinity()), 0.0, found);
}

// aten::_masked_softmax(Tensor self, Tensor mask, int? dim=None, int? mask_type=None) -> Tensor
V masked_softmax(Call& c) {
  Expr self(c, c.tensor("self"));
  const int64_t rank = c.rank(self);
  const int64_t axis = c.is_none("dim") ? rank - 1 : c.axis("dim", rank);
  Expr mask(c, c.tensor("mask", DType::boolean));
  const int64_t type = c.optional_integer("mask_type").value_or(2);
  if (type == 1) mask = Expr(c, c.unsqueeze(mask, {1, 2}));  // [batch, keys]; 0 is [queries, keys]
  Expr masked = where(mask, -std::numeric_limits<double>::infinity(), self);
  return softmax_over(c, "Softmax", masked, axis);
}

constexpr Row kRows[] = {
    {"aten::_log_softmax", softmax<"LogSoftmax">},
    {"aten::_masked_softmax", masked_softmax},
    {"aten::_prelu_kernel", prelu_kernel},
    {"aten::_safe_softmax", safe_softmax},
    {"aten::_softmax", softmax<"Softmax">},
    {"aten::celu", celu},
    {"aten::elu", elu},
    {"aten::gelu", gelu},
    {"aten::glu", glu},
    {"aten::hardshrink", hardshrink},
    {"aten::hardsigmoid", hardsigmoid},
    {"aten::hardswish", hardswish},
    {"aten::hardtanh", hardtanh},
    {"aten::leaky_relu", leaky_relu},
    {"aten::log_sigmoid", log_sigmoid},
    {"aten::log_sigmoid_forward", log_sigmoid_forward},
    {"aten::log_softmax.int", softmax<"LogSoftmax">},
    {"aten::mish", mish},
    {"aten::prelu", prelu},
    {"aten::relu", relu},
    {"aten::relu6", relu6},
    {"aten::rrelu", rrelu},
    {"aten::rrelu_with_noise", rrelu},
    {"aten::rrelu_with_noise_functional", rrelu_functional},
    {"aten::selu", selu},
    {"aten::silu", silu},
    {"aten::softmax.int", softmax<"Softmax">},
    {"aten::softplus", softplus_of},
    {"aten::softshrink", softshrink},
    {"aten::special_log_softmax", softmax<"LogSoftmax">},
    {"aten::special_softmax", softmax<"Softmax">},
    {"aten::threshold", threshold},
};

}  // namespace

std::span<const Row> activation_table() { return kRows; }

}  // namespace modelexport::lowering
