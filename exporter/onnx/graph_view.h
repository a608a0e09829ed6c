// A graph as the file that would be written of it, without writing it: what read_model() would
// give, but for the place of its weights and the bodies of functions. Weights lie where the Program
// has them.
#pragma once

#include "exporter/graph/graph.h"
#include "exporter/onnx/reader.h"
#include "exporter/onnx/writer.h"
#include "exporter/program/program.h"

namespace modelexport::onnx {

// The graph and the program must outlive the result.
ModelFile view_of(const graph::Graph& graph, const Program& program,
                  const Annotations& annotations);

}  // namespace modelexport::onnx
