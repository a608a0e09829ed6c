// The test checkpoints as data: module trees with TorchScript code, and what their parameters
// share. make_checkpoints compiles them with LibTorch and writes NAME.pt, and NAME.inputs.pt and
// NAME.inputs2.pt with inputs of two sizes. This header has no torch in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace modelexport::models {

// A tensor of a module: random values of `sizes`, or, with `same_as`, the tensor of that full name
// ("head.weight"), or, with `strides` too, a view of that one's storage.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> sizes;
  std::string dtype = "float32";
  bool is_parameter = true;
  std::string same_as = "";
  std::vector<int64_t> strides = {};
  int64_t offset = 0;
};

// A module of the tree. `path` is "" for the root; parents stand before their children. With
// `same_as` it is the very module of that path.
struct ModuleSpec {
  std::string path;
  std::string
      class_name;  // "net.Block"; two modules of a class are two mangled types, as in Python
  std::vector<TensorSpec> tensors = {};
  std::string code = "";  // methods, in TorchScript
  std::string same_as = "";
};

// An input at two sizes; integers are 0 or 1 (valid indexes and masks), floats standard normal.
struct InputSpec {
  std::string name;
  std::string dtype;
  std::vector<int64_t> sizes;
  std::vector<int64_t> other_sizes;
};

struct CheckpointSpec {
  std::string name;
  std::string what;  // is special about it
  std::vector<ModuleSpec> modules;
  std::vector<InputSpec> inputs;
  bool frozen = false;  // torch::jit::freeze: attributes become constants of the graph
};

const std::vector<CheckpointSpec>& checkpoints();

}  // namespace modelexport::models
