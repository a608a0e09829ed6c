// Example inputs: made from files, from specs, or from the checkpoint's own traced_inputs.
// An example holds one IValue per argument of forward (without self), in schema order; arguments
// not given are their defaults. All examples have the same structure, ranks and dtypes, and the
// same values in what is neither a tensor nor a number that is an input.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exporter/frontend/live_module.h"

namespace modelexport::frontend {

struct Example {
  std::vector<c10::IValue> arguments;
  // Which ints, floats and bools in there are inputs of the model, by flat name. The others are
  // part of it: constants.
  std::set<std::string> numbers;
  // Which lists of ints, floats or bools are one input each, a 1-D tensor, since their length is
  // not always the same.
  std::set<std::string> lists;
};

// Path of an input within the arguments -> name: "input_ids", "past.0.1", "batch.mask" (argument
// name, then the index or key at each level of lists, tuples and dicts). These are the names of the
// model's inputs.
struct FlatInput {
  std::string name;
  at::Tensor tensor;  // of a number: int64, float64 or bool, of rank 0; of a list of them, 1-D
  bool is_number = false;
};
std::vector<FlatInput> flatten(const c10::FunctionSchema& forward, const Example& example);

// Makes the numbers and lists of numbers that are so called inputs.
void mark_inputs(const c10::FunctionSchema& forward, const std::set<std::string>& names,
                 Example& example);

bool is_number_list(const c10::IValue& value);
// The elements of a list of numbers as a 1-D int64, float64 or bool tensor.
at::Tensor list_tensor(const c10::IValue& list);

// For messages: "input_ids int64[2,16], mask float32[2,16], scale=0.5", and the signature of
// forward without self: "forward(Tensor input_ids, Tensor? mask=None) -> Tensor".
std::string describe(const c10::FunctionSchema& forward, const Example& example);
std::string signature_text(const c10::FunctionSchema& forward);

// What LibTorch says went wrong, in one line, without its C++ and TorchScript stacks.
std::string reason_of(const std::exception& error);

// The inverse: `like` with its inputs replaced, in flatten's order.
Example unflatten(const c10::FunctionSchema& forward, const Example& like,
                  const std::vector<at::Tensor>& tensors);

struct Examples {
  std::vector<Example> examples;  // at least one; [0] is what the user or checkpoint gave first
  // Names the user gave to dimensions: (flat input name, axis) -> name.
  std::map<std::pair<std::string, int64_t>, std::string> dim_names;
  // Value ranges the user gave ("=range(LO,HI)"), by flat input name.
  std::map<std::string, std::pair<int64_t, int64_t>> ranges;
};

// A quicker way than running forward to see whether it takes an example. nullopt: run it to know.
using QuickTrial = std::function<std::optional<bool>(const Example&)>;

// `traced_inputs`: arguments with the dtypes and sizes recorded in the checkpoint, or empty.
// With named dynamic dimensions, further examples are made at other sizes. dynamic_auto is handled
// by find_dynamic_dims. Errors: usage, naming the input, what was expected and what was given.
Examples make_examples(const torch::jit::Module& module, const InputOptions& options,
                       const std::vector<c10::IValue>& traced_inputs,
                       const QuickTrial& quick_trial = {});

// Runs the module at other sizes to find which dimensions of the first example are dynamic and
// which of them must move together; returns examples in which all of them differ.
Examples find_dynamic_dims(const torch::jit::Module& module, Examples given, uint64_t seed,
                           const QuickTrial& quick_trial = {});

// A tensor like `like` but of `sizes`, with values of the same kind (integers within the range seen
// or given, booleans mixed, floats standard normal), seeded. `like` may lack values, as
// traced_inputs do.
at::Tensor make_like(const at::Tensor& like, at::IntArrayRef sizes, uint64_t seed,
                     std::optional<std::pair<int64_t, int64_t>> range = std::nullopt);

}  // namespace modelexport::frontend
