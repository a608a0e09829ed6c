// A model for the tests of tagging and analysis: two Blocks in a ModuleList, each with a Linear,
// and a head that uses the weight of the first one again under another name.
//
//   x = relu(blocks.0.lin(x)); x = relu(blocks.1.lin(x)); if (cond) y = -x else y = x
//   out = head(y) with head.weight = blocks.0.lin.weight                 x: [batch, 4]
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"

namespace modelexport {

inline constexpr const char* kLinear = "torch.nn.modules.linear.Linear";
inline constexpr const char* kModuleList = "torch.nn.modules.container.ModuleList";
inline constexpr const char* kSequential = "torch.nn.modules.container.Sequential";

// Modules, calls and weights by path.
struct ProgramBuilder {
  Program program;
  std::map<std::string, ModuleId> modules;
  std::vector<std::unique_ptr<std::vector<float>>> data;

  ModuleId module(const std::string& path, const std::string& class_name) {
    Module module{.path = path, .class_name = class_name};
    if (!path.empty()) {
      const size_t dot = path.rfind('.');
      module.parent = modules.at(dot == std::string::npos ? "" : path.substr(0, dot));
    } else {
      program.class_name = class_name;
    }
    program.modules.push_back(module);
    return modules[path] = static_cast<ModuleId>(program.modules.size() - 1);
  }

  ScopeId call(ScopeId parent, const std::string& path, const std::string& method = "forward") {
    const ModuleId id = modules.at(path);
    ++program.modules[id].calls;
    program.scopes.push_back({parent, id, path, program.modules[id].class_name, method});
    return static_cast<ScopeId>(program.scopes.size() - 1);
  }

  OriginId origin(ScopeId scope, const std::string& op, const std::string& name,
                  SourceId source = kNone) {
    program.origins.push_back({scope, source, op, name});
    return static_cast<OriginId>(program.origins.size() - 1);
  }

  graph::Node node(ScopeId scope, const std::string& op, const std::string& name,
                   SourceId source = kNone) {
    return {.op_type = "Op", .origin = origin(scope, op, name, source)};
  }

  // A value that operators use or make; of a weight: its tensor.
  ValueId new_value(TensorId constant = kNone) {
    program.values.push_back({.dtype = DType::f32, .constant = constant});
    return static_cast<ValueId>(program.values.size() - 1);
  }

  // Records an operator of a call; returns its output.
  ValueId run(ScopeId call, const std::string& op, const std::vector<ValueId>& inputs) {
    Op added{.outputs = {new_value()}, .origin = origin(call, op, op.substr(6))};
    for (ValueId input : inputs) added.arguments.push_back(ValueRef{input});
    program.body.ops.push_back(added);
    return added.outputs[0];
  }

  TensorId parameter(const std::string& path, const std::string& name, std::vector<int64_t> sizes) {
    Tensor tensor{.dtype = DType::f32, .sizes = std::move(sizes), .role = Role::parameter};
    tensor.strides.assign(tensor.sizes.size(), 1);
    for (size_t i = tensor.sizes.size(); i-- > 1;)
      tensor.strides[i - 1] = tensor.strides[i] * tensor.sizes[i];
    tensor.module = modules.at(path);
    tensor.name = path.empty() ? name : path + "." + name;
    tensor.storage = static_cast<StorageId>(program.storages.size());
    data.push_back(std::make_unique<std::vector<float>>(tensor.element_count()));
    for (float& element : *data.back()) element = static_cast<float>(++count_);
    program.storages.push_back(
        {reinterpret_cast<const std::byte*>(data.back()->data()), data.back()->size() * 4});
    program.tensors.push_back(tensor);
    const auto id = static_cast<TensorId>(program.tensors.size() - 1);
    program.modules[tensor.module].parameters.push_back(id);
    return id;
  }

 private:
  int count_ = 0;
};

struct NetModel : ProgramBuilder {
  static constexpr int64_t kSize = 64;  // so that weights are outside of the ONNX file
  ScopeId root, block0, block1, lin0, lin1, head;
  graph::Graph graph;

  NetModel() {
    make_modules();
    make_graph();
  }

