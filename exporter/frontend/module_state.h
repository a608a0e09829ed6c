// Keeps what a module remembers between calls (buffers, attributes that forward assigns) as it was,
// so that trial runs leave no trace in what is exported. Parameters are taken as unchanged by
// forward.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <utility>
#include <vector>

namespace modelexport::frontend {

class ModuleState {
 public:
  explicit ModuleState(const torch::jit::Module& module);

  // Back to what it was at construction. Tensors keep their storage.
  void restore() const;

 private:
  struct Slot {
    c10::intrusive_ptr<c10::ivalue::Object> object;
    size_t index;
    c10::IValue value;  // lists and dicts: a copy of the containers, with the same tensors in them
  };
  std::vector<Slot> slots_;
  std::vector<std::pair<at::Tensor, at::Tensor>> contents_;  // of all tensors in them: copies
};

}  // namespace modelexport::frontend
