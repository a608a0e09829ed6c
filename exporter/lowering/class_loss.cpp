// Loss functions of class labels: negative log likelihood, cross entropy, margins.
#include <string>

#include "exporter/lowering/kernels.h"
#include "exporter/lowering/loss.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

const char* name_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::none:
      return "none";
    case Reduction::mean:
      return "mean";
    default:
      return "sum";
  }
}

// NegativeLogLikelihoodLoss or SoftmaxCrossEntropyLoss of scores [N, C, d1...] (or [C]) and labels.
V label_loss(Call& c, std::string_view op_type, V scores, V weight) {
  V target = c.tensor("target", DType::i64);
  const Reduction reduction = reduction_of(c);
  const bool single = c.rank(scores) == 1;
  if (single) {
    scores = c.unsqueeze(scores, {0});
    target = c.rank(target) == 0 ? c.unsqueeze(target, {0}) : target;
  }
  constexpr int64_t kNoClass = -1;
  const bool is_known = c.is_known("ignore_index");
  if (!is_known) {
    Expr labels(c, target), ignored(c, c.scalar("ignore_index", DType::i64));
    target = where(equal(labels, ignored), Expr(c, c.constant_int(kNoClass)), labels);
  }
  const int64_t ignored = is_known ? c.integer("ignore_index") : kNoClass;
  V loss = run(c, op_type, {scores, target, weight},
               {attr("reduction", name_of(reduction)), attr("ignore_index", ignored)});
  const DType dtype = c.dtype_of(scores);
  if (reduction != Reduction::none) return c.typed(loss, dtype, {});
  return c.out_rank() == 0 ? c.squeeze(c.typed(loss, dtype, {1}), {0})
                           : c.typed(loss, dtype, c.out_shape());
}

V class_weight(Call& c) { return c.is_none("weight") ? kOmitted : V(operand(c, "weight")); }

// aten::nll_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1,
//    SymInt ignore_index=-100) -> Tensor, also nll_loss2d and nll_loss_nd
V nll_loss(Call& c) {
  Expr self = operand(c, "self");
  V weight = class_weight(c);
  return result(c, Expr(c, label_loss(c, "NegativeLogLikelihoodLoss", self, weight)));
}

// The weight of each label's class, 0 for ignored ones: what a mean is divided by.
Expr label_weights(Call& c, Expr scores, V weight) {
  V target = c.tensor("target", DType::i64);
  Expr labels(c, target);
  Expr counted = !equal(labels, Expr(c, c.scalar("ignore_index", DType::i64)));
  if (weight == kOmitted) return cast(counted, scores.dtype());
  V safe = where(counted, labels, Expr(c, c.constant_int(0)));
  return where(counted, Expr(c, c.gather(weight, safe, 0)), 0.0);
}

// aten::nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction,
//    SymInt ignore_index) -> (Tensor output, Tensor total_weight), also nll_loss2d_forward
std::vector<V> nll_loss_forward(Call& c) {
  Expr self = operand(c, "self");
  V weight = class_weight(c);
  V loss = result(c, Expr(c, label_loss(c, "NegativeLogLikelihoodLoss", self, weight)));
  // A single sample counts as its own mean.
  if (reduction_of(c) == Reduction::none && c.rank(self) > 1) {
    return {loss, c.constant(0.0, c.out_dtype())};
  }
  V total = reduce(c, "ReduceSum", label_weights(c, self, weight), {}, false);
  return {loss, result(c, Expr(c, total))};
}

int64_t class_axis(Call& c, V scores) { return c.rank(scores) == 1 ? 0 : 1; }

// The weights of classes, shaped to be multiplied with scores.
Expr along_classes(Call& c, V scores, V weight) {
  std::vector<int64_t> trailing;
  for (int64_t i = 1; i < c.rank(scores) - class_axis(c, scores); ++i) trailing.push_back(i);
  return Expr(c, c.unsqueeze(weight, trailing));
}

// Minus the sum over classes of log-probabilities times what each class counts.
Expr class_sum(Call& c, Expr logs, V weight) {
  Expr weighted = weight == kOmitted ? logs : logs * along_classes(c, logs, weight);
  return -Expr(c, reduce(c, "ReduceSum", weighted, {class_axis(c, logs)}, false));
}

// Cross entropy with probabilities as target: its mean is per sample, whatever the weights.
V soft_cross_entropy(Call& c, Expr logs, V weight, Expr smoothing) {
  c.ignore({"ignore_index"});
  Expr target = operand(c, "target");
  const int64_t axis = class_axis(c, logs);
  if (!is(smoothing, 0.0)) {
    Expr classes = cast(Expr(c, c.reshape(c.size_of(logs, axis), {})), logs.dtype());
    target = target * (1.0 - smoothing) + smoothing / classes;
  }
  return reduced(c, class_sum(c, logs * target, weight));
}

// The loss of labels mixed with that of the uniform distribution.
V smoothed_cross_entropy(Call& c, Expr logs, V weight, Expr smoothing) {
  Expr hard(c, label_loss(c, "NegativeLogLikelihoodLoss", logs, weight));
  const Reduction reduction = reduction_of(c);
  Expr weights = label_weights(c, logs, weight);
  Expr counted = label_weights(c, logs, kOmitted);
  Expr uniform = class_sum(c, logs, weight) * counted;
  if (reduction != Reduction::none) uniform = Expr(c, reduce(c, "ReduceSum", uniform, {}, false));
  if (reduction == Reduction::mean) {
    uniform = uniform / Expr(c, reduce(c, "ReduceSum", weights, {}, false));
  }
  const int64_t axis = class_axis(c, logs);
  Expr classes = cast(Expr(c, c.reshape(c.size_of(logs, axis), {})), logs.dtype());
  return result(c, (1.0 - smoothing) * hard + smoothing / classes * uniform);
}

// aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1,
//    SymInt ignore_index=-100, float label_smoothing=0.) -> Tensor
V cross_entropy_loss(Call& c) {
  Expr self = operand(c, "self");
  V weight = class_weight(c);
  Expr smoothing = number(c, "label_smoothing", self.dtype());
  const bool labels = !is_floating(c.dtype_of(c.tensor("target")));
  if (labels && is(smoothing, 0.0)) {
    return result(c, Expr(c, label_loss(c, "SoftmaxCrossEntropyLoss", self, weight)));
  }
  Expr logs(c, run(c, "LogSoftmax", {self}, {attr("axis", class_axis(c, self))}));
  if (labels) return smoothed_cross_entropy(c, logs, weight, smoothing);
  return soft_cross_entropy(c, logs, weight, smoothing);
}

// 0, 1, ... as many as there are classes.
Expr class_indices(Call& c, V scores) {
  V count = c.reshape(c.size_of(scores, c.rank(scores) - 1), {});
  V range = c.node("Range", {c.constant_int(0), count, c.constant_int(1)});
  return Expr(c, c.typed(range, DType::i64, {c.shape(scores).back()}));
}

Expr class_mean(Call& c, Expr losses) {
  return Expr(c, reduce(c, "ReduceMean", losses, {c.rank(losses) - 1}, false));
}

// aten::multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1,
//    Tensor? weight=None, int reduction=1) -> Tensor
V multi_margin_loss(Call& c) {
  Expr self = operand(c, "self");
  V target = c.tensor("target", DType::i64);
  if (c.rank(self) == 0) self = Expr(c, c.unsqueeze(self, {0}));
  if (c.rank(target) < c.rank(self))
    target = c.unsqueeze(target, {c.rank(target)});
  else if (c.rank(self) == 1)
    target = c.reshape(target, {1});
  const int64_t axis = c.rank(self) - 1;
  Expr right(c, c.node("GatherElements", {self, target}, {attr("axis", axis)}));
  Expr losses = maximum(number(c, "margin", self.dtype()) - right + self, 0.0);
  Expr p = number(c, "p", self.dtype());  // 1 or 2
  if (!is(p, 1.0)) losses = is(p, 2.0) ? losses * losses : power(losses, p);
  if (!c.is_none("weight")) losses = losses * Expr(c, c.gather(operand(c, "weight"), target, 0));
  Expr own = equal(class_indices(c, self), Expr(c, target));
  return reduced(c, class_mean(c, where(own, 0.0, losses)));
}

// The labels before the first -1 of each row, and which classes they name: [..., C] each.
struct LabelSet {
  Expr listed, named;
};

LabelSet label_set(Call& c, V target) {
  const int64_t axis = c.rank(target) - 1;
  Expr labels(c, target);
  Expr ended = cast(labels < 0.0, DType::i32);
  Expr ends(c, run(c, "CumSum", {ended, c.constant_int(axis)}));
  Expr listed = equal(ends, 0.0);
  Expr here = equal(Expr(c, c.unsqueeze(where(listed, labels, -1.0), {axis + 1})),
                    class_indices(c, target));
  Expr times(c, reduce(c, "ReduceMax", cast(here, DType::i32), {axis}, false));
  return {listed, cast(times, DType::boolean)};
}

// aten::multilabel_margin_loss_forward(Tensor self, Tensor target, int reduction) -> (Tensor
//    output, Tensor is_target)
std::vector<V> multilabel_margin_loss_forward(Call& c) {
  Expr self = operand(c, "self");
  V target = c.tensor("target", DType::i64);
  if (c.rank(self) == 0) self = Expr(c, c.unsqueeze(self, {0}));
  if (c.rank(target) == 0) target = c.unsqueeze(target, {0});
  const int64_t axis = c.rank(self) - 1;
  const LabelSet set = label_set(c, target);
  V safe = where(set.listed, Expr(c, target), 0.0);
  Expr scores(c, c.node("GatherElements", {self, safe}, {attr("axis", axis)}));
  // [..., label, class]: how far each class that is not named comes within 1 of each label's score.
  Expr margins = maximum(
      1.0 - Expr(c, c.unsqueeze(scores, {axis + 1})) + Expr(c, c.unsqueeze(self, {axis})), 0.0);
  Expr pairs =
      Expr(c, c.unsqueeze(set.listed, {axis + 1})) & !Expr(c, c.unsqueeze(set.named, {axis}));
  Expr sums(c, reduce(c, "ReduceSum", where(pairs, margins, 0.0), {axis + 1}, false));
  V output = reduced(c, class_mean(c, sums));
  if (c.output_count() == 1) return {output};
  return {output, c.reshape(c.cast(set.named, c.out_dtype(1)), c.out_shape(1))};
}

// aten::multilabel_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor
V multilabel_margin_loss(Call& c) { return multilabel_margin_loss_forward(c)[0]; }

constexpr Row kRows[] = {
    {"aten::cross_entropy_loss", cross_entropy_loss},
    {"aten::multi_margin_loss", multi_margin_loss},
    {"aten::multilabel_margin_loss", multilabel_margin_loss},
    {"aten::multilabel_margin_loss_forward", multilabel_margin_loss_forward},
    {"aten::nll_loss", nll_loss},
    {"aten::nll_loss2d", nll_loss},
    {"aten::nll_loss2d_forward", nll_loss_forward},
    {"aten::nll_loss_forward", nll_loss_forward},
    {"aten::nll_loss_nd", nll_loss},
};

}  // namespace

std::span<const Row> class_loss_rows() { return kRows; }

}  // namespace modelexport::lowering
