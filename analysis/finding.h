// What a check has to say: one thing that does not hold, and where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace modelexport::analysis {

enum class Check : uint8_t {
  ports,         // inputs and outputs of the model are the module's own
  values,        // each value that is used is defined, and each name is defined once
  order,         // each value is defined before it is used
  cycles,        // no node depends on itself
  orphans,       // each node's and each initializer's value is used
  initializers,  // each weight is in the file once
  parameters,    // each weight has the live tensor's shape, dtype and bytes
  tags,          // each node names a module call of the live module, with its classes
  modules,       // each module that ran and left nodes has some
};
std::string_view name(Check check);

struct Finding {
  Check check;
  std::string subject;  // name of the node, value, tensor or module
  std::string text;     // a phrase: "shape: expected [4, 4], found [4, 5]"
};

// "parameters: encoder.weight: shape: expected [4, 4], found [4, 5]"
std::string to_string(const Finding& finding);

}  // namespace modelexport::analysis
