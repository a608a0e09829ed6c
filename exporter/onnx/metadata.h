// metadata_props of ONNX: keys and values, in the order in which they are written.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace modelexport::onnx {

using Metadata = std::vector<std::pair<std::string, std::string>>;

}  // namespace modelexport::onnx
