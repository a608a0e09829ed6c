// Arithmetic on small constants of integers and booleans of rank 0 or 1: what shape computations
// leave behind once sizes are known.
#include <algorithm>
#include <array>
#include <limits>

#include "exporter/graph/passes/simplify.h"

namespace modelexport::graph {
namespace {

using Ints = std::vector<int64_t>;

constexpr size_t kMost = 64;  // elements of a result

struct Vector {  // a constant of rank 0 or 1
  Ints values;
  bool is_scalar = false;
};

std::optional<Vector> vector(const RuleContext& c, ValueId value) {
  const TensorData* tensor = c.constant(value);
  if (!tensor || tensor->dims.size() > 1) return std::nullopt;
  auto integers = c.integers(value);
  if (!integers) return std::nullopt;
  return Vector{std::move(*integers), tensor->dims.empty()};
}

ValueId fold(RuleContext& c, const Node& node, const Ints& values, bool is_scalar) {
  const DType dtype = c.dtype(node.outputs[0]);
  if (values.size() > kMost || (!is_integral(dtype) && dtype != DType::boolean)) return kNone;
  Ints dims;
  if (!is_scalar) dims.push_back(static_cast<int64_t>(values.size()));
  return c.add_constant(dtype, std::move(dims), values);
}

// int64 arithmetic that wraps, as the kernels' does.
int64_t add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t multiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
int64_t quotient(int64_t a, int64_t b) { return a / b; }
int64_t minimum(int64_t a, int64_t b) { return std::min(a, b); }
int64_t maximum(int64_t a, int64_t b) { return std::max(a, b); }
int64_t equal(int64_t a, int64_t b) { return a == b; }
int64_t less(int64_t a, int64_t b) { return a < b; }
int64_t greater(int64_t a, int64_t b) { return a > b; }

template <int64_t (*kFunction)(int64_t, int64_t)>
ValueId binary(RuleContext& c, Node& node) {
  if (node.inputs.size() != 2 || c.dtype(node.inputs[0]) == DType::u64) return kNone;
  const auto a = vector(c, node.inputs[0]);
  const auto b = vector(c, node.inputs[1]);
  if (!a || !b) return kNone;
  const size_t size_a = a->values.size();
  const size_t size_b = b->values.size();
  if (size_a != size_b && size_a != 1 && size_b != 1) return kNone;
  Ints result(size_a == 1 ? size_b : size_a);
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = kFunction(a->values[size_a == 1 ? 0 : i], b->values[size_b == 1 ? 0 : i]);
  }
  return fold(c, node, result, a->is_scalar && b->is_scalar);
}

ValueId divide(RuleContext& c, Node& node) {
  const auto divisor = vector(c, node.inputs[1]);
  const auto is_unsafe = [](int64_t value) { return value == 0 || value == -1; };
  if (!divisor || std::any_of(divisor->values.begin(), divisor->values.end(), is_unsafe)) {
    return kNone;
  }
  return binary<quotient>(c, node);
}

ValueId cast(RuleContext& c, Node& node) {
  const auto value = vector(c, node.inputs[0]);
  return value ? fold(c, node, value->values, value->is_scalar) : kNone;
}

ValueId concat(RuleContext& c, Node& node) {
  Ints result;
  for (ValueId input : node.inputs) {
    const auto piece = vector(c, input);
    if (!piece || piece->is_scalar) return kNone;
    result.insert(result.end(), piece->values.begin(), piece->values.end());
  }
  return fold(c, node, result, false);
}

// The same elements with one dimension or none.
ValueId rearrange(RuleContext& c, Node& node) {
  const auto value = vector(c, node.inputs[0]);
  const auto& shape = c.shape(node.outputs[0]);
  if (!value || !shape || shape->size() > 1) return kNone;
  return fold(c, node, value->values, shape->empty());
}

// Sizes [start, end) of a value as far as they are known; symbols are negative.
std::optional<Shape> sizes_of(const RuleContext& c, const Node& node) {
  const auto& shape = c.shape(node.inputs[0]);
  if (!shape) return std::nullopt;
  const auto rank = static_cast<int64_t>(shape->size());
  const auto bound = [&](const char* name, int64_t otherwise) {
    const int64_t given = integer_attribute(node, name, otherwise);
    return std::clamp<int64_t>(given < 0 ? given + rank : given, 0, rank);
  };
  const int64_t start = bound("start", 0);
  const int64_t end = std::max(start, bound("end", rank));
  return Shape(shape->begin() + start, shape->begin() + end);
}

ValueId shape(RuleContext& c, Node& node) {
  const auto sizes = sizes_of(c, node);
  return sizes && is_static(*sizes) ? fold(c, node, *sizes, false) : kNone;
}

// A constant, or the result of Shape: what is not known of it is negative and must not be used.
std::optional<Ints> elements(const RuleContext& c, ValueId value) {
  if (const auto constant = vector(c, value)) {
    return constant->is_scalar ? std::nullopt : std::optional(constant->values);
  }
  const Node* node = c.producer(value);
  if (!node || !node->domain.empty() || node->op_type != "Shape") return std::nullopt;
  return sizes_of(c, *node);
}

// Folds what was taken from `value` if all of it is known.
ValueId fold_taken(RuleContext& c, const Node& node, ValueId value, const Ints& taken,
                   bool is_scalar) {
  return c.constant(value) || is_static(taken) ? fold(c, node, taken, is_scalar) : kNone;
}

ValueId gather(RuleContext& c, Node& node) {
  const auto data = elements(c, node.inputs[0]);
  const auto indices = vector(c, node.inputs[1]);
  if (!data || !indices) return kNone;
  const auto size = static_cast<int64_t>(data->size());
  Ints taken;
  for (int64_t index : indices->values) {
    if (index < 0) index += size;
    if (index < 0 || index >= size) return kNone;
    taken.push_back((*data)[static_cast<size_t>(index)]);
  }
  return fold_taken(c, node, node.inputs[0], taken, indices->is_scalar);
}

ValueId slice(RuleContext& c, Node& node) {
  const auto data = elements(c, node.inputs[0]);
  std::array<int64_t, 2> bounds{};
  for (size_t i = 0; i < 2; ++i) {
    const auto bound = vector(c, node.inputs[i + 1]);
    if (!data || !bound || bound->values.size() != 1) return kNone;
    const auto size = static_cast<int64_t>(data->size());
    const int64_t given = bound->values[0];
    bounds[i] = std::clamp<int64_t>(given < 0 ? given + size : given, 0, size);
  }
  if (node.inputs.size() > 4 && node.inputs[4] != kNone) {
    const auto step = vector(c, node.inputs[4]);
    if (!step || step->values != Ints{1}) return kNone;
  }
  const Ints taken(data->begin() + bounds[0], data->begin() + std::max(bounds[0], bounds[1]));
  return fold_taken(c, node, node.inputs[0], taken, false);
}

constexpr RuleRow kRows[] = {
    {"Add", binary<add>},     {"Sub", binary<subtract>}, {"Mul", binary<multiply>},
    {"Div", divide},          {"Min", binary<minimum>},  {"Max", binary<maximum>},
    {"Equal", binary<equal>}, {"Less", binary<less>},    {"Greater", binary<greater>},
    {"Cast", cast},           {"Concat", concat},        {"Reshape", rearrange},
    {"Squeeze", rearrange},   {"Unsqueeze", rearrange},  {"Shape", shape},
    {"Gather", gather},       {"Slice", slice},
};

}  // namespace

std::span<const RuleRow> fold_rules() { return kRows; }

}  // namespace modelexport::graph
