#include "exporter/onnx/check.h"

#include <onnx/checker.h>
#include <onnx/common/version.h>

#include <exception>
#include <filesystem>

namespace modelexport::onnx {

std::string check_model(const std::string& path) {
  try {
    // Absolute, because the checker resolves external data against the path's folder as written.
    ::onnx::checker::check_model(std::filesystem::absolute(path).native(), true);
    return "";
  } catch (const std::exception& error) {
    return *error.what() ? error.what() : "unknown error";
  }
}

std::string onnx_version() { return ONNX_VERSION_STRING; }

}  // namespace modelexport::onnx
