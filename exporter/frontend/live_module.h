// The live module: a TorchScript checkpoint loaded with LibTorch, with the examples it is run on.
// This header has no torch in it; it is all that the rest of the program sees of the frontend.
//
//   LiveModule module("model.pt", {});
//   module.set_examples({.files = {"a.pt", "b.pt"}});
//   Program program = module.trace(lowering::is_lowered);
//
// Errors (Error): unreadable for a file that is not a TorchScript checkpoint; usage for inputs that
// the module does not take, or that make it raise.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exporter/program/host_tensor.h"
#include "exporter/program/program.h"

namespace modelexport::frontend {

// Where the examples come from; see README, "Inputs". All empty: the checkpoint's own
// traced_inputs.
struct InputOptions {
  std::vector<std::string> files;  // .pt, .npz; one example each
  std::vector<std::string> specs;  // "NAME:DTYPE[batch=2,seq=16,64]"
  bool dynamic_auto = false;       // find the dynamic dimensions by running at other sizes
  uint64_t seed = 0;
  // Ints, floats and bools that are inputs of the model though the examples may agree in them: of a
  // file to compare with. Names of anything else are ignored.
  std::set<std::string> numbers;
  // Names of dynamic dimensions, by input and axis: of a file to compare with. If there is but one
  // example, another is made in which they have other sizes, where the module takes one.
  std::map<std::pair<std::string, int64_t>, std::string> dim_names;
  bool state_as_ports = false;  // what forward changes of the module becomes inputs and outputs
};

// Whether an operator, by its key ("aten::add.Tensor"), can be lowered as it is.
using IsLowered = std::function<bool(const std::string&)>;

class LiveModule {
 public:
  // Loads `libraries` (custom operators) first. The file is mapped, weights are not read.
  LiveModule(const std::string& path, const std::vector<std::string>& libraries);
  ~LiveModule();
  LiveModule(LiveModule&&) noexcept;

  void set_examples(const InputOptions& options);

  // The signature of forward, for messages: "forward(Tensor input_ids, Tensor? mask=None) ->
  // Tensor".
  std::string signature() const;

  // From here on the module is the one at `path` within the model, as it is called first: examples
  // are what the model passes to it, once trace() has run. The model still runs as a whole, on what
  // set_examples says. Throws Error{usage} if there is no such module.
  void select(const std::string& path);

  // The module tree and all parameters and buffers alone; runs nothing, needs no examples.
  Program tree() const;

  // Walks and runs the module on all examples in lockstep. Operators without a lowering are taken
  // apart into those that LibTorch's own kernels of them call, where that can be seen.
  Program trace(const IsLowered& is_lowered);

  // What values of that program are in the first example, by another walk: those of a loop's body
  // in its first iteration, none of a branch that is not taken or of a loop that does not run.
  std::map<ValueId, HostValue> values(const std::vector<ValueId>& wanted);

  // Inputs of example `index`, flattened and named as Program::inputs; there are example_count() of
  // them.
  size_t example_count() const;
  std::vector<HostValue> example(size_t index) const;

  // Made-up inputs (of a selected module: those that it gets for made-up inputs of the model) in
  // which each symbolic dimension has the size given (one per Program::symbols entry; those that no
  // input has are ignored). Values are drawn as for the examples.
  std::vector<HostValue> make_inputs(const Program& program,
                                     const std::vector<int64_t>& symbol_sizes, uint64_t seed) const;

  // Runs the module itself (its own forward, not the program). Outputs flattened as
  // Program::outputs of the last trace(); the module is as it was before.
  std::vector<HostValue> run(const std::vector<HostValue>& inputs) const;
  // Calls it `count` times in a row.
  std::vector<std::vector<HostValue>> run_in_a_row(const std::vector<HostValue>& inputs,
                                                   size_t count) const;
  // What trace() made inputs of the module's state, as it is.
  std::vector<HostValue> state() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "2.13.0": the LibTorch in use.
std::string torch_version();

}  // namespace modelexport::frontend
