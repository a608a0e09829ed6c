// A function in ONNX's text format:
//
//   <domain: "example.ops", opset_import: ["" : 20]>
//   scaled <alpha> (x, y) => (z) { scale = Constant <value_float: float = @alpha> () ... }
//
// `opset` is imported from ai.onnx if the text does not say which. Throws Error{usage} with the
// parser's message, or what onnx's checker has against the function.
#pragma once

#include <string>
#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::onnx {

struct ParsedFunction {
  graph::GivenFunction function;
  std::vector<std::string> inputs, outputs;
  std::vector<std::string> attributes;  // that a call may or must give
};

ParsedFunction parse_function(const std::string& text, int opset);

}  // namespace modelexport::onnx
