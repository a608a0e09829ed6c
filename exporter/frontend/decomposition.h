// Operators that LibTorch defines by others: what one calls, seen by tracing its composite kernel.
//
// A kernel is C++ code that sees sizes as plain numbers, so a decomposition holds for the arguments
// it was made with. decompose() makes one for each lane and puts them together: they must call the
// same operators, and a number in which they differ must be the size of a tensor at hand, or a
// simple function of sizes. Kernels that look at what tensors hold have none.
#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <memory>
#include <vector>

namespace modelexport::frontend {

// Whether the operator is LibTorch's, and its kernel may be made of other operators.
bool is_composite(const c10::OperatorHandle& op);
bool is_composite(const torch::jit::Operator& op);

// `lanes`: the operator's arguments in each lane. The inputs of the graph are the tensors in them,
// in order, those in lists too; its outputs are those of the operator. nullptr if there is none.
std::shared_ptr<torch::jit::Graph> decompose(const torch::jit::Operator& op,
                                             const std::vector<torch::jit::Stack>& lanes);

// The tensors in one lane's arguments, in the order of the graph's inputs.
std::vector<at::Tensor> tensors_in(const torch::jit::Stack& arguments);

}  // namespace modelexport::frontend
