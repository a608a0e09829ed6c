// One module call of the whole, with the arguments it gets in each example: what runs when a part
// of a model is looked at alone (LiveModule::select).
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <utility>
#include <vector>

#include "exporter/program/host_tensor.h"
#include "exporter/program/program.h"

namespace modelexport::frontend {

struct SelectedCall {
  std::string path;  // of the module; its first call is meant

  // Filled in by the interpreter.
  c10::intrusive_ptr<c10::ivalue::Object> object;
  std::string method;
  std::vector<std::vector<c10::IValue>> arguments;  // one list per example, without self

  bool found() const { return !arguments.empty(); }
  const c10::FunctionSchema& schema() const;

  // What the ports (Scope::inputs) are in an example, by name. Ports that hold the same value of
  // the program are one: the first.
  std::vector<HostValue> inputs(const std::vector<Port>& ports, size_t example) const;
  // The arguments of the first example, with other values for the ports.
  std::vector<c10::IValue> with_inputs(const std::vector<Port>& ports,
                                       const std::vector<HostValue>& inputs) const;
};

}  // namespace modelexport::frontend
