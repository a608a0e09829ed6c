// Kernels for `meta` tensors of operators for which LibTorch has them in Python alone: convolution,
// normalisation, attention. Their results have the sizes, strides and dtypes of the CPU's, and they
// refuse what it refuses. Nothing is registered where there is a kernel already.
#pragma once

namespace modelexport::frontend {

void register_meta_kernels();

}  // namespace modelexport::frontend
