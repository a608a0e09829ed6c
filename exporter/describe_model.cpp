#include "exporter/describe_model.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "exporter/error.h"
#include "exporter/export.h"
#include "exporter/frontend/without_weights.h"
#include "exporter/lower_program.h"
#include "exporter/onnx/graph_view.h"
#include "tagging/hierarchy.h"

namespace modelexport {
namespace {

using frontend::LiveModule;

bool is_zip(const std::string& path) {
  std::array<char, 4> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  return start == std::array<char, 4>{'P', 'K', '\x03', '\x04'};
}

// What the module does with its inputs; its tree alone if there are none.
Program run_module(const std::string& path, const DescribeOptions& options) {
  LiveModule module(path, options.load_library);
  const bool inputs_given = !options.inputs.files.empty() || !options.inputs.specs.empty();
  try {
    module.set_examples(options.inputs);
  } catch (const Error& error) {
    if (inputs_given || error.kind() != ErrorKind::usage) throw;
    Program tree = module.tree();
    tree.warnings.push_back(
        fmt::format("without inputs for {}, operators and their use of parameters are not known",
                    module.signature()));
    return tree;
  }
  return trace(module);
}

Program program_of(const std::string& path, const DescribeOptions& options) {
  if (!options.read_weights) {
    try {
      const frontend::WithoutWeights scope;
      return run_module(path, options);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage) throw;  // it may be that zeros are not to its taste
    }
  }
  return run_module(path, options);
}

}  // namespace

ModelPath find_model(const std::string& path) {
  std::error_code ignored;
  std::string file = path;
  if (std::filesystem::is_directory(path, ignored))
    file = (std::filesystem::path(path) / "model.onnx").string();
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw Error(ErrorKind::unreadable,
                fmt::format("'{}' is no file; a TorchScript checkpoint, an ONNX file or a folder "
                            "with a model.onnx is expected",
                            file));
  }
  return {is_zip(file) ? ModelFormat::checkpoint : ModelFormat::onnx, file};
}

analysis::ModelSummary describe_model(const ModelPath& model, const DescribeOptions& options) {
  const tagging::TagOptions tags{options.include_torch_nn};
  if (model.format == ModelFormat::onnx)
    return analysis::summarize(onnx::read_model(model.file), tags);
  Program program = program_of(model.file, options);
  const tagging::Hierarchy hierarchy(program, tags);
  return analysis::summarize(std::move(program), hierarchy);
}

analysis::ModelSummary describe_as_onnx(const std::string& checkpoint,
                                        const DescribeOptions& options, int opset) {
  LiveModule module(checkpoint, options.load_library);
  module.set_examples(options.inputs);
  const lowering::Lowerings lowerings = read_lowerings(options.load_lowerings, options.ops, opset);
  Program program = trace(module, lowerings);
  const lowering::Options how{opset, lowering::OnUnsupported::raise, lowerings};
  const graph::Graph graph = lower_program(program, how).graph;
  const tagging::Hierarchy hierarchy(program, {options.include_torch_nn});
  const tagging::Tagger tagger(program, hierarchy);
  const onnx::ModelFile file = onnx::view_of(graph, program, annotations_of(tagger, graph));
  analysis::ModelSummary summary = analysis::summarize(file, {options.include_torch_nn});
  summary.tree.owners.insert(summary.tree.owners.end(), program.owners.begin(),
                             program.owners.end());
  return summary;
}

}  // namespace modelexport
