#include "exporter/onnx/expose.h"

#include <unordered_set>

#include "exporter/onnx/expand_functions.h"
#include "exporter/onnx/from_proto.h"

namespace modelexport::onnx {

ExposedModel expose_values(const std::string& path, const std::vector<std::string>& names) {
  pb::ModelProto model;
  parse_model(path, model);
  expand_functions(model);
  pb::GraphProto& graph = *model.mutable_graph();
  std::unordered_set<std::string> made;
  for (const pb::NodeProto& node : graph.node()) {
    made.insert(node.output().begin(), node.output().end());
  }
  ExposedModel exposed;
  graph.clear_output();
  for (const std::string& name : names) {
    if (name.empty() || made.erase(name) == 0) continue;  // each once
    graph.add_output()->set_name(name);                   // its type is inferred
    exposed.outputs.push_back(name);
  }
  exposed.bytes = model.SerializeAsString();
  return exposed;
}

}  // namespace modelexport::onnx
