// How long each node of an ONNX file takes: in ONNX Runtime with one thread, as the file has it,
// without the optimisations that would fuse nodes of several modules.
#pragma once

#include <string>
#include <vector>

#include "analysis/node_times.h"
#include "exporter/program/host_tensor.h"

namespace modelexport {

// Errors (Error): those of runtime::node_seconds.
analysis::NodeTimes time_nodes(const std::string& onnx_path, const std::vector<HostValue>& inputs,
                               const std::string& runtime);

}  // namespace modelexport
