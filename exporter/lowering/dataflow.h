// What each value of a program depends on, as far as lowering has to know.
//
// An int may have agreed with a dimension, or been the same, in all examples: that is a fact if it
// was computed from sizes, but chance if it was computed from what the inputs hold.
#pragma once

#include <vector>

#include "exporter/program/argument_values.h"
#include "exporter/program/program.h"

namespace modelexport::lowering {

struct Dataflow {
  explicit Dataflow(const Program& program);

  std::vector<bool> from_data;       // by value: on the contents of inputs, or on chance
  std::vector<bool> from_parameter;  // by value: on a parameter
  std::vector<bool> input_symbol;    // by symbol: an input has a dimension of that size
};

}  // namespace modelexport::lowering
