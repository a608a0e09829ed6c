#include "exporter/time_nodes.h"

#include "exporter/export.h"
#include "exporter/onnx/expose.h"
#include "exporter/runtime/profile.h"

namespace modelexport {

constexpr int kRuns = 5;

analysis::NodeTimes time_nodes(const std::string& onnx_path, const std::vector<HostValue>& inputs,
                               const std::string& runtime) {
  const runtime::SessionOptions options{.library = runtime,
                                        .optimization = runtime::Optimization::none,
                                        .model_bytes = onnx::expanded_model(onnx_path)};
  return {describe_inputs(inputs), kRuns, runtime::node_seconds(onnx_path, options, inputs, kRuns)};
}

}  // namespace modelexport
