#include "exporter/frontend/state.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/module_state.h"

namespace modelexport::frontend {

const StateSlot* State::find(const c10::ivalue::Object* object,
                             const std::string& attribute) const {
  const auto found = std::find_if(slots.begin(), slots.end(), [&](const StateSlot& slot) {
    return slot.object.get() == object && slot.attribute == attribute;
  });
  return found == slots.end() ? nullptr : &*found;
}

void State::add(StateSlot slot) {
  const auto place = std::find_if(slots.begin(), slots.end(),
                                  [&](const StateSlot& other) { return other.path > slot.path; });
  slots.insert(place, std::move(slot));
}

bool State::add_in_storage(const torch::jit::Module& module, const void* storage) {
  const auto in_storage = [&](const c10::IValue& value) {
    return value.isTensor() && value.toTensor().has_storage() &&
           value.toTensor().storage().data() == storage;
  };
  at::Tensor first;
  std::string first_path;
  for (const auto& part : module.named_modules()) {
    const auto& type = *part.value.type();
    for (size_t i = 0; i < type.numAttributes(); ++i) {
      const c10::IValue value = part.value._ivalue()->getSlot(i);
      const std::string& attribute = type.getAttributeName(i);
      if (!in_storage(value) || find(part.value._ivalue().get(), attribute)) continue;
      const at::Tensor tensor = value.toTensor();
      const std::string path = part.name.empty() ? attribute : part.name + "." + attribute;
      if (!first.defined()) std::tie(first, first_path) = std::pair(tensor, path);
      if (tensor.sizes() != first.sizes() || tensor.strides() != first.strides() ||
          tensor.const_data_ptr() != first.const_data_ptr()) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} is changed by forward and shares memory with {}; such state "
                                "cannot become inputs and outputs",
                                first_path, path));
      }
      add({part.value._ivalue(), attribute, path});
    }
  }
  return first.defined();
}

namespace {

// With tensors of their own.
std::vector<c10::IValue> copy_of(const std::vector<c10::IValue>& values) {
  std::vector<c10::IValue> copies;
  for (const c10::IValue& value : values) copies.push_back(value.deepcopy());
  return copies;
}

void append_state(const State& state, std::vector<std::vector<c10::IValue>>& to) {
  for (size_t i = 0; i < state.slots.size(); ++i) {
    const StateSlot& slot = state.slots[i];
    to[i].push_back(slot.object->getAttr(slot.attribute).deepcopy());
  }
}

}  // namespace

std::string state_warning(const std::string& path) {
  return fmt::format(
      "{} is changed by forward; the exported model does not keep the change between calls "
      "(--state "
      "inputs-outputs makes it an input and an output)",
      path);
}

Examples examples_of_calls(const torch::jit::Module& module, const Examples& examples,
                           State& state) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<c10::IValue>> first(state.slots.size()), second(state.slots.size());
  const ModuleState saved(module);
  bool takes_second = true;
  for (const Example& example : examples.examples) {
    append_state(state, first);
    try {
      const auto forward = module.get_method("forward");
      forward(copy_of(example.arguments));
      append_state(state, second);
      forward(copy_of(example.arguments));
    } catch (const std::exception&) {
      takes_second = false;
    }
    saved.restore();
  }
  state.before = std::move(first);
  Examples calls = examples;
  if (!takes_second) return calls;
  for (size_t i = 0; i < state.slots.size(); ++i) {
    state.before[i].insert(state.before[i].end(), second[i].begin(), second[i].end());
  }
  calls.examples.insert(calls.examples.end(), examples.examples.begin(), examples.examples.end());
  return calls;
}

// ---- in the walk
// ------------------------------------------------------------------------------------

namespace {

const char* kind_of(const c10::IValue& value) {
  if (value.isNone()) return "None";
  if (value.isTensor()) return "a tensor";
  if (value.isScalar()) return "a number";
  if (value.isList()) return "a list";
  if (value.isGenericDict()) return "a dict";
  return value.isTuple() ? "a tuple" : "something else";
}

size_t size_of(const c10::IValue& value) {
  if (value.isList()) return value.toListRef().size();
  if (value.isGenericDict()) return value.toGenericDict().size();
  return value.isTuple() ? value.toTupleRef().elements().size() : 1;
}

[[noreturn]] void cannot_be_port(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::unsupported,
              fmt::format("{} is changed by forward, but cannot become an input and an output: {}",
                          name, why));
}

