// Program in, ONNX graph out: lowers each operator with the function that the registry has for it.
#pragma once

#include <string>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/lowering/lowerings.h"
#include "exporter/program/program.h"

namespace modelexport::lowering {

// What to do about operators that cannot be lowered.
enum class OnUnsupported : uint8_t {
  raise,        // find all of them; there is no graph
  skip,         // leave them out, and all that depends on them
  approximate,  // stand in for them by nodes of a custom domain (custom_op.h); skip where that
                // cannot be
};

struct Options {
  int opset = 20;  // 17..23
  OnUnsupported on_unsupported = OnUnsupported::raise;
  Lowerings lowerings;
  // Module calls are to become functions (graph/functions.h): each computes the sizes that it needs
  // from what it is given, so that it stands on its own. Otherwise each size is computed once.
  bool functions = false;
};

// One operator (key) that could not be lowered for one reason, with every place it occurs.
struct UnsupportedOp {
  std::string key;               // "aten::foo.Tensor"
  std::string reason;            // "no lowering", or what the lowering said
  std::vector<OriginId> places;  // in program order
  bool approximated = false;     // a node stands for it, at all places
};

struct Result {
  graph::Graph graph;                      // not complete if `unsupported` is not empty
  std::vector<UnsupportedOp> unsupported;  // sorted by first place
  std::vector<size_t> missing_outputs;     // of Program::outputs: left out of the graph
};

// Dead operators are not lowered; a value with known contents that is small or whose operator has
// no lowering becomes an initializer.
Result lower(const Program& program, const Options& options);

// "encoder.layer.0 (pkg.Layer), modeling.py:12 in forward": for messages.
std::string place(const Program& program, OriginId origin);

// All of them in one text, a line each with operator, how often and why, followed by module path,
// class and source line of the first places.
std::string list(const std::vector<UnsupportedOp>& unsupported, const Program& program);

// The same as an error message, with what can be done.
std::string describe(const std::vector<UnsupportedOp>& unsupported, const Program& program);

}  // namespace modelexport::lowering
