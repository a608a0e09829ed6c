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

void copy_tensors(const c10::IValue& value, std::vector<std::pair<at::Tensor, at::Tensor>>& to) {
  if (value.isTensor() && value.toTensor().defined()) {
    to.emplace_back(value.toTensor(), value.toTensor().detach().clone());
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) copy_tensors(element, to);
  } else if (value.isTuple()) {
    for (const c10::IValue& element : value.toTupleRef().elements()) copy_tensors(element, to);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) copy_tensors(entry.value(), to);
  }
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
      slots_.push_back({part._ivalue(), i, copy_containers(value)});
      copy_tensors(value, contents_);
    }
  }
}

void ModuleState::restore() const {
  const at::NoGradGuard no_grad;
  for (const Slot& slot : slots_) {
    slot.object->setSlot(slot.index, copy_containers(slot.value));
  }
  for (const auto& [tensor, contents] : contents_) {
    // Only what has changed: a buffer may be a view that cannot be written to (expanded, stride 0).
    if (!at::equal(tensor, contents)) tensor.copy_(contents);
  }
}

}  // namespace modelexport::frontend
