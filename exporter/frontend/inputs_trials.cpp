#include "exporter/frontend/inputs_trials.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <utility>

namespace modelexport::frontend {

std::vector<int64_t> sizes_of(const FlatInput& input) {
  const bool is_int = input.is_number && input.tensor.scalar_type() == at::kLong;
  return is_int ? std::vector{input.tensor.item<int64_t>()} : input.tensor.sizes().vec();
}

void apply(const Move& move, int64_t change, Sizes& sizes) {
  for (const DimRef& dim : move.dims) sizes[dim.input][dim.axis] += change;
}

Trials::Trials(const torch::jit::Module& module, const Examples& given, uint64_t seed,
               const QuickTrial& quick_trial)
    : module_(module),
      forward_(module.get_method("forward").function().getSchema()),
      given_(given),
      state_(module),
      seed_(seed),
      quick_trial_(quick_trial) {
  for (const FlatInput& input : flatten(forward_, given.examples.front())) {
    inputs_.push_back(input);
    base_.push_back(sizes_of(input));
  }
}

std::vector<DimRef> Trials::dims() const {
  std::vector<DimRef> all;
  for (size_t i = 0; i < base_.size(); ++i) {
    for (size_t axis = 0; axis < base_[i].size(); ++axis) all.push_back({i, axis});
  }
  return all;
}

Example Trials::make(const Sizes& sizes) const {
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].is_number) {
      const bool is_int = !sizes[i].empty();
      tensors.push_back(is_int ? at::scalar_tensor(sizes[i][0], at::kLong) : inputs_[i].tensor);
      continue;
    }
    const auto range = given_.ranges.find(inputs_[i].name);
    tensors.push_back(
        make_like(inputs_[i].tensor, sizes[i], seed_ + i,
                  range == given_.ranges.end() ? std::nullopt : std::optional(range->second)));
  }
  return unflatten(forward_, given_.examples.front(), tensors);
}

std::string Trials::describe_at(const Sizes& sizes) const {
  return describe(forward_, make(sizes));
}

bool Trials::runs(const Sizes& sizes) {
  if (!in_range(sizes)) return false;
  const Example example = make(sizes);
  const std::optional<bool> known = quick_trial_ ? quick_trial_(example) : std::nullopt;
  if (known && !*known) failed_ = sizes;
  return known ? *known : runs_for_real(example);
}

std::string Trials::failure() {
  if (failed_) runs_for_real(make(*std::exchange(failed_, std::nullopt)));
  return failure_;
}

bool Trials::runs_for_real(const Example& example) {
  const at::NoGradGuard no_grad;
  // Without it the first runs at each size are spent on profiling and optimising.
  const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
  bool ran = true;
  try {
    module_.forward(example.arguments);
  } catch (const std::exception& error) {
    failure_ = reason_of(error);
    failed_.reset();
    ran = false;
  }
  state_.restore();
  return ran;
}

bool Trials::runs(const Sizes& from, const Move& move) {
  Sizes sizes = from;
  apply(move, move.step, sizes);
  for (const DimRef& dim : move.dims) {
    if (sizes[dim.input][dim.axis] < 1 && !is_number(dim)) return false;
  }
  return runs(sizes);
}

// Whether the ints are what the user said they can be.
bool Trials::in_range(const Sizes& sizes) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const auto range = given_.ranges.find(inputs_[i].name);
    if (!inputs_[i].is_number || sizes[i].empty() || range == given_.ranges.end()) continue;
    const auto [low, high] = range->second;
    if (sizes[i][0] >= low && sizes[i][0] < high) continue;
    failure_ = fmt::format("{}={} is out of its range", inputs_[i].name, sizes[i][0]);
    failed_.reset();
    return false;
  }
  return true;
}

}  // namespace modelexport::frontend
