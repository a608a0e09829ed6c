// What each value of a program depends on, as far as lowering has to know.
//
// An int may have agreed with a dimension, or been the same, in all examples: that is a fact if it
// was computed from sizes, but chance if it was computed from what the inputs hold.
#pragma once

#include <vector>

#include "exporter/program/program.h"

namespace modelexport::lowering {

struct Dataflow {
  explicit Dataflow(const Program& program);

  std::vector<bool> from_data;       // by value: on the contents of inputs, or on chance
  std::vector<bool> from_parameter;  // by value: on a parameter
  std::vector<bool> input_symbol;    // by symbol: an input has a dimension of that size
};

// Calls visit(id) for each value in the argument.
template <typename Visit>
void for_each_value(const Argument& argument, const Visit& visit) {
  if (const auto* ref = std::get_if<ValueRef>(&argument)) {
    if (ref->id != kNone) visit(ref->id);
  } else if (const auto* list = std::get_if<ArgumentList>(&argument)) {
    for (const Argument& element : *list) for_each_value(element, visit);
  }
}

}  // namespace modelexport::lowering
