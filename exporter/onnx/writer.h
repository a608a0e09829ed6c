// Writes a graph as an ONNX file, with its weights where WeightMode says (weight_writer.h).
//
//   ModelWriter writer("out.onnx", program, WeightMode::external);  // fails early if it cannot
//   writer.start_weights(tensors_in_use(program));   // optional: copies while the graph is built
//   WrittenModel written = writer.write(graph, annotations);
//
// The files appear whole, when write() has succeeded, or not at all. The same program, graph and
// annotations give the same bytes. Errors (Error): usage, unwritable, unreadable.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/onnx/metadata.h"
#include "exporter/onnx/pending_file.h"
#include "exporter/onnx/weight_writer.h"
#include "exporter/program/program.h"

namespace modelexport::onnx {

// What the file says beyond the graph itself. Functions left empty add nothing.
struct Annotations {
  std::string producer_name = "modelexport";
  std::string producer_version;
  std::string graph_name = "main_graph";
  Metadata model;
  // Also of nodes in nested blocks; with the function in whose body it is, or nullptr.
  std::function<Metadata(const graph::Node&, const graph::Function*)> node;
  std::function<Metadata(const graph::Initializer&)> initializer;
  std::function<Metadata(graph::ValueId)> port;  // of an input or output of the model
};

struct WrittenModel {
  std::string path;
  std::string data_path;                    // empty if there is no data file
  uint64_t file_bytes = 0;                  // of the ONNX file
  uint64_t weight_bytes = 0;                // of the data file
  std::vector<DataLayout::Region> checked;  // see WeightWriter::checked
};

class ModelWriter {
 public:
  // `program` must outlive the writer.
  ModelWriter(std::string path, const Program& program, WeightMode mode);

  void start_weights(std::span<const TensorId> tensors) { weights_.start(tensors); }
  WrittenModel write(const graph::Graph& graph, const Annotations& annotations,
                     const WeightWriter::Progress& progress = {});

 private:
  const Program& program_;
  WeightWriter weights_;
  PendingFile file_;
};

}  // namespace modelexport::onnx
