// Who uses each parameter, by data flow: the module calls whose operators read it or a view of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport::analysis {

struct ParameterUse {
  ScopeId call =
      kNone;  // of the module; calls of its other methods and of functions are part of it
  bool is_lookup = false;     // by index, as embeddings are
  bool by_position = false;   // the index does not depend on the values of the model's inputs
  bool in_attention = false;  // in a module that computes attention itself
  ScopeId attention = kNone;  // the call of that module
};

struct ParameterUses {
  // Both by TensorId; empty for tensors that are no parameters or buffers.
  std::vector<std::vector<ParameterUse>> uses;
  std::vector<std::vector<TensorId>> overlaps;  // others that have bytes in common with it
};

ParameterUses find_parameter_uses(const Program& program);

}  // namespace modelexport::analysis
