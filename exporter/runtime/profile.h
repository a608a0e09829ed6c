// How long each node takes, by ONNX Runtime's own profiler.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exporter/runtime/session.h"

namespace modelexport::runtime {

// Runs the model `runs` times, after once that does not count. Seconds of one run by name of the
// node: the mean of all; without the nodes in its blocks, which count by themselves. Nodes that
// ONNX Runtime makes constants of have none. Errors (Error): those of Session; unwritable if there
// is no room for the profile in the folder for temporary files.
std::map<std::string, double> node_seconds(const std::string& model_path, SessionOptions options,
                                           const std::vector<HostValue>& inputs, int runs);

}  // namespace modelexport::runtime
