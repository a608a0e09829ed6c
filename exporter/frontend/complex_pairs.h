// Complex tensors as the program has them (see program.h): pairs of reals in a last dimension.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/view_as_real.h>

namespace modelexport::frontend {

// What the tensor holds, without LibTorch's lazy conjugation and negation: itself if there is none.
inline at::Tensor as_pairs(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.resolve_conj().resolve_neg();
  return plain.is_complex() ? at::view_as_real(plain) : plain;
}

}  // namespace modelexport::frontend
