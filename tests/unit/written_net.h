// The model of net_model.h, written as an ONNX file and read back; tests change what was read.
#pragma once

#include <stdexcept>
#include <string>

#include "analysis/cross_check.h"
#include "exporter/onnx/reader.h"
#include "exporter/onnx/writer.h"
#include "tagging/hierarchy.h"
#include "tagging/tags.h"
#include "tests/unit/net_model.h"
#include "tests/unit/small_model.h"

namespace modelexport::analysis {

struct WrittenNet : NetModel {
  TemporaryFolder folder;
  tagging::Hierarchy hierarchy{program, {}};
  onnx::ModelFile file;

  explicit WrittenNet(onnx::WeightMode mode = onnx::WeightMode::external) {
    const tagging::Tagger tagger(program, hierarchy);
    onnx::Annotations annotations;
    annotations.node = [&](const graph::Node& node, const graph::Function* function) {
      return tagger.node(node, function);
    };
    annotations.initializer = [&](const graph::Initializer& i) { return tagger.initializer(i); };
    onnx::ModelWriter writer(folder / "net.onnx", program, mode);
    writer.write(graph, annotations);
    file = onnx::read_model(folder / "net.onnx");
  }

  CrossCheck check() const {
    return cross_check(FileIndex(file), program, hierarchy,
                       expectation_of(graph, program, hierarchy));
  }

  // The same without the graph, as for a file that comes from somewhere.
  CrossCheck validate() const {
    return cross_check(FileIndex(file), program, hierarchy,
                       expectation_of(program, hierarchy, file));
  }

  onnx::NodeView& node(const std::string& name) {
    for (onnx::NodeView& node : file.graph.nodes)
      if (node.name == name) return node;
    throw std::out_of_range(name);
  }
  onnx::TensorView& weight(const std::string& name) {
    for (onnx::TensorView& tensor : file.graph.initializers)
      if (tensor.name == name) return tensor;
    throw std::out_of_range(name);
  }
  static std::string& tag(onnx::NodeView& node, const std::string& key) {
    for (auto& [name, value] : node.metadata)
      if (name == key) return value;
    throw std::out_of_range(key);
  }
};

}  // namespace modelexport::analysis
