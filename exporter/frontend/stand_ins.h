// Shapes without numbers. To observe the shape of what a module computes, its weights need not be
// read: an operator on a large weight runs on `meta` tensors instead, and a tensor of zeros that
// takes no memory stands in for its result. What is computed from a stand-in is one too.
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

namespace modelexport::frontend {

struct NeedsNumbers {};

class StandIns {
 public:
  // Weights are the tensors within `mapping`. Disabled, everything is computed.
  StandIns(std::shared_ptr<Mapping> mapping, bool enabled)
      : mapping_(std::move(mapping)), enabled_(enabled) {}

  bool contains(const at::Tensor& tensor) const;
  void add(const at::Tensor& tensor);
  // Throws NeedsNumbers if the value is or holds one.
  void require_numbers(const c10::IValue& value) const;

  // Runs an operator on what the stack holds, or on its shapes alone. `written`: the arguments it
  // writes to; `metadata_only`: it looks at nothing but shapes, dtypes and the like.
  void run(const torch::jit::Operator& op, const std::function<void(torch::jit::Stack&)>& operation,
           const std::vector<size_t>& written, bool metadata_only, torch::jit::Stack& stack);

 private:
  bool is_large_weight(const at::Tensor& tensor) const;
  bool run_on_shapes(const torch::jit::Operator& op,
                     const std::function<void(torch::jit::Stack&)>& operation,
                     torch::jit::Stack& stack);

  std::shared_ptr<Mapping> mapping_;
  bool enabled_;
  // A weak reference keeps the address from being used again; the memory of the data goes.
  std::unordered_map<const c10::StorageImpl*, c10::weak_intrusive_ptr<c10::StorageImpl>> storages_;
  std::unordered_set<const torch::jit::Operator*> without_meta_;
  std::unordered_map<const torch::jit::Operator*, bool> shapes_from_shapes_;
};

}  // namespace modelexport::frontend
