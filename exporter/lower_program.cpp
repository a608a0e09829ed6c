#include "exporter/lower_program.h"

#include <algorithm>

#include "exporter/error.h"
#include "exporter/graph/functions.h"
#include "exporter/graph/naming.h"
#include "exporter/graph/passes/run_passes.h"
#include "exporter/lowering/plugin.h"
#include "exporter/ops_file.h"

namespace modelexport {
namespace {

void remove_outputs(Program& program, const std::vector<size_t>& missing) {
  for (auto index = missing.rbegin(); index != missing.rend(); ++index) {
    program.outputs.erase(program.outputs.begin() + static_cast<ptrdiff_t>(*index));
    program.body.outputs.erase(program.body.outputs.begin() + static_cast<ptrdiff_t>(*index));
  }
}

}  // namespace

lowering::Lowerings read_lowerings(const std::vector<std::string>& libraries,
                                   const std::vector<std::string>& ops_files, int opset) {
  lowering::Lowerings lowerings;
  for (const std::string& path : libraries) lowering::load_lowerings(path, lowerings);
  for (const std::string& path : ops_files) read_ops_file(path, opset, lowerings);
  return lowerings;
}

LoweredProgram lower_program(Program& program, const lowering::Options& options) {
  lowering::Result lowered = lowering::lower(program, options);
  const bool nothing_left = lowered.missing_outputs.size() == program.outputs.size();
  if (!lowered.unsupported.empty() &&
      (options.on_unsupported == lowering::OnUnsupported::raise || nothing_left)) {
    throw Error(ErrorKind::unsupported, (nothing_left ? "no output is left: " : "") +
                                            lowering::describe(lowered.unsupported, program));
  }
  LoweredProgram result;
  for (size_t index : lowered.missing_outputs) {
    result.missing_outputs.push_back(program.outputs[index].name);
  }
  remove_outputs(program, lowered.missing_outputs);
  if (options.functions)
    graph::outline_calls(lowered.graph, program);
  else
    graph::run_passes(lowered.graph, program);
  graph::assign_names(lowered.graph, program);
  result.graph = std::move(lowered.graph);
  result.unsupported = std::move(lowered.unsupported);
  return result;
}

onnx::Annotations annotations_of(const tagging::Tagger& tagger, const graph::Graph& graph,
                                 const std::string& module) {
  onnx::Annotations annotations;
  if (!module.empty()) annotations.model.emplace_back(tagging::kModule, module);
  annotations.producer_version = MODELEXPORT_VERSION;
  annotations.node = [&](const graph::Node& node, const graph::Function* function) {
    return tagger.node(node, function);
  };
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
