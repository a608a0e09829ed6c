// How long the nodes of an ONNX file take, for reports.
#pragma once

#include <map>
#include <string>

namespace modelexport::analysis {

struct NodeTimes {
  std::string inputs;  // what was measured on, as describe_inputs has it
  int runs = 0;        // that were measured; 0: none
  // By name of the node: seconds of a run, in all its iterations where it is in a loop; without
  // what its own blocks take.
  std::map<std::string, double> seconds = {};
};

}  // namespace modelexport::analysis
