// What forward changes of the module itself: attributes that it sets, tensors that it updates in
// place, lists and dicts that it alters. Left alone, each gets a warning; as ports (--state
// inputs-outputs), each becomes inputs and outputs of the model, so that the file can be called
// again and again as the module can.
//
// Which ones they are shows in the walk: it starts again with each that it meets (StateChanged).
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

#include "exporter/frontend/examples.h"

namespace modelexport::frontend {

struct StateSlot {
  c10::intrusive_ptr<c10::ivalue::Object> object;
  std::string attribute;
  std::string path;  // "cache.k"; of lists and dicts, elements are "cache.0"
};

struct StateChanged {
  StateSlot slot;
};

struct State {
  bool as_ports = false;
  std::vector<StateSlot> slots;                  // in order of their paths
  std::vector<std::vector<c10::IValue>> before;  // by slot, then by example: before its call

  const StateSlot* find(const c10::ivalue::Object* object, const std::string& attribute) const;
  void add(StateSlot slot);
  // All attributes that are tensors in `storage`. False if there are none.
  bool add_in_storage(const torch::jit::Module& module, const void* storage);
};

std::string state_warning(const std::string& path);

// Sets state.before, and gives the examples that go with it: each as the first call of the module
// as it is, and, if the module takes that, as the second one, so that what grows from call to call
// has dimensions that differ.
Examples examples_of_calls(const torch::jit::Module& module, const Examples& examples,
                           State& state);

}  // namespace modelexport::frontend
