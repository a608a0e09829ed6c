// A model whose inner values can be looked at: a copy of it, of which they are the outputs.
#pragma once

#include <string>
#include <vector>

namespace modelexport::onnx {

struct ExposedModel {
  std::string bytes;                 // of the copy; its external data is where the file's is
  std::vector<std::string> outputs;  // those of `names` that a node of the outermost graph makes
};

// Errors (Error): unreadable for what is not an ONNX file.
ExposedModel expose_values(const std::string& path, const std::vector<std::string>& names);

}  // namespace modelexport::onnx
