#include "exporter/frontend/constant_numbers.h"

#include <torch/csrc/jit/ir/constants.h>

namespace modelexport::frontend {

bool becomes_number(torch::jit::Node* node) {
  if (!node->matches("aten::add(Tensor self, Tensor other, *, Scalar alpha) -> Tensor") &&
      !node->matches("aten::sub(Tensor self, Tensor other, *, Scalar alpha) -> Tensor") &&
      !node->matches("aten::mul(Tensor self, Tensor other) -> Tensor") &&
      !node->matches("aten::div(Tensor self, Tensor other) -> Tensor")) {
    return false;
  }
  const auto constant = torch::jit::toIValue(node->input(1));
  return constant && constant->toTensor().defined() && constant->toTensor().dim() == 0;
}

at::Tensor number_of(const at::Tensor& tensor) {
  at::Tensor number = c10::scalar_to_tensor(tensor.item());
  number.unsafeGetTensorImpl()->set_wrapped_number(true);
  return number;
}

}  // namespace modelexport::frontend
