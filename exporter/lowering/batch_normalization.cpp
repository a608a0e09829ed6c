// Batch normalisation: with running statistics (inference) it is ONNX's BatchNormalization, with
// those of the batch (a module left in training mode) a formula.
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// A per-channel argument in `dtype`; `otherwise` for None.
V per_channel(Call& c, std::string_view name, double otherwise, DType dtype, Dim channels) {
  const V value = c.optional_tensor(name);
  return value == kOmitted ? filled_with(c, otherwise, dtype, {channels}) : c.cast(value, dtype);
}

// Half precision inputs often come with float32 parameters and statistics: computed in float32.
DType common_dtype(Call& c, V x) {
  for (const char* name : {"weight", "running_mean"}) {
    if (c.is_none(name)) continue;
    if (c.dtype_of(c.tensor(name)) != c.dtype_of(x)) return compute_dtype(c.dtype_of(x));
  }
  return c.dtype_of(x);
}

struct Normalized {
  V y, mean, reciprocal_deviation, variance;
};

// With the statistics of the batch: over all axes but the channels'.
Normalized normalize_with_batch_statistics(Call& c) {
  const V input = c.tensor("input");
  const Expr x = cast(Expr(c, input), compute_dtype(c.dtype_of(input)));
  const Dim channels = c.shape(input)[1];
  std::vector<int64_t> others = axes_from(0, c.rank(input));
  others.erase(others.begin() + 1);
  const Expr mean(c, reduce(c, "ReduceMean", x, others, true));
  const Expr centred = x - mean;
  const Expr variance(c, reduce(c, "ReduceMean", centred * centred, others, true));
  const Expr reciprocal = apply("Reciprocal", sqrt(variance + number(c, "eps", x.dtype())));
  const std::vector<int64_t> spatial = axes_from(1, c.rank(input) - 2);
  Expr y = centred * reciprocal;
  for (const char* name : {"weight", "bias"}) {
    if (c.is_none(name)) continue;
    const Expr term(c, c.unsqueeze(per_channel(c, name, 0, x.dtype(), channels), spatial));
    y = name == std::string_view("weight") ? y * term : y + term;
  }
  return {c.cast(y, c.out_dtype()), c.squeeze(mean, others), c.squeeze(reciprocal, others),
          c.squeeze(variance, others)};
}

V normalize_with_running_statistics(Call& c) {
  const V x = c.tensor("input");
  const DType dtype = common_dtype(c, x);
  const Dim channels = c.shape(x)[1];
  const V y = run(c, "BatchNormalization",
                  {c.cast(x, dtype), per_channel(c, "weight", 1, dtype, channels),
                   per_channel(c, "bias", 0, dtype, channels),
                   per_channel(c, "running_mean", 0, dtype, channels),
                   per_channel(c, "running_var", 1, dtype, channels)},
                  {attr("epsilon", c.number("eps"))});
  return c.cast(y, c.out_dtype());
}

// Output `index` of a call that normalised with given statistics: PyTorch's CPU kernels return
// empty tensors there.
V empty(Call& c, size_t index) {
  if (!c.output_used(index)) return kOmitted;
  if (c.out_shape(index) != Shape{0}) throw Unsupported{"saved statistics outside of training"};
  return c.constant_tensor(c.out_dtype(index), {0}, "");
}

// y, mean, reciprocal deviation.
std::vector<V> three_outputs(Call& c, bool training) {
  if (!training) return {normalize_with_running_statistics(c), empty(c, 1), empty(c, 2)};
  const auto [y, mean, reciprocal, variance] = normalize_with_batch_statistics(c);
  return {y, c.cast(mean, c.out_dtype(1)), c.cast(reciprocal, c.out_dtype(2))};
}

// The running statistics after a batch.
std::vector<V> updated_statistics(Call& c, V mean, V variance) {
  const Shape shape = c.shape(c.tensor("input"));
  const Expr x(c, c.tensor("input", c.dtype_of(mean)));
  std::vector<int64_t> others = axes_from(0, std::ssize(shape));
  others.erase(others.begin() + 1);
  const Expr count = reduced_count(c, x, others, x.dtype());
  const Expr unbiased = Expr(c, variance) * count / (count - 1.0);
  const auto moved = [&](const char* name, Expr now) {
    const Expr before(c, c.tensor(name)), momentum = number(c, "momentum", before.dtype());
    return V((1.0 - momentum) * before + momentum * cast(now, before.dtype()));
  };
  return {moved("running_mean", Expr(c, mean)), moved("running_var", unbiased)};
}

// aten::batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean,
//   Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor
V batch_norm(Call& c) {
  c.ignore({"momentum", "cudnn_enabled"});
  if (!c.boolean("training")) return normalize_with_running_statistics(c);
  c.ignore({"running_mean", "running_var"});
  return normalize_with_batch_statistics(c).y;
}

