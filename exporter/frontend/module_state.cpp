#include "exporter/frontend/module_state.h"

#include <ATen/Functions.h>

#include <set>

namespace modelexport::frontend {
namespace {

// New containers, same tensors.
c10::IValue copy_containers(const c10::IValue& value) {
  if (value.isList()) {
    const auto list = value.toList();
    c10::impl::GenericList copy(list.elementType());
    for (const c10::IValue& element : list) copy.push_back(copy_containers(element));
    return copy;
  }
  if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    c10::impl::GenericDict copy(dict.keyType(), dict.valueType());
    for (const auto& entry : dict) copy.insert(entry.key(), copy_containers(entry.value()));
    return copy;
  }
  return value;
}

}  // namespace

ModuleState::ModuleState(const torch::jit::Module& module) {
  std::set<const c10::ivalue::Object*> seen;
  for (const torch::jit::Module& part : module.modules()) {
    if (!seen.insert(part._ivalue().get()).second) continue;
    const auto type = part.type();
    for (size_t i = 0; i < type->numAttributes(); ++i) {
      if (type->is_parameter(i) || type->getAttribute(i)->is_module()) continue;
      const c10::IValue& value = part._ivalue()->getSlot(i);
      const bool is_tensor = value.isTensor() && value.toTensor().defined();
      slots_.push_back({part._ivalue(), i, copy_containers(value),
                        is_tensor ? value.toTensor().detach().clone() : at::Tensor()});
    }
  }
}

void ModuleState::restore() const {
  const at::NoGradGuard no_grad;
  for (const Slot& slot : slots_) {
    slot.object->setSlot(slot.index, copy_containers(slot.value));
    // Only what has changed: a buffer may be a view that cannot be written to (expanded, stride 0).
    if (slot.contents.defined() && !at::equal(slot.value.toTensor(), slot.contents)) {
      slot.value.toTensor().copy_(slot.contents);
    }
  }
}

}  // namespace modelexport::frontend
