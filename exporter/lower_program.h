// The steps between a program and a file: the named graph, and what each part of it is tagged with.
#pragma once

#include "exporter/graph/graph.h"
#include "exporter/onnx/writer.h"
#include "exporter/program/program.h"
#include "tagging/tags.h"

namespace modelexport {

// Lowers, simplifies and names. Throws Error{unsupported} with all operators that have no lowering.
graph::Graph lower_program(const Program& program, int opset);

// Both must outlive the result.
onnx::Annotations annotations_of(const tagging::Tagger& tagger, const graph::Graph& graph);

}  // namespace modelexport
