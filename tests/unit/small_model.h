// A model for the tests of writer, reader and runtime, whose weights lie in a file as those of a
// checkpoint do: weight [64, 64]; its transpose and its rows 32..63, which are views of its
// storage; a bias of 256 bytes; and a constant of 4 KiB that only the graph has.
//
//   out = (x @ weight @ weight^T + bias + constant[0]) @ rows^T        x: [batch, 64]
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/program/host_tensor.h"
#include "exporter/program/program.h"

namespace modelexport {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "modelexport-XXXXXX").native();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::string operator/(const std::string& name) const { return (path_ / name).native(); }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().native());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

inline std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

struct SmallModel {
  static constexpr int64_t kSize = 64;
  static constexpr uint64_t kRecord = 128;  // where the weight's record begins in the checkpoint
  TemporaryFolder folder;
  std::vector<float> weight, bias, constant;
  Program program;
  graph::Graph graph;

  SmallModel() {
    for (int64_t i = 0; i < kSize * kSize; ++i) weight.push_back(static_cast<float>(i * 7 % 5 - 2));
    for (int64_t i = 0; i < kSize; ++i) bias.push_back(static_cast<float>(i % 3));
    for (int64_t i = 0; i < 16 * kSize; ++i) constant.push_back(static_cast<float>(i % 11));
    make_program();
    make_graph();
  }

  void make_program() {
    program.source_file = folder / "model.pt";
    std::ofstream(program.source_file, std::ios::binary)
        << std::string(kRecord, '#') << bytes_of(weight) << bytes_of(bias);
    const auto* data = reinterpret_cast<const std::byte*>(weight.data());
    program.storages = {{data, weight.size() * 4, kRecord},
                        {reinterpret_cast<const std::byte*>(bias.data()), bias.size() * 4,
                         static_cast<int64_t>(kRecord + weight.size() * 4)}};
    program.tensors = {
        {0, DType::f32, {kSize, kSize}, {kSize, 1}, 0, Role::parameter, "weight"},
        {0, DType::f32, {kSize, kSize}, {1, kSize}, 0, Role::constant, ""},
        {0, DType::f32, {kSize / 2, kSize}, {kSize, 1}, kSize * kSize / 2, Role::buffer, "rows"},
        {1, DType::f32, {kSize}, {1}, 0, Role::parameter, "bias"}};
    program.symbols = {{"batch", {2, 3}}};
    program.modules = {{"", "demo.Net"}};
    program.scopes = {{kNone, 0, "", "demo.Net", "forward"}};
    program.origins = {{0, kNone, "aten::linear", "linear"}};
  }

  graph::ValueId value(const std::string& name, Shape shape) {
    graph.values.push_back({Kind::tensor, DType::f32, std::move(shape), name});
    return static_cast<graph::ValueId>(graph.values.size() - 1);
  }

  graph::ValueId initializer(const std::string& name, graph::TensorData tensor) {
    const graph::ValueId id = value(name, tensor.dims);
    graph.initializers.push_back({id, std::move(tensor)});
    return id;
  }

  graph::ValueId weight_initializer(const std::string& name, TensorId tensor) {
    return initializer(name, {DType::f32, program.tensors[tensor].sizes, tensor});
  }

  graph::ValueId node(const std::string& op, std::vector<graph::ValueId> inputs, Shape shape,
                      std::vector<graph::Attribute> attributes = {}) {
    const std::string name = "/" + op + "_" + std::to_string(graph.body.nodes.size());
    const graph::ValueId out = value(name + "_output_0", std::move(shape));
    graph.body.nodes.push_back(
        {op, "", std::move(inputs), {out}, std::move(attributes), 0, graph::TagKind::direct, name});
    return out;
  }

  void make_graph() {
    const Shape wide = {symbol_dim(0), kSize};
    const auto x = value("x", wide);
    const auto w = weight_initializer("weight", 0);
    const auto transposed = weight_initializer("weight_transposed", 1);
    const auto rows = weight_initializer("rows", 2);
    const auto b = weight_initializer("bias", 3);
    const auto c = initializer("constant", {DType::f32, {16, kSize}, bytes_of(constant)});
    const auto zero = initializer("zero", {DType::i64, {}, std::string(sizeof(int64_t), '\0')});
    graph.values[zero].dtype = DType::i64;
    const auto first = node("Gather", {c, zero}, {kSize}, {{"axis", int64_t{0}}});
    const auto a = node("MatMul", {node("MatMul", {x, w}, wide), transposed}, wide);
    const auto sum = node("Add", {node("Add", {a, b}, wide), first}, wide);
    const auto out =
        node("Gemm", {sum, rows}, {symbol_dim(0), kSize / 2}, {{"transB", int64_t{1}}});
    graph.values[out].name = "out";
    graph.body.inputs = {x};
    graph.body.outputs = {out};
  }

  std::vector<float> transposed() const {
    std::vector<float> result;
    for (int64_t i = 0; i < kSize * kSize; ++i) {
      result.push_back(weight[i % kSize * kSize + i / kSize]);
    }
    return result;
  }

  // [rows, kSize] @ [kSize, columns]; of small integers, so that sums are exact in any order.
  static std::vector<float> multiply(const std::vector<float>& a, const std::vector<float>& b,
                                     int64_t columns) {
    std::vector<float> result(a.size() / kSize * columns, 0);
    for (size_t i = 0; i < result.size(); ++i) {
      for (int64_t k = 0; k < kSize; ++k) {
        result[i] += a[i / columns * kSize + k] * b[k * columns + i % columns];
      }
    }
    return result;
  }

  std::vector<float> expected(const std::vector<float>& x) const {
    std::vector<float> sum = multiply(multiply(x, weight, kSize), transposed(), kSize);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += bias[i % kSize] + constant[i % kSize];
    std::vector<float> rows_transposed;
    for (int64_t i = 0; i < kSize * kSize / 2; ++i) {
      rows_transposed.push_back(weight[(kSize / 2 + i % (kSize / 2)) * kSize + i / (kSize / 2)]);
    }
    return multiply(sum, rows_transposed, kSize / 2);
  }
};

inline HostValue host_value(const std::string& name, std::vector<int64_t> dims,
                            const std::vector<float>& values) {
  HostTensor tensor{name, DType::f32, std::move(dims), std::vector<std::byte>(values.size() * 4)};
  std::ranges::copy(std::as_bytes(std::span(values)), tensor.bytes.begin());
  return {name, false, {std::move(tensor)}};
}

}  // namespace modelexport
