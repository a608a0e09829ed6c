#include "exporter/lower_program.h"

#include <algorithm>

#include "exporter/error.h"
#include "exporter/graph/naming.h"
#include "exporter/graph/passes/run_passes.h"
#include "exporter/lowering/lower.h"

namespace modelexport {

graph::Graph lower_program(const Program& program, int opset) {
  lowering::Result lowered = lowering::lower(program, {opset});
  if (!lowered.unsupported.empty()) {
    throw Error(ErrorKind::unsupported, lowering::describe(lowered.unsupported, program));
  }
  graph::run_passes(lowered.graph, program);
  graph::assign_names(lowered.graph, program);
  return std::move(lowered.graph);
}

onnx::Annotations annotations_of(const tagging::Tagger& tagger, const graph::Graph& graph) {
  onnx::Annotations annotations;
  annotations.producer_version = MODELEXPORT_VERSION;
  annotations.node = [&](const graph::Node& node) { return tagger.node(node); };
  annotations.initializer = [&](const graph::Initializer& initializer) {
    return tagger.initializer(initializer);
  };
  annotations.port = [&](graph::ValueId value) {
    const auto& inputs = graph.body.inputs;
    const bool is_input = std::find(inputs.begin(), inputs.end(), value) != inputs.end();
    return is_input ? tagger.input() : tagger.output();
  };
  return annotations;
}

}  // namespace modelexport
