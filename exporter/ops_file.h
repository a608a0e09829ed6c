// --ops FILE.yaml: operators, and what they become.
//
//   my::scale:                  # or one overload: my::scale.out
//     domain: demo              # an operator of that domain...
//     op_type: Scale
//     version: 1
//     inputs: [x]               # arguments; not given: all tensors
//     attributes: {by: factor}  # ONNX name: argument, or [factor]; not given: all but tensors
//     values: {axis: -1}        # the same for all calls
//     ignore: [generator]
//   my::clip:                   # ...or a function, in ONNX's text format
//     function: |
//       <domain: "demo"> clip (x, low, high) => (y) { y = Clip (x, low, high) }
//     inputs: [x, low, high]
//
// Throws Error{usage} that names file and line.
#pragma once

#include <string>

#include "exporter/lowering/lowerings.h"

namespace modelexport {

void read_ops_file(const std::string& path, int opset, lowering::Lowerings& lowerings);

}  // namespace modelexport
