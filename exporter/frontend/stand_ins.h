// Shapes without numbers. To observe the shape of what a module computes, neither need its weights
// be read nor large products be computed: such an operator runs on `meta` tensors instead, and a
// tensor of zeros that takes no memory stands in for its result. What is computed from a stand-in
// is one too. Products of activations are computed for as long as they take next to no time.
//
// Numbers that the walk itself depends on (item, conditions, constants, sizes found in data) cannot
// be taken from stand-ins. Where one is asked for, or an operator is not known to leave its shapes
// to those of its inputs, NeedsNumbers is thrown and the walk starts again, computing everything.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <functional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "exporter/frontend/checkpoint.h"
#include "exporter/frontend/shape_rules.h"

namespace modelexport::frontend {

struct NeedsNumbers {};

class StandIns {
 public:
  // Weights are the tensors within `mapping`. Disabled, everything is computed.
  StandIns(std::shared_ptr<Mapping> mapping, bool enabled);

  bool contains(const at::Tensor& tensor) const;
  void add(const at::Tensor& tensor);
  // Throws NeedsNumbers if the value is or holds one.
  void require_numbers(const c10::IValue& value) const;

  struct Call {
    const torch::jit::Operator& op;
    const std::function<void(torch::jit::Stack&)>& operation;
    std::vector<size_t> written = {};  // the arguments it writes to
    bool metadata_only = false;        // it looks at nothing but shapes, dtypes and the like
    bool symbolic = true;              // it depends on the inputs: its result is no constant
  };
  // Runs an operator on what the stack holds, or on its shapes alone.
  void run(const Call& call, torch::jit::Stack& stack);

 private:
  bool is_large_weight(const at::Tensor& tensor) const;
  bool is_costly(const torch::jit::Stack& stack);
  enum class ByShapes : uint8_t {
    done,      // the stack has the results
    possible,  // shapes follow from shapes, but results are views, lists, or written to real ones
    refused,   // an error, of shapes if the real run has one as well
    unknown,
  };
  ByShapes run_on_shapes(const Call& call, torch::jit::Stack& stack);
  void run_for_real(const Call& call, bool from_stand_ins, torch::jit::Stack& stack);

  std::shared_ptr<Mapping> mapping_;
  bool enabled_;
  // A weak reference keeps the address from being used again; the memory of the data goes.
  std::unordered_map<const c10::StorageImpl*, c10::weak_intrusive_ptr<c10::StorageImpl>> storages_;
  std::unordered_set<const torch::jit::Operator*> without_meta_;
  std::unordered_map<const torch::jit::Operator*, ShapeRule> rules_;
  double work_left_;  // multiplications that may be spent on products
};

}  // namespace modelexport::frontend
