// An ONNX file, any exporter's, as plain data. Embedded tensors are held in memory, external ones
// mapped, not read.
// Errors (Error): unreadable for what is not an ONNX file, for tensors whose bytes do not agree
// with their shape, and for external data that is missing, cut short or outside the file's folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/onnx/metadata.h"
#include "exporter/program/dtype.h"

namespace modelexport::onnx {

struct TensorView {
  std::string name;
  DType dtype = DType::undefined;  // undefined also for ONNX types that DType lacks
  std::vector<int64_t> dims;
  std::span<const std::byte>
      bytes;             // row-major; empty for strings; valid while the ModelFile lives
  std::string location;  // file within the model's folder; empty: the ONNX file itself
  uint64_t offset = 0;   // in `location`
  Metadata metadata;
};

struct AttributeView {  // all but graphs, which are in NodeView::subgraphs
  std::string name;
  std::variant<std::monostate, int64_t, float, std::string, std::vector<int64_t>,
               std::vector<float>, std::vector<std::string>, TensorView>
      value;  // monostate: of a kind that is not among these
};

struct DimensionView {
  int64_t size = -1;  // -1: not known, or `symbol`
  std::string symbol;
};

struct PortView {  // an input, output or inner value
  std::string name;
  bool is_sequence = false;  // dtype and shape are those of its elements
  DType dtype = DType::undefined;
  std::optional<std::vector<DimensionView>> shape;
  Metadata metadata;
};

struct GraphView;

struct NodeView {
  std::string name, op_type, domain;
  std::vector<std::string> inputs, outputs;  // "" is an omitted one
  std::vector<AttributeView> attributes;
  std::vector<std::pair<std::string, GraphView>> subgraphs;  // by attribute: then_branch, body...
  Metadata metadata;
};

struct GraphView {
  std::string name;
  std::vector<NodeView> nodes;
  std::vector<TensorView> initializers;
  std::vector<PortView> inputs, outputs;
  std::vector<PortView> values;  // inner values whose type the file tells
};

struct FunctionView {
  std::string domain, name;
  size_t nodes = 0;             // of its body
  bool is_module_call = false;  // of export --functions
};

struct ModelFile {
  std::string path;
  int64_t ir_version = 0;
  std::string producer_name, producer_version;
  std::vector<std::pair<std::string, int64_t>> opsets;  // domain ("" is ai.onnx), version
  Metadata metadata;
  GraphView graph;                      // calls of functions that are modules are their bodies
  std::vector<FunctionView> functions;  // that the file has
  std::shared_ptr<const void> owner;    // keeps the bytes of the tensors
};

ModelFile read_model(const std::string& path);

}  // namespace modelexport::onnx
