// Who uses each parameter, by data flow: the module calls whose operators read it or a view of it.
// A program tells the calls themselves; an ONNX file the modules, and that an operator which stands
// in a module twice under one name stands there for two calls.
#pragma once

#include <string_view>
#include <vector>

#include "analysis/file_index.h"
#include "analysis/module_tags.h"
#include "exporter/program/program.h"

namespace modelexport::analysis {

struct ParameterUse {
  uint32_t call = kNone;   // in ParameterUses::calls; of a program: the scope. Calls of a module's
                           // other methods and of functions are part of it
  bool is_lookup = false;  // by index, as embeddings are
  bool by_position = false;  // the index does not depend on the values of the model's inputs
  bool is_direct = true;  // false: what another attention looked up in it by positions and handed
                          // on (T5's relative position bias); then by_position is true
  bool in_attention = false;   // in a module that computes attention itself, or right below one
  uint32_t attention = kNone;  // the call of that module
};

struct ParameterUses {
  struct Call {
    uint32_t parent = kNone;
    uint32_t level = kNone;  // of ModuleTags; of a program: not set
  };
  std::vector<Call> calls;
  // Both by TensorId; empty for tensors that are no parameters or buffers.
  std::vector<std::vector<ParameterUse>> uses;
  std::vector<std::vector<TensorId>> overlaps;  // others that have bytes in common with it
};

ParameterUses find_parameter_uses(const Program& program);

// `tensor_of`: of each initializer, in `tree`; kNone for those that are no parameters or buffers.
ParameterUses find_parameter_uses(const FileIndex& index, const ModuleTags& tags,
                                  const std::vector<TensorId>& tensor_of, const Program& tree);

}  // namespace modelexport::analysis
