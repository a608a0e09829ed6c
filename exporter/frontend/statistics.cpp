// Normalisations in training mode, which update their running statistics in place though their
// schemas do not say so: the update becomes operators of the program.
#include <unordered_set>

#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

// Their first seven arguments are input, weight, bias, running_mean, running_var, training,
// momentum.
enum Place : size_t { kInput, kMean = 3, kVar, kTraining, kMomentum };

const TensorCell& tensor(const Val& val) { return **get_if<TensorCell>(val); }

Argument numbers(const std::vector<int64_t>& values) {
  return ArgumentList(values.begin(), values.end());
}

}  // namespace

bool Interpreter::updates_statistics(const c10::FunctionSchema& schema,
                                     const std::vector<Val>& inputs) {
  static const std::unordered_set<std::string> kNames = {
      "aten::batch_norm", "aten::native_batch_norm", "aten::_batch_norm_impl_index",
      "aten::instance_norm"};
  if (!kNames.contains(schema.name())) return false;
  const auto* training = known(inputs[kTraining]);
  return training != nullptr && training->toBool() && get_if<TensorCell>(inputs[kMean]) &&
         get_if<TensorCell>(inputs[kVar]);
}

void Interpreter::before_statistics(const std::vector<Val>& inputs) {
  for (const size_t place : {kMean, kVar}) {
    const auto& cell = *get_if<TensorCell>(inputs[place]);
    current(cell);
    before_write(*cell);
  }
}

// running = lerp(running, that of the batch, momentum); of single instances, the mean of theirs.
// The lanes have been updated by LibTorch, unless it ran on shapes alone.
void Interpreter::update_statistics(const std::vector<Val>& inputs, bool of_instances,
                                    bool on_shapes) {
  const auto& x = *get_if<TensorCell>(inputs[kInput]);
  std::vector<int64_t> others, instance;  // axes but the channels'
  for (int64_t axis = 0; axis < x->lanes[0].dim(); ++axis) {
    if (axis != 1) others.push_back(axis);
    if (axis > 1) instance.push_back(axis);
  }
  const Argument momentum = argument(inputs[kMomentum]);
  const auto dtype = static_cast<int64_t>(tensor(inputs[kMean]).lanes[0].scalar_type());
  const bool symbolic = is_symbolic(inputs[kInput]);
  std::vector<at::Tensor> converted, variances;
  for (const at::Tensor& lane : x->lanes) {
    converted.push_back(lane.to(static_cast<at::ScalarType>(dtype)));
    if (of_instances) variances.push_back(converted.back().var(instance, true));
    if (!on_shapes) continue;
    stand_ins_.add(converted.back());
    if (of_instances) stand_ins_.add(variances.back());
  }
  for (const size_t place : {kMean, kVar}) {
    for (const at::Tensor& lane : tensor(inputs[place]).lanes) {
      if (on_shapes) stand_ins_.add(lane);
    }
  }
  const std::vector<std::string> mean_arguments = {"self", "dim", "keepdim", "dtype"};
  const Argument input =
      ValueRef{emit("aten::to.dtype", {"self", "dtype", "non_blocking", "copy", "memory_format"},
                    {ValueRef{current(x)}, dtype, false, false, std::monostate{}}, converted)};
  const auto update = [&](Place place, ValueId of_batch) {
    const auto& cell = *get_if<TensorCell>(inputs[place]);
    const ValueId value =
        emit("aten::lerp.Scalar", {"self", "end", "weight"},
             {ValueRef{current(cell)}, ValueRef{of_batch}, momentum}, cell->lanes);
    write(cell, value, symbolic);
  };
  update(kMean,
         emit("aten::mean.dim", mean_arguments, {input, numbers(others), false, std::monostate{}},
              tensor(inputs[kMean]).lanes));
  ValueId variance = emit("aten::var.correction", {"self", "dim", "correction", "keepdim"},
                          {input, numbers(of_instances ? instance : others), int64_t{1}, false},
                          of_instances ? variances : tensor(inputs[kVar]).lanes);
  if (of_instances) {
    variance = emit("aten::mean.dim", mean_arguments,
                    {ValueRef{variance}, numbers({0}), false, std::monostate{}},
                    tensor(inputs[kVar]).lanes);
  }
  update(kVar, variance);
}

}  // namespace modelexport::frontend
