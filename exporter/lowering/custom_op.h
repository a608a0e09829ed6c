// Operators that the user maps to ONNX: to an operator of a custom domain, or to an ONNX function
// that goes into the model.
//
//   lowerings.add("my::scale", custom_lowering({.where = "ops.yaml:1", .domain = "demo",
//                                               .op_type = "Scale", .attributes = {{"by",
//                                               "factor"}}}));
//
// What the mapping says is checked against the operator's schema when a call of it is lowered; what
// does not fit is an Error{usage} that begins with `where`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/lowering/lowerings.h"

namespace modelexport::lowering {

struct CustomOp {
  std::string where;
  std::string domain, op_type;
  int version = 1;  // of the domain
  // Names of the operator's arguments, in the order of the ONNX inputs (see inputs_of in
  // arguments.h). Not given: all Tensor arguments.
  std::optional<std::vector<std::string>> inputs;
  // ONNX name, and the argument whose (known) value it has; None leaves it out. Not given: all
  // arguments that are neither inputs nor tensors, under their own names.
  std::optional<std::vector<std::pair<std::string, std::string>>> attributes;
  std::vector<graph::Attribute> values;  // further attributes, the same for all calls
  std::vector<std::string> ignored;      // arguments
  std::optional<graph::GivenFunction> function;
};

Lowering custom_lowering(CustomOp op);

// A node in the domain "pkg.NAMESPACE" that stands for an operator without a lowering: its name,
// its schema and its known arguments as attributes, and `inputs`, the argument that each input is
// ("self", "tensors.1"). It can be looked at, not run.
std::vector<V> approximate(Call& c);

}  // namespace modelexport::lowering
