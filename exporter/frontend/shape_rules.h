// What is known of an operator about shapes, before it has run.
#pragma once

#include <torch/csrc/jit/runtime/operator.h>

namespace modelexport::frontend {

struct ShapeRule {
  bool depends_on_data = false;  // its results have shapes that its inputs' numbers decide over
  bool known = false;            // they follow from the shapes of its inputs, whatever those hold
  bool product = false;          // of matrices and the like; known
};
ShapeRule shape_rule(const torch::jit::Operator& op);

}  // namespace modelexport::frontend
