// Runs a module at made-up inputs of other sizes, to find out at which it runs. Its state is as it
// was afterwards.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <optional>
#include <string>
#include <vector>

#include "exporter/frontend/examples.h"
#include "exporter/frontend/inputs_auto.h"
#include "exporter/frontend/module_state.h"

namespace modelexport::frontend {

// Per flattened input; an int has one: its value.
using Sizes = std::vector<std::vector<int64_t>>;
std::vector<int64_t> sizes_of(const FlatInput& input);

// Dimensions that only change together, all by a multiple of `step`.
struct Move {
  std::vector<DimRef> dims;
  int64_t step = 1;
};
void apply(const Move& move, int64_t change, Sizes& sizes);

class Trials {
 public:
  Trials(const torch::jit::Module& module, const Examples& given, uint64_t seed,
         const QuickTrial& quick_trial);

  const Sizes& base() const { return base_; }  // of the first example
  std::vector<DimRef> dims() const;
  bool is_number(const DimRef& dim) const { return inputs_[dim.input].is_number; }

  Example make(const Sizes& sizes) const;
  std::string describe_at(const Sizes& sizes) const;
  bool runs(const Sizes& sizes);
  bool runs(const Sizes& from, const Move& move);
  std::string failure();  // why it did not, the last time that it did not

 private:
  bool runs_for_real(const Example& example);
  bool in_range(const Sizes& sizes);

  torch::jit::Module module_;
  const c10::FunctionSchema& forward_;
  const Examples& given_;
  const ModuleState state_;
  const uint64_t seed_;
  const QuickTrial& quick_trial_;
  std::vector<FlatInput> inputs_;
  Sizes base_;
  std::string failure_;
  std::optional<Sizes> failed_;  // without having been run: failure_ is not known yet
};

}  // namespace modelexport::frontend