// What tells whether a list or dict is as it was: which elements it has, and the values of those.
void fingerprint(const Val& val, std::string& text) {
  if (const auto* cell = get_if<TensorCell>(val)) {
    text += fmt::format("{}:{},", fmt::ptr(cell->get()), (*cell)->value);
  } else if (const auto* list = get_if<ListVal>(val)) {
    if ((*list)->sequence) text += fmt::format("sequence {}", (*list)->sequence->value);
    for (const Val& element : (*list)->elements) fingerprint(element, text);
  } else if (const auto* dict = get_if<DictVal>(val)) {
    for (const auto& [key, value] : (*dict)->entries) {
      fingerprint(key, text);
      fingerprint(value, text);
    }
  } else if (const auto* tuple = get_if<TupleVal>(val)) {
    for (const Val& element : (*tuple)->elements) fingerprint(element, text);
  } else if (const auto* number = get_if<SymbolicNumber>(val)) {
    text += fmt::format("%{},", (*number)->value);
  } else if (const auto* value = known(val); value && (value->isScalar() || value->isString())) {
    text += (std::ostringstream() << *value << ",").str();
  }
}

std::string fingerprint(const Val& val) {
  std::string text;
  fingerprint(val, text);
  return text;
}

}  // namespace

void Interpreter::note_container(const AttributeKey& key, const Val& val) {
  const bool is_container = get_if<ListVal>(val) || get_if<DictVal>(val);
  if (is_container && recorder_.module_of(key.first) != kNone &&
      !state_.find(key.first, key.second)) {
    containers_.try_emplace(key, fingerprint(val));
  }
}

void Interpreter::state_changed(const AttributeKey& key) {
  const auto& [object, attribute] = key;
  const ModuleId module = recorder_.module_of(object);
  if (module == kNone || state_.find(object, attribute)) return;
  const std::string& owner = recorder_.program().modules[module].path;
  const std::string path = owner.empty() ? attribute : owner + "." + attribute;
  if (state_.as_ports) {
    auto* shared = const_cast<c10::ivalue::Object*>(object);
    throw StateChanged{
        {c10::intrusive_ptr<c10::ivalue::Object>::reclaim_copy(shared), attribute, path}};
  }
  auto& warnings = recorder_.program().warnings;
  const std::string warning = state_warning(path);
  if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) {
    warnings.push_back(warning);
  }
}

void Interpreter::find_changed_containers() {
  for (const auto& [key, before] : containers_) {
    const auto now = attributes_.find(key);
    if (now != attributes_.end() && fingerprint(now->second) != before) state_changed(key);
  }
}

void Interpreter::add_state_inputs() {
  std::map<const at::TensorImpl*, Val> same;  // attributes that are one tensor
  for (size_t i = 0; i < state_.slots.size(); ++i) {
    const StateSlot& slot = state_.slots[i];
    const std::vector<c10::IValue>& lanes = state_.before[i];
    const c10::IValue live = slot.object->getAttr(slot.attribute);
    Val& val = attributes_[{slot.object.get(), slot.attribute}];
    const auto* tensor = live.isTensor() ? live.toTensor().unsafeGetTensorImpl() : nullptr;
    if (tensor != nullptr && same.contains(tensor)) {
      val = same[tensor];
      continue;
    }
    check_state(lanes, slot.path);
    val = input(lanes, slot.path, true);
    if (tensor != nullptr) same[tensor] = val;
  }
}

void Interpreter::check_state(const std::vector<c10::IValue>& lanes, const std::string& name) {
  for (const c10::IValue& lane : lanes) {
    if (std::string_view(kind_of(lane)) != kind_of(lanes[0])) {
      cannot_be_port(name, fmt::format("it is {} before one call and {} before another",
                                       kind_of(lanes[0]), kind_of(lane)));
    }
    if (size_of(lane) != size_of(lanes[0])) {
      cannot_be_port(name, "the number of its elements changes from call to call");
    }
  }
}

void Interpreter::add_state_outputs() {
  std::vector<Port>& outputs = recorder_.program().outputs;
  std::vector<std::string> taken, given;
  for (const Port& port : recorder_.program().inputs) {
    if (!port.state.empty()) taken.push_back(port.state);
  }
  std::set<const void*> seen;
  const size_t first = outputs.size();
  for (const StateSlot& slot : state_.slots) {
    const Val& val = attributes_[{slot.object.get(), slot.attribute}];
    const auto* cell = get_if<TensorCell>(val);
    if (cell != nullptr && !seen.insert(cell->get()).second) continue;
    add_ports(val, slot.path, recorder_.program().outputs, Known::included);
  }
  for (size_t i = first; i < outputs.size(); ++i) {
    outputs[i].state = outputs[i].name;
    outputs[i].name += "_out";
    given.push_back(outputs[i].state);
  }
  for (size_t i = 0; i < std::max(taken.size(), given.size()); ++i) {
    if (i < taken.size() && i < given.size() && taken[i] == given[i]) continue;
    cannot_be_port(i < taken.size() ? taken[i] : given[i],
                   "it is of another kind after a call than before");
  }
}

}  // namespace modelexport::frontend
