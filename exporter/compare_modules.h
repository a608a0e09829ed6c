// Numbers, module by module: what each module call gets and gives in LibTorch and in ONNX Runtime,
// on the first example, and where the two part first.
//
// Works on files whose values have the names that this exporter gives: it is told which value of
// the file is which by exporting the module again, in memory. Calls within a loop are compared in
// its first iteration, those within branches where the branch is taken in it; values that
// simplification did away with cannot be looked at, and calls without others are not compared.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/numeric.h"
#include "exporter/frontend/live_module.h"
#include "exporter/program/program.h"

namespace modelexport {

struct CallNumbers {
  ScopeId call = kNone;
  int depth = 0;                                      // 0: the model
  int number = 1;                                     // of the calls of this module
  bool in_loop = false;                               // looked at in its first iteration
  std::vector<analysis::Difference> inputs, outputs;  // those that can be looked at

  bool compared() const { return !outputs.empty(); }
  bool matches() const { return analysis::all_match(outputs); }
};

// The first operator whose result differs, among those that ran since all was well.
struct FirstDifference {
  ScopeId call = kNone;     // of the module that it is part of
  OriginId origin = kNone;  // kNone: its result cannot be looked at, only that of the module
  std::string node;         // of the file; empty where `origin` is kNone
  analysis::Difference difference;
};

struct ModuleNumbers {
  std::string inputs;              // as describe_inputs has it
  std::vector<CallNumbers> calls;  // in the order in which they begin
  std::optional<FirstDifference> first;
};

// `program` is the trace() of `module`. Errors (Error): usage if the file's values have other
// names; those of Session.
ModuleNumbers compare_modules(frontend::LiveModule& module, const Program& program,
                              const std::string& onnx_path, const std::string& runtime);

// "encoder.layer.0.output.dense (torch.nn.modules.linear.Linear): aten::linear, modeling.py:12 in
// forward, node /encoder/layer.0/output/dense/MatMul: float32 [2, 4], max abs ..."
std::string describe(const FirstDifference& first, const Program& program);

}  // namespace modelexport
