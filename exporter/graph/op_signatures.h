// How many inputs and outputs each ai.onnx operator allows, and since which opset it exists: what the
// verifier needs to know without the onnx library.
#pragma once

#include <limits>
#include <string_view>

namespace modelexport::graph {

struct OpSignature {
  static constexpr int kMany = std::numeric_limits<int>::max();

  std::string_view name;
  int since;  // the first opset that has it
  int min_inputs, max_inputs;
  int min_outputs, max_outputs;
};

// nullptr if ai.onnx has no such operator up to opset 23.
const OpSignature* find_signature(std::string_view op_type);

}  // namespace modelexport::graph
