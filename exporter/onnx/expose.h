// A model whose inner values can be looked at: a copy of it, of which they are the outputs.
#pragma once

#include <string>
#include <vector>

#include "exporter/program/dtype.h"

namespace modelexport::onnx {

struct ExposedValue {  // a tensor, or at the outermost level anything
  std::string name;
  DType dtype = DType::undefined;
};

// Outputs of the copy. What is made within Loop and If becomes a sequence: what it was when it was
// made first, or empty if it never was.
struct ExposedModel {
  std::string bytes;                 // of the copy; its external data is where the file's is
  std::vector<std::string> outputs;  // those of the values that the file has, in this order
  std::vector<bool> is_inner;        // of each of them: made within a Loop or an If
};

// Errors (Error): unreadable for what is not an ONNX file.
ExposedModel expose_values(const std::string& path, const std::vector<ExposedValue>& values);

// The bytes of the model with the calls of functions that are modules expanded; empty if there are
// none. Errors (Error): unreadable.
std::string expanded_model(const std::string& path);

}  // namespace modelexport::onnx
