// Connectionist temporal classification: the sum over all alignments of labels with time steps,
// step by step, in double.
#include <algorithm>
#include <limits>
#include <vector>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/loss.h"
#include "exporter/lowering/repeat.h"

namespace modelexport::lowering {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// int[] or Tensor, as [N] int64.
V lengths_of(Call& c, const char* name, bool tensors) {
  if (!tensors) return c.int_list(name);
  const V given = c.tensor(name, DType::i64);
  return c.rank(given) == 0 ? c.unsqueeze(given, {0}) : given;
}

// The labels of each sequence [N, S]; given so, or all of them one after the other.
V label_rows(Call& c, V counts) {
  const V targets = c.tensor("targets", DType::i64);
  if (c.rank(targets) == 2) return targets;
  const Expr ends(c, c.node("CumSum", {counts, c.constant_int(0)}));
  const V starts = c.unsqueeze(ends - Expr(c, counts), {1});
  const Expr places = Expr(c, starts) + Expr(c, iota(c, targets, 0));
  const Expr last = Expr(c, size_number(c, targets, 0)) - 1.0;
  return c.gather(targets, minimum(places, last), 0);
}

// Labels with blanks around them [N, 2 S + 1], and where one may be reached from two places before.
struct Path {
  V labels;
  Expr skips;
};

Path path_of(Call& c, V targets, int64_t count) {
  const int64_t size = 2 * count + 1;
  const Expr places(c, iota(c, size));
  const Expr odd = equal(apply("Mod", places, 2.0), 1.0);
  std::vector<int64_t> index(size);
  for (int64_t i = 0; i < size; ++i) index[i] = std::min(i / 2, count - 1);
  const Expr blank(c, c.constant_int(c.integer("blank")));
  const Expr labels = where(odd, Expr(c, c.gather(targets, c.constant_ints(index), 1)), blank);
  std::vector<int64_t> before(size);
  for (int64_t i = 0; i < size; ++i) before[i] = std::max<int64_t>(i - 2, 0);
  const Expr earlier(c, c.gather(labels, c.constant_ints(before), 1));
  return {labels, !(equal(labels, blank) | equal(labels, earlier))};
}

// The logarithm of the sum of exponentials of values that may all be minus infinity.
Expr log_sum(const std::vector<Expr>& values) {
  Expr largest = values[0];
  for (const Expr& value : values) largest = maximum(largest, value);
  Expr shift = where(largest > kMinusInfinity, largest, 0.0), sum = 0.0 * shift;
  for (const Expr& value : values) sum = sum + exp(value - shift);
  return log(sum) + shift;
}

// [N, 2 S + 1] moved on by some places.
Expr moved(Call& c, Expr alpha, int64_t by, const Shape& shape) {
  Shape front = shape, rest = shape;
  front[1] = by;
  rest[1] -= by;
  const V fill = expand(c, c.constant(kMinusInfinity, DType::f64), front);
  const V kept = c.typed(c.slice(alpha, 1, 0, rest[1]), DType::f64, rest);
  return Expr(c, c.typed(c.concat({fill, kept}, 1), DType::f64, shape));
}

// log_probs: [T, N, C]; the sums at the end of each sequence, [N, 2 S + 1].
Expr forward_sums(Call& c, V log_probs, const Path& path, V steps, const Shape& shape) {
  const auto scores = [&](V at) {
    const V now = c.gather(log_probs, at, 0);
    const V found = c.node("GatherElements", {now, path.labels}, {attr("axis", 1)});
    return Expr(c, c.typed(found, DType::f64, shape));
  };
  const Expr places(c, iota(c, shape[1]));
  const Expr start = where(places < 2.0, scores(c.constant_int(0)), kMinusInfinity);
  const Expr limit(c, c.unsqueeze(steps, {1}));
  const auto step = [&](V round, const std::vector<Expr>& carried) {
    const V at = c.add(round, c.constant_int(1));
    Expr last = carried[0], two = moved(c, last, 2, shape);
    two = where(path.skips, two, kMinusInfinity);
    Expr next = log_sum({last, moved(c, last, 1, shape), two}) + scores(at);
    return Round{{where(Expr(c, at) < limit, next, last)}, {}};
  };
  const V rounds = c.sub(size_number(c, log_probs, 0), c.constant_int(1));
  return Expr(c, repeat(c, rounds, {start}, step).carried[0]);
}

// The two places a sequence may end at, for each its sum.
Expr loss_of(Call& c, Expr sums, V counts) {
  const Expr end = 2.0 * Expr(c, c.unsqueeze(counts, {1}));
  const auto at = [&](Expr place) {
    const V found = c.node("GatherElements", {sums, place}, {attr("axis", 1)});
    return Expr(c, c.squeeze(found, {1}));
  };
  const Expr some = Expr(c, counts) > 0.0;
  const Expr before = where(some, at(maximum(end - 1.0, 0.0)), kMinusInfinity);
  return -log_sum({at(end), before});
}

// aten::ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths,
//     int[] target_lengths, int blank=0, int reduction=Mean, bool zero_infinity=False) -> Tensor
// aten::ctc_loss.Tensor, with tensors of lengths
template <bool Tensors>
V ctc_loss(Call& c) {
  V log_probs = c.tensor("log_probs", DType::f64);
  const bool single = c.rank(log_probs) == 2;
  if (single) log_probs = c.unsqueeze(log_probs, {1});
  const V counts = lengths_of(c, "target_lengths", Tensors);
  const V targets = label_rows(c, counts);
  const Dim count = c.shape(c.tensor("targets")).back();
  if (!is_static(count) || count == 0) throw Unsupported{"targets of a dynamic length, or none"};
  const Shape shape{c.shape(log_probs)[1], 2 * count + 1};
  const V given = lengths_of(c, "input_lengths", Tensors);
  const Expr sums = forward_sums(c, log_probs, path_of(c, targets, count), given, shape);
  Expr losses = loss_of(c, sums, counts);
  if (c.boolean("zero_infinity")) losses = where(is_infinite(losses), 0.0, losses);
  const Reduction reduction = reduction_of(c);
  if (reduction == Reduction::mean)
    losses = losses / cast(maximum(Expr(c, counts), 1.0), DType::f64);
  if (reduction != Reduction::none || !single) return reduced(c, losses);
  return c.cast(c.squeeze(losses, {0}), c.out_dtype());
}

constexpr Row kRows[] = {
    {"aten::ctc_loss.IntList", ctc_loss<false>},
    {"aten::ctc_loss.Tensor", ctc_loss<true>},
};

}  // namespace

std::span<const Row> ctc_rows() { return kRows; }

}  // namespace modelexport::lowering
