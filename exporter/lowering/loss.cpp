// Loss functions of elements or pairs of vectors; those of class labels are in class_loss.cpp.
#include "exporter/lowering/loss.h"

#include <cmath>
#include <numbers>

#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// aten::mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor
V mse_loss(Call& c) {
  Expr difference = operand(c, "self") - operand(c, "target");
  return reduced(c, difference * difference);
}

// aten::l1_loss(Tensor self, Tensor target, int reduction=1) -> Tensor
V l1_loss(Call& c) { return reduced(c, abs(operand(c, "self") - operand(c, "target"))); }

// aten::smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.) -> Tensor
V smooth_l1_loss(Call& c) {
  Expr z = abs(operand(c, "self") - operand(c, "target"));
  Expr beta = number(c, "beta", z.dtype());
  if (is(beta, 0.0)) return reduced(c, z);
  return reduced(c, where(z < beta, z * z * (0.5 / beta), z - 0.5 * beta));
}

// aten::huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.) -> Tensor
V huber_loss(Call& c) {
  Expr z = abs(operand(c, "self") - operand(c, "target"));
  Expr delta = number(c, "delta", z.dtype());
  return reduced(c, where(z <= delta, 0.5 * z * z, delta * (z - 0.5 * delta)));
}

Expr times_weight(Call& c, Expr losses) {
  return c.is_none("weight") ? losses : losses * operand(c, "weight");
}

// aten::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None,
//    int reduction=1) -> Tensor
V binary_cross_entropy(Call& c) {
  Expr p = operand(c, "self"), target = operand(c, "target");
  constexpr double kLeast = -100.0;  // PyTorch's bound on the logarithms
  Expr losses = (target - 1.0) * maximum(log1p(-p), kLeast) - target * maximum(log(p), kLeast);
  return reduced(c, times_weight(c, losses));
}

// aten::binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None,
//    Tensor? pos_weight=None, int reduction=1) -> Tensor
V binary_cross_entropy_with_logits(Call& c) {
  Expr x = operand(c, "self"), target = operand(c, "target");
  Expr losses = (1.0 - target) * x;
  if (c.is_none("pos_weight")) {
    losses = losses + softplus(-x);
  } else {
    losses = losses + (1.0 + (operand(c, "pos_weight") - 1.0) * target) * softplus(-x);
  }
  return reduced(c, times_weight(c, losses));
}

// aten::kl_div(Tensor self, Tensor target, int reduction=1, *, bool log_target=False) -> Tensor
V kl_div(Call& c) {
  Expr x = operand(c, "self"), target = operand(c, "target");
  if (c.boolean("log_target")) return reduced(c, exp(target) * (target - x));
  Expr entropy = where(equal(target, 0.0), 0.0, target * log(target));
  return reduced(c, entropy - target * x);
}

// aten::poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps,
//    int reduction) -> Tensor
V poisson_nll_loss(Call& c) {
  Expr x = operand(c, "input"), target = operand(c, "target");
  Expr eps = number(c, "eps", x.dtype());
  Expr losses = c.boolean("log_input") ? exp(x) - target * x : x - target * log(x + eps);
  if (c.boolean("full")) {  // Stirling's approximation of log(target!)
    Expr stirling = target * log(target) - target + 0.5 * log(2.0 * std::numbers::pi * target);
    losses = losses + where(target > 1.0, stirling, 0.0);
  }
  return reduced(c, losses);
}

// aten::soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor
V soft_margin_loss(Call& c) {
  // Not guarded against overflow, as PyTorch's is not.
  return reduced(c, log1p(exp(-operand(c, "self") * operand(c, "target"))));
}

// aten::hinge_embedding_loss(Tensor self, Tensor target, float margin=1.,
//    int reduction=1) -> Tensor
V hinge_embedding_loss(Call& c) {
  Expr x = operand(c, "self"), target = operand(c, "target");
  Expr beyond = maximum(number(c, "margin", x.dtype()) - x, 0.0);
  Expr apart = where(equal(target, 1.0), 0.0, beyond);
  return reduced(c, apart + where(equal(target, -1.0), 0.0, x));
}

// aten::margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.,
//    int reduction=1) -> Tensor
V margin_ranking_loss(Call& c) {
  Expr difference = operand(c, "input1") - operand(c, "input2");
  Expr margin = number(c, "margin", difference.dtype());
  return reduced(c, maximum(margin - operand(c, "target") * difference, 0.0));
}

// aten::cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.,
//    int reduction=1) -> Tensor
V cosine_embedding_loss(Call& c) {
  Expr a = operand(c, "input1"), b = operand(c, "input2"), target = operand(c, "target");
  const auto product = [&](Expr x, Expr y) {
    return Expr(c, reduce(c, "ReduceSum", x * y, {c.rank(x) - 1}, false));
  };
  constexpr double kEpsilon = 1e-12;
  Expr lengths = sqrt((product(a, a) + kEpsilon) * (product(b, b) + kEpsilon));
  Expr cosine = product(a, b) / lengths;
  Expr beyond = maximum(cosine - number(c, "margin", cosine.dtype()), 0.0);
  Expr apart = where(equal(target, -1.0), beyond, 0.0);
  return reduced(c, where(equal(target, 1.0), 1.0 - cosine, apart));
}

// aten::triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.,
//    float p=2., float eps=1e-06, bool swap=False, int reduction=1) -> Tensor
V triplet_margin_loss(Call& c) {
  Expr anchor = operand(c, "anchor"), positive = operand(c, "positive");
  Expr negative = operand(c, "negative");
  const DType dtype = anchor.dtype();
  Expr p = number(c, "p", dtype), eps = number(c, "eps", dtype),
       margin = number(c, "margin", dtype);
  const auto distance = [&](Expr a, Expr b) {
    Expr difference = a - b + eps;
    return vector_norm(difference, p, {c.rank(difference) - 1}, false);
  };
  Expr far = distance(anchor, negative);
  if (c.boolean("swap")) far = minimum(far, distance(positive, negative));
  return reduced(c, maximum(margin + distance(anchor, positive) - far, 0.0));
}

constexpr Row kRows[] = {
    {"aten::binary_cross_entropy", binary_cross_entropy},
    {"aten::binary_cross_entropy_with_logits", binary_cross_entropy_with_logits},
    {"aten::cosine_embedding_loss", cosine_embedding_loss},
    {"aten::hinge_embedding_loss", hinge_embedding_loss},
    {"aten::huber_loss", huber_loss},
    {"aten::kl_div", kl_div},
    {"aten::l1_loss", l1_loss},
    {"aten::margin_ranking_loss", margin_ranking_loss},
    {"aten::mse_loss", mse_loss},
    {"aten::poisson_nll_loss", poisson_nll_loss},
    {"aten::smooth_l1_loss", smooth_l1_loss},
    {"aten::soft_margin_loss", soft_margin_loss},
    {"aten::triplet_margin_loss", triplet_margin_loss},
};

}  // namespace

Reduction reduction_of(Call& c) { return static_cast<Reduction>(c.integer("reduction")); }

V reduced(Call& c, Expr losses) {
  const Reduction reduction = reduction_of(c);
  if (reduction == Reduction::none) return result(c, losses);
  const std::string_view op_type = reduction == Reduction::mean ? "ReduceMean" : "ReduceSum";
  return result(c, Expr(c, reduce(c, op_type, losses, {}, false)));
}

std::span<const Row> loss_table() {
  static const std::vector<Row> rows = joined(kRows, class_loss_rows());
  return rows;
}

}  // namespace modelexport::lowering
