// The graph: ONNX-level IR between lowering and writer. Plain data, no protobuf, no torch.
//
// Values are indexes into Graph::values; kNone is an omitted optional input. Nodes stand in
// topological order. Names are given at the end (see naming.h); lowerings never name anything.
// Every node has an origin: an index into Program::origins.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport::graph {

using modelexport::DType;
using modelexport::kNone;
using modelexport::OriginId;
using modelexport::ScopeId;
using modelexport::Shape;
using modelexport::ValueId;  // here: an index into Graph::values, not Program::values

// Bytes of a tensor: either owned (small constants), or a tensor of the Program (weights), which the
// writer copies from where it lies.
struct TensorData {
  DType dtype = DType::undefined;
  std::vector<int64_t> dims;
  std::variant<std::string, modelexport::TensorId> data;  // little-endian bytes, or Program::tensors
};

struct Block;

struct Attribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
               std::vector<std::string>, TensorData, std::shared_ptr<Block>>
      value;
};

// How the origin of a node came about.
enum class TagKind : uint8_t {
  direct,  // lowered from exactly one ATen operator
  merged,  // stands for nodes of several origins: their lowest common ancestor
  root,    // belongs to the model as a whole (input conversions...)
};

struct Node {
  std::string op_type;
  std::string domain;  // "" is ai.onnx
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<Attribute> attributes;
  OriginId origin = kNone;
  TagKind tag = TagKind::direct;
  std::string name;  // set by naming
  ScopeId scope = kNone;  // of a merged node: what its origins have in common (see scopes.h)
  ScopeId call = kNone;   // of a call of a Function: the module call that it stands for
};

struct Value {
  modelexport::Kind kind = modelexport::Kind::tensor;
  DType dtype = DType::undefined;
  std::optional<Shape> shape;  // symbols index Program::symbols; nullopt: not known
  std::string name;            // set by naming
};

struct Block {
  std::vector<ValueId> inputs;
  std::vector<Node> nodes;
  std::vector<ValueId> outputs;
};

struct Initializer {
  ValueId value = kNone;
  TensorData tensor;
};

struct Function {  // an ONNX local function (--functions)
  std::string domain, name;
  std::vector<std::string> inputs, outputs;
  // Its body is a graph of its own; names inside are local.
  std::shared_ptr<struct Graph> body;
  ScopeId scope = kNone;  // of the module call that the body was made of
};

// A function that the user gave as ONNX (custom operators); it is written as it is.
struct GivenFunction {
  std::string domain, name;
  std::string proto;  // a serialized onnx.FunctionProto
};

struct Graph {
  int opset = 20;
  std::vector<std::pair<std::string, int>> custom_domains;  // domain, version
  std::vector<Value> values;
  std::vector<Initializer> initializers;
  Block body;
  std::vector<Function> functions;
  std::vector<GivenFunction> given_functions;
  std::vector<ValueId> of_program;  // by value of the Program: what holds it here, or kNone
};

}  // namespace modelexport::graph
