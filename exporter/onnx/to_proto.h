// Graph to onnx::ModelProto. Internal to this folder: it has protobuf in it.
#pragma once

#include <onnx/onnx_pb.h>

#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/onnx/weight_writer.h"
#include "exporter/onnx/writer.h"
#include "exporter/program/program.h"

namespace modelexport::onnx {

namespace pb = ::onnx;

// An initializer whose bytes go from where they are straight into the ONNX file.
struct StreamedInitializer {
  pb::TensorProto header;  // all but raw_data
  const graph::TensorData* data = nullptr;
};

struct ModelParts {
  pb::ModelProto model;
  std::vector<StreamedInitializer> streamed;  // belong to model.graph
};

ModelParts to_proto(const graph::Graph& graph, const Program& program,
                    const Annotations& annotations, WeightWriter& weights);

}  // namespace modelexport::onnx
