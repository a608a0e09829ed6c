#include "exporter/onnx/graph_view.h"

#include <algorithm>
#include <deque>

#include "exporter/graph/dtype_onnx.h"
#include "exporter/onnx/tensor_bytes.h"

namespace modelexport::onnx {
namespace {

using Gathered = std::deque<std::vector<std::byte>>;  // of tensors that lie in pieces

// As a file has it: quantised types are integers there.
DType stored(DType dtype) { return graph::dtype_from_onnx(graph::onnx_number(dtype)); }

class GraphViewer {
 public:
  GraphViewer(const graph::Graph& graph, const Program& program, const Annotations& annotations,
              Gathered& gathered)
      : graph_(graph), program_(program), annotations_(annotations), gathered_(gathered) {}

  GraphView run() {
    GraphView view = block(graph_.body);
    for (const graph::Initializer& initializer : graph_.initializers) {
      view.initializers.push_back(tensor(initializer.tensor));
      view.initializers.back().name = name_of(initializer.value);
      if (annotations_.initializer)
        view.initializers.back().metadata = annotations_.initializer(initializer);
    }
    return view;
  }

 private:
  GraphView block(const graph::Block& block) {
    GraphView view;
    for (ValueId id : block.inputs) view.inputs.push_back(port(id));
    for (ValueId id : block.outputs) view.outputs.push_back(port(id));
    for (const graph::Node& node : block.nodes) {
      view.nodes.push_back(this->node(node));
      for (ValueId id : node.outputs)
        if (id != kNone) view.values.push_back(port(id));
    }
    return view;
  }

  NodeView node(const graph::Node& node) {
    NodeView view{.name = node.name, .op_type = node.op_type, .domain = node.domain};
    for (ValueId id : node.inputs) view.inputs.push_back(name_of(id));
    for (ValueId id : node.outputs) view.outputs.push_back(name_of(id));
    for (const graph::Attribute& attribute : node.attributes) {
      if (const auto* body = std::get_if<std::shared_ptr<graph::Block>>(&attribute.value)) {
        view.subgraphs.emplace_back(attribute.name, block(**body));
        continue;
      }
      view.attributes.push_back({attribute.name});
      std::visit([&](const auto& value) { set(view.attributes.back(), value); }, attribute.value);
    }
    if (annotations_.node) view.metadata = annotations_.node(node, nullptr);
    return view;
  }

  template <typename T>
  void set(AttributeView& to, const T& value) {
    to.value = value;
  }
  void set(AttributeView& to, const graph::TensorData& value) { to.value = tensor(value); }
  void set(AttributeView&, const std::shared_ptr<graph::Block>&) {}

  TensorView tensor(const graph::TensorData& data) {
    TensorView view{.dtype = stored(data.dtype), .dims = data.dims};
    const auto* id = std::get_if<TensorId>(&data.data);
    if (id && program_.tensors[*id].is_contiguous()) {
      view.bytes = contiguous_bytes(program_, program_.tensors[*id]);
      return view;
    }
    std::vector<std::byte>& bytes = gathered_.emplace_back();
    for_each_block(program_, data, [&](std::span<const std::byte> piece) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    });
    view.bytes = bytes;
    return view;
  }

  std::string name_of(ValueId id) const { return id == kNone ? "" : graph_.values[id].name; }

  PortView port(ValueId id) const {
    const graph::Value& value = graph_.values[id];
    PortView view{.name = value.name,
                  .is_sequence = value.kind == Kind::sequence,
                  .dtype = stored(value.dtype)};
    if (!value.shape) return view;
    view.shape.emplace();
    for (Dim dim : *value.shape)
      view.shape->push_back(is_static(dim)
                                ? DimensionView{dim, ""}
                                : DimensionView{-1, program_.symbols[symbol_index(dim)].name});
    return view;
  }

  const graph::Graph& graph_;
  const Program& program_;
  const Annotations& annotations_;
  Gathered& gathered_;
};

}  // namespace

ModelFile view_of(const graph::Graph& graph, const Program& program,
                  const Annotations& annotations) {
  const auto gathered = std::make_shared<Gathered>();
  ModelFile file{.path = program.source_file,
                 .producer_name = annotations.producer_name,
                 .producer_version = annotations.producer_version};
  file.opsets.emplace_back("", graph.opset);
  for (const auto& [domain, version] : graph.custom_domains)
    file.opsets.emplace_back(domain, version);
  file.graph = GraphViewer(graph, program, annotations, *gathered).run();
  file.owner = gathered;
  return file;
}

}  // namespace modelexport::onnx
