// Constants of a graph that LibTorch's executor takes for numbers, which promote otherwise: the
// pass CanonicalizeOps makes `x + 3` of `x + tensor(3)`. Traces have such tensors.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

namespace modelexport::frontend {

// Whether the node's second argument is one: a tensor of rank 0, in + - * or /.
bool becomes_number(torch::jit::Node* node);

// The tensor as a number is wrapped for an operator on tensors.
at::Tensor number_of(const at::Tensor& tensor);

}  // namespace modelexport::frontend
