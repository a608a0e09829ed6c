// onnx's own checker, full: structure, types and strict shape inference, and where the external
// data lies.
#pragma once

#include <string>

namespace modelexport::onnx {

// Empty if the file passes, otherwise what the checker says.
std::string check_model(const std::string& path);

// "1.23.2": the onnx this is built with.
std::string onnx_version();

}  // namespace modelexport::onnx
