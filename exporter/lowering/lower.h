// Program in, ONNX graph out: lowers each operator with the function that the registry has for it.
#pragma once

#include <string>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"

namespace modelexport::lowering {

struct Options {
  int opset = 20;  // 17..23
};

// One operator (key) that could not be lowered for one reason, with every place it occurs.
struct UnsupportedOp {
  std::string key;                  // "aten::foo.Tensor"
  std::string reason;               // "no lowering", or what the lowering said
  std::vector<OriginId> places;     // in program order
};

struct Result {
  graph::Graph graph;                      // not complete if `unsupported` is not empty
  std::vector<UnsupportedOp> unsupported;  // sorted by first place
};

// Dead operators are not lowered; a value with known contents that is small or whose operator has no
// lowering becomes an initializer.
Result lower(const Program& program, const Options& options);

// "encoder.layer.0 (pkg.Layer), modeling.py:12 in forward": for messages.
std::string place(const Program& program, OriginId origin);

// All of them in one text: operator, how often, why, module path, class and source line of the first places.
std::string describe(const std::vector<UnsupportedOp>& unsupported, const Program& program);

}  // namespace modelexport::lowering
