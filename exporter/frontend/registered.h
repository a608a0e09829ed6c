// The operators that LibTorch registers. No torch in this header.
#pragma once

#include <string>
#include <vector>

namespace modelexport::frontend {

struct RegisteredOperator {
  std::string key;         // "aten::add.Tensor"
  bool composite = false;  // its kernel may be made of other operators
  bool on_cpu = false;     // it has a kernel that runs on dense CPU tensors, quantised ones too
  bool makes_tensors = false;
};

// Operators of aten:: and quantized:: without side effects, by key.
std::vector<RegisteredOperator> functional_operators();

}  // namespace modelexport::frontend