// aten::native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean,
//   Tensor? running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)
std::vector<V> native_batch_norm(Call& c) {
  c.ignore({"momentum", "running_mean", "running_var"});
  return three_outputs(c, c.boolean("training"));
}

// aten::_native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias,
//   bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)
std::vector<V> native_batch_norm_without_statistics(Call& c) {
  c.ignore({"momentum", "training"});
  return three_outputs(c, true);
}

// aten::_native_batch_norm_legit_no_training(Tensor input, Tensor? weight, Tensor? bias,
//   Tensor running_mean, Tensor running_var, float momentum, float eps)
//   -> (Tensor, Tensor, Tensor)
std::vector<V> native_batch_norm_no_training(Call& c) {
  c.ignore({"momentum"});
  return three_outputs(c, false);
}

// aten::_batch_norm_no_update(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean,
//   Tensor? running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)
std::vector<V> batch_norm_no_update(Call& c) {
  c.ignore({"momentum"});
  std::vector<V> outputs = three_outputs(c, false);
  outputs.push_back(empty(c, 3));  // the kernel's own scratch
  return outputs;
}

// aten::_native_batch_norm_legit_functional(Tensor input, Tensor? weight, Tensor? bias,
//   Tensor running_mean, Tensor running_var, bool training, float momentum, float eps)
//   -> (Tensor, Tensor, Tensor, Tensor running_mean_out, Tensor running_var_out)
std::vector<V> native_batch_norm_functional(Call& c) {
  if (!c.boolean("training")) {
    c.ignore({"momentum"});
    std::vector<V> outputs = three_outputs(c, false);
    outputs.insert(outputs.end(), {c.tensor("running_mean"), c.tensor("running_var")});
    return outputs;
  }
  const auto [y, mean, reciprocal, variance] = normalize_with_batch_statistics(c);
  const std::vector<V> after = updated_statistics(c, mean, variance);
  return {y, c.cast(mean, c.out_dtype(1)), c.cast(reciprocal, c.out_dtype(2)), after[0], after[1]};
}

// aten::_batch_norm_with_update_functional(Tensor input, Tensor? weight, Tensor? bias,
//   Tensor running_mean, Tensor running_var, float momentum, float eps)
//   -> (Tensor, Tensor, Tensor, Tensor, Tensor running_mean_out, Tensor running_var_out)
std::vector<V> batch_norm_with_update(Call& c) {
  const auto [y, mean, reciprocal, variance] = normalize_with_batch_statistics(c);
  const std::vector<V> after = updated_statistics(c, mean, variance);
  return {y,
          c.cast(mean, c.out_dtype(1)),
          c.cast(reciprocal, c.out_dtype(2)),
          empty(c, 3),
          after[0],
          after[1]};
}

// aten::_batch_norm_impl_index(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean,
//   Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled)
//   -> (Tensor, Tensor, Tensor, Tensor, int)
std::vector<V> batch_norm_impl_index(Call& c) {
  c.ignore({"momentum", "cudnn_enabled", "running_mean", "running_var"});
  std::vector<V> outputs = three_outputs(c, c.boolean("training"));
  outputs.push_back(empty(c, 3));
  outputs.push_back(c.constant_int(0));  // the native implementation
  return outputs;
}

// aten::instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean,
//   Tensor? running_var, bool use_input_stats, float momentum, float eps, bool cudnn_enabled)
//   -> Tensor
V instance_norm(Call& c) {
  c.ignore({"momentum", "cudnn_enabled"});
  if (!c.boolean("use_input_stats")) return normalize_with_running_statistics(c);
  c.ignore({"running_mean", "running_var"});
  const V x = c.tensor("input");
  const DType dtype = c.dtype_of(x);
  const Shape channels{c.shape(x)[1]};
  V weight = c.optional_tensor("weight"), bias = c.optional_tensor("bias");
  weight = weight == kOmitted ? filled_with(c, 1, dtype, channels) : c.cast(weight, dtype);
  bias = bias == kOmitted ? filled_with(c, 0, dtype, channels) : c.cast(bias, dtype);
  return run(c, "InstanceNormalization", {x, weight, bias}, {attr("epsilon", c.number("eps"))});
}

constexpr Row kRows[] = {
    {"aten::_batch_norm_impl_index", batch_norm_impl_index},
    {"aten::_batch_norm_no_update", batch_norm_no_update},
    {"aten::_batch_norm_with_update_functional", batch_norm_with_update},
    {"aten::_native_batch_norm_legit_functional", native_batch_norm_functional},
    {"aten::_native_batch_norm_legit.no_stats", native_batch_norm_without_statistics},
    {"aten::_native_batch_norm_legit_no_training", native_batch_norm_no_training},
    {"aten::batch_norm", batch_norm},
    {"aten::instance_norm", instance_norm},
    {"aten::native_batch_norm", native_batch_norm},
};

}  // namespace

std::span<const Row> batch_normalization_rows() { return kRows; }

}  // namespace modelexport::lowering
