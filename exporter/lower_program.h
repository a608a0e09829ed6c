// The steps between a program and a file: the named graph, and what each part of it is tagged with.
#pragma once

#include <string>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/lowering/lower.h"
#include "exporter/onnx/writer.h"
#include "exporter/program/program.h"
#include "tagging/tags.h"

namespace modelexport {

// What the user adds: of shared libraries (lowering/plugin.h), and before those of YAML files
// (ops_file.h). Throws Error{usage}.
lowering::Lowerings read_lowerings(const std::vector<std::string>& libraries,
                                   const std::vector<std::string>& ops_files, int opset);

struct LoweredProgram {
  graph::Graph graph;
  std::vector<lowering::UnsupportedOp> unsupported;  // with OnUnsupported::raise: none
  std::vector<std::string> missing_outputs;          // no longer outputs of the program either
};

// Lowers, simplifies and names. Throws Error{unsupported} with all operators that have no lowering,
// if there are any and `options` say so, or if no output is left without them.
LoweredProgram lower_program(Program& program, const lowering::Options& options);

// Both must outlive the result. `module`: the path of the submodule that the program is, if it is
// one.
onnx::Annotations annotations_of(const tagging::Tagger& tagger, const graph::Graph& graph,
                                 const std::string& module = "");

}  // namespace modelexport