  void make_modules() {
    module("", "pkg.Net");
    module("blocks", kModuleList);
    for (const std::string name : {"blocks.0", "blocks.1"}) {
      module(name, "pkg.Block");
      module(name + ".lin", kLinear);
      parameter(name + ".lin", "weight", {kSize, kSize});
      parameter(name + ".lin", "bias", {kSize});
    }
    module("head", "pkg.Head");
    program.modules[modules.at("head")].parameters = {0};
    program.tensors[0].aliases = {"head.weight"};
    program.sources = {{{"net.py", 17, "forward"}, {"linear.py", 134, "forward"}}};
    root = call(kNone, "");
    block0 = call(root, "blocks.0");
    lin0 = call(block0, "blocks.0.lin");
    block1 = call(root, "blocks.1");
    lin1 = call(block1, "blocks.1.lin");
    head = call(root, "head");
    program.symbols = {{"batch", {2, 3}}};
    const Shape shape = {symbol_dim(0), kSize};
    program.values = {{Kind::tensor, DType::f32, shape},
                      {Kind::tensor, DType::boolean, {}},
                      {Kind::tensor, DType::f32, shape}};
    program.inputs = {{"x", 0}, {"cond", 1}};
    program.outputs = {{"out", 2}};
    ValueId x = 0;
    x = run(lin0, "aten::linear", {x, new_value(0), new_value(1)});
    x = run(block0, "aten::relu", {x});
    x = run(lin1, "aten::linear", {x, new_value(2), new_value(3)});
    x = run(block1, "aten::relu", {x});
    run(head, "aten::matmul", {x, new_value(0)});
  }

  graph::ValueId value(const std::string& name, DType dtype, Shape shape) {
    graph.values.push_back({Kind::tensor, dtype, std::move(shape), name});
    return static_cast<graph::ValueId>(graph.values.size() - 1);
  }

  graph::ValueId weight(TensorId id) {
    const Tensor& tensor = program.tensors[id];
    const graph::ValueId out = value(tensor.name, tensor.dtype, tensor.sizes);
    graph.initializers.push_back({out, {tensor.dtype, tensor.sizes, id}});
    return out;
  }

  // A node with one output of x's shape, "<name>_output_0".
  graph::ValueId add(graph::Block& block, const std::string& name,
                     std::vector<graph::ValueId> inputs, OriginId origin) {
    const graph::ValueId out = value(name + "_output_0", DType::f32, {symbol_dim(0), kSize});
    block.nodes.push_back({.op_type = name.substr(name.rfind('/') + 1),
                           .inputs = std::move(inputs),
                           .outputs = {out},
                           .origin = origin,
                           .name = name});
    return out;
  }

  void make_graph() {
    auto x = value("x", DType::f32, {symbol_dim(0), kSize});
    const auto cond = value("cond", DType::boolean, Shape{});
    graph.body.inputs = {x, cond};
    const auto tied = weight(0);
    const std::vector<std::pair<ScopeId, ScopeId>> blocks = {{block0, lin0}, {block1, lin1}};
    for (TensorId i = 0; i < 2; ++i) {
      const auto [block, lin] = blocks[i];
      const std::string path = "/blocks." + std::to_string(i);
      const auto w = i == 0 ? tied : weight(2 * i);
      const auto b = weight(2 * i + 1);
      x = add(graph.body, path + "/lin/Gemm", {x, w, b}, origin(lin, "aten::linear", "linear", 0));
      x = add(graph.body, path + "/Relu", {x}, origin(block, "aten::relu", "relu"));
    }
    graph::Attribute then_branch{"then_branch", branch("/Neg", x)};
    graph::Attribute else_branch{"else_branch", branch("/Identity", x)};
    const auto y = add(graph.body, "/If", {cond}, origin(root, "prim::If", "If"));
    graph.body.nodes.back().attributes = {then_branch, else_branch};
    const auto out =
        add(graph.body, "/head/MatMul", {y, tied}, origin(head, "aten::matmul", "matmul"));
    graph.values[out].name = "out";
    graph.body.outputs = {out};
  }

  std::shared_ptr<graph::Block> branch(const std::string& name, graph::ValueId input) {
    auto block = std::make_shared<graph::Block>();
    block->outputs = {
        add(*block, name, {input}, origin(root, "aten::" + name.substr(1), name.substr(1)))};
    return block;
  }
};

}  // namespace modelexport
