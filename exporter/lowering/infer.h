// Types of intermediate values: dtype and shape of an ONNX operator's outputs where they follow from
// those of its inputs. The program's own values have observed types; this is for what a lowering
// computes on the way. Shapes that would need an operator's full rules stay unknown (nullopt).
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::lowering {

struct Type {
  Kind kind = Kind::tensor;
  DType dtype = DType::undefined;
  std::optional<Shape> shape;
};

struct InferenceInput {
  std::string_view op_type;
  const std::vector<Type>& inputs;  // undefined for omitted ones
  const std::vector<graph::Attribute>& attributes;
  // Contents of input i if it is a constant of integers.
  std::function<std::optional<std::vector<int64_t>>(size_t)> integers;
};

std::vector<Type> infer(const InferenceInput& node, size_t outputs);

// Numpy broadcasting; nullopt if a dimension cannot be told.
std::optional<Shape> broadcast(const std::optional<Shape>& a, const std::optional<Shape>& b);

}  // namespace modelexport::lowering
