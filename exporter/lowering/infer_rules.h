// The rules of infer.h: what single operators, or kinds of them, do to dtype and shape.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "exporter/graph/dtype_onnx.h"
#include "exporter/lowering/infer.h"

namespace modelexport::lowering::rules {

using Ints = std::vector<int64_t>;

// One node with everything a rule asks for.
class Node {
 public:
  explicit Node(const InferenceInput& input) : input_(input) {}

  size_t count() const { return input_.inputs.size(); }
  bool has(size_t i) const { return i < count() && input_.inputs[i].dtype != DType::undefined; }
  DType dtype(size_t i) const { return i < count() ? input_.inputs[i].dtype : DType::undefined; }
  const std::optional<Shape>& shape(size_t i) const {
    static const std::optional<Shape> kUnknown;
    return i < count() ? input_.inputs[i].shape : kUnknown;
  }
  Type same(size_t i = 0) const { return i < count() ? input_.inputs[i] : Type{}; }
  std::optional<Ints> integers(size_t i) const {
    return has(i) ? input_.integers(i) : std::nullopt;
  }

  const graph::Attribute* attribute(std::string_view name) const {
    for (const graph::Attribute& attribute : input_.attributes) {
      if (attribute.name == name) return &attribute;
    }
    return nullptr;
  }
  int64_t integer(std::string_view name, int64_t otherwise) const {
    const graph::Attribute* found = attribute(name);
    return found ? std::get<int64_t>(found->value) : otherwise;
  }
  std::optional<Ints> list(std::string_view name) const {
    const graph::Attribute* found = attribute(name);
    return found ? std::optional(std::get<Ints>(found->value)) : std::nullopt;
  }
  DType dtype_attribute(std::string_view name, DType otherwise) const {
    const graph::Attribute* found = attribute(name);
    return found ? graph::dtype_from_onnx(static_cast<int32_t>(std::get<int64_t>(found->value)))
                 : otherwise;
  }

 private:
  const InferenceInput& input_;
};

Type tensor(DType dtype, std::optional<Shape> shape = std::nullopt);

Type elementwise(const Node& n);
Type predicate(const Node& n);
Type where(const Node& n);
Type shape_op(const Node& n);
Type transpose(const Node& n);
Type unsqueeze(const Node& n);
Type squeeze(const Node& n);
Type concat(const Node& n);
Type gather(const Node& n);
Type gather_elements(const Node& n);
Type matmul(const Node& n);
Type gemm(const Node& n);
Type reduce(const Node& n);
Type arg_reduce(const Node& n);
Type reshape(const Node& n);
Type expand(const Node& n);
Type slice(const Node& n);
Type constant_of_shape(const Node& n);
Type sequence_at(const Node& n);
Type sequence_of(const Node& n);

}  // namespace modelexport::lowering::rules
