// A node and the one before it that are a single node, or none.
#include <algorithm>
#include <string>

#include "exporter/graph/passes/simplify.h"

namespace modelexport::graph {
namespace {

const Node* producer(const RuleContext& c, ValueId value, std::string_view op_type) {
  const Node* node = c.producer(value);
  return node && node->domain.empty() && node->op_type == op_type ? node : nullptr;
}

// Whether `to` has every value of `from`.
bool widens(DType from, DType to) {
  const auto bits = [](DType dtype) { return static_cast<int>(byte_size(dtype)) * 8; };
  if (from == to || from == DType::boolean) return !is_complex(to);
  if (is_integral(from) && is_integral(to)) {
    if (is_signed(from) && !is_signed(to)) return false;
    return is_signed(from) == is_signed(to) ? bits(from) <= bits(to) : bits(from) < bits(to);
  }
  const auto mantissa = [](DType dtype) {  // with the hidden bit
    switch (dtype) {
      case DType::f16:
        return 11;
      case DType::bf16:
        return 8;
      case DType::f32:
        return 24;
      case DType::f64:
        return 53;
      default:
        return 0;
    }
  };
  if (is_integral(from)) return bits(from) <= mantissa(to);
  if (mantissa(from) == 0 || mantissa(to) == 0) return false;
  return to == DType::f64 || (to == DType::f32 && from != DType::f64);
}

// aten::to after aten::to: the first one matters only if it loses something.
ValueId cast_of_cast(RuleContext& c, Node& node) {
  const Node* first = producer(c, node.inputs[0], "Cast");
  if (!first || !widens(c.dtype(first->inputs[0]), c.dtype(first->outputs[0]))) return kNone;
  if (c.dtype(first->inputs[0]) == c.dtype(node.outputs[0])) return first->inputs[0];
  if (!c.has_one_use(node.inputs[0])) return kNone;
  node.inputs[0] = first->inputs[0];
  absorb_origin(node, *first, c.program());
  return kNone;
}

// op(op(x)) is x.
ValueId involution(RuleContext& c, Node& node) {
  const Node* first = producer(c, node.inputs[0], node.op_type);
  return first ? first->inputs[0] : kNone;
}

ValueId transpose_of_transpose(RuleContext& c, Node& node) {
  const Node* first = producer(c, node.inputs[0], "Transpose");
  if (!first) return kNone;
  const Attribute* inner = find_attribute(*first, "perm");
  const Attribute* outer = find_attribute(node, "perm");
  if (!inner || !outer) return kNone;
  const auto& before = std::get<std::vector<int64_t>>(inner->value);
  auto permutation = std::get<std::vector<int64_t>>(outer->value);
  for (int64_t& axis : permutation) axis = before[static_cast<size_t>(axis)];
  if (std::is_sorted(permutation.begin(), permutation.end())) return first->inputs[0];
  if (!c.has_one_use(node.inputs[0])) return kNone;
  node.inputs[0] = first->inputs[0];
  node.attributes = {{"perm", std::move(permutation)}};
  absorb_origin(node, *first, c.program());
  return kNone;
}

// The constant that reshapes `from` to `to`: 0 keeps a dimension, and one may be left open.
std::optional<std::vector<int64_t>> reshape_target(const Shape& from, const Shape& to) {
  std::vector<int64_t> target = to;
  bool is_open = false;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0) return std::nullopt;
    if (is_static(to[i])) continue;
    if (i < from.size() && from[i] == to[i]) {
      target[i] = 0;
    } else if (is_open) {
      return std::nullopt;
    } else {
      target[i] = -1;
      is_open = true;
    }
  }
  return target;
}

const Node* reshaping_producer(const RuleContext& c, ValueId value) {
  for (const char* op_type : {"Reshape", "Squeeze", "Unsqueeze", "Flatten"}) {
    if (const Node* node = producer(c, value, op_type)) return node;
  }
  return nullptr;
}

// Reshape, Squeeze, Unsqueeze and Flatten keep the elements in their order: of several in a row,
// only the last shape counts.
ValueId reshape_of_reshape(RuleContext& c, Node& node) {
  const Node* first = reshaping_producer(c, node.inputs[0]);
  if (!first) return kNone;
  const ValueId source = first->inputs[0];
  const auto& from = c.shape(source);
  const auto& to = c.shape(node.outputs[0]);
  if (!from || !to) return kNone;
  if (*from == *to) return source;
  const auto target = reshape_target(*from, *to);
  if (!target || !c.has_one_use(node.inputs[0])) return kNone;
  node.op_type = "Reshape";
  node.inputs = {source,
                 c.add_constant(DType::i64, {static_cast<int64_t>(target->size())}, *target)};
  node.attributes.clear();
  absorb_origin(node, *first, c.program());
  return kNone;
}

// A shape that is computed where a constant would do.
ValueId reshape_to_constant(RuleContext& c, Node& node) {
  const auto& from = c.shape(node.inputs[0]);
  const auto& to = c.shape(node.outputs[0]);
  if (!from || !to || c.constant(node.inputs[1])) return kNone;
  const auto target = reshape_target(*from, *to);
  if (!target) return kNone;
  node.inputs[1] = c.add_constant(DType::i64, {static_cast<int64_t>(target->size())}, *target);
  node.attributes.clear();
  return kNone;
}

// Whether it counts 0, 1, 2... up to the size of the axis.
bool counts_up(const RuleContext& c, ValueId value, Dim size) {
  while (const Node* node = reshaping_producer(c, value)) value = node->inputs[0];
  if (const Node* range = producer(c, value, "Range")) {
    return c.integers(range->inputs[0]) == std::vector<int64_t>{0} &&
           c.integers(range->inputs[2]) == std::vector<int64_t>{1} && c.shape(value) == Shape{size};
  }
  const auto integers = c.integers(value);
  if (!integers || std::ssize(*integers) != size) return false;
  for (int64_t i = 0; i < size; ++i) {
    if ((*integers)[static_cast<size_t>(i)] != i) return false;
  }
  return true;
}

// Along which axis an index counts up over all of an axis of that size, the same along all others;
// -1 if it does not. `column`: a last axis of size 1 stands for the coordinate.
int64_t counting_axis(const RuleContext& c, ValueId column, Dim size) {
  const Node* unsqueeze = producer(c, column, "Unsqueeze");
  if (!unsqueeze) return -1;
  ValueId index = unsqueeze->inputs[0];
  if (const Node* expand = producer(c, index, "Expand")) index = expand->inputs[0];
  const auto& shape = c.shape(index);
  if (!shape || !c.shape(column) || shape->size() + 1 != c.shape(column)->size()) return -1;
  const auto is_long = [](Dim dim) { return dim != 1; };
  const auto axis = std::find_if(shape->begin(), shape->end(), is_long);
  if (axis == shape->end() || std::find_if(axis + 1, shape->end(), is_long) != shape->end()) {
    return -1;
  }
  return *axis == size && counts_up(c, index, size) ? axis - shape->begin() : -1;
}

// A tensor taken at every position, in order, is the tensor in another shape: how masks of
// attention are read.
ValueId gather_of_everything(RuleContext& c, Node& node) {
  const auto& data = c.shape(node.inputs[0]);
  const auto& result = c.shape(node.outputs[0]);
  const Node* positions = producer(c, node.inputs[1], "Concat");
  if (!data || !result || !positions || positions->inputs.size() != data->size()) return kNone;
  if (integer_attribute(node, "batch_dims", 0) != 0) return kNone;
  std::vector<bool> is_along(result->size());
  int64_t last = -1;
  for (size_t i = 0; i < data->size(); ++i) {
    const int64_t axis = counting_axis(c, positions->inputs[i], (*data)[i]);
    if (axis <= last || axis >= std::ssize(*result)) return kNone;
    is_along[static_cast<size_t>(axis)] = true;
    last = axis;
  }
  for (size_t i = 0; i < result->size(); ++i) {
    if (!is_along[i] && (*result)[i] != 1) return kNone;
  }
  const auto target = reshape_target(*data, *result);
  if (!target) return kNone;
  node.op_type = "Reshape";
  node.inputs[1] = c.add_constant(DType::i64, {std::ssize(*target)}, *target);
  node.attributes.clear();
  return kNone;
}

// Whether `shape` can be broadcast to `to`.
bool broadcasts(const Shape& shape, const Shape& to) {
  if (shape.size() > to.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const Dim dim = shape[shape.size() - 1 - i];
    if (dim != 1 && dim != to[to.size() - 1 - i]) return false;
  }
  return true;
}

// An Expand before an operator that broadcasts anyway, to a shape that another input has.
ValueId broadcast_of_expand(RuleContext& c, Node& node) {
  const auto& result = c.shape(node.outputs[0]);
  if (!result) return kNone;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Node* expand = producer(c, node.inputs[i], "Expand");
    if (!expand) continue;
    const auto& before = c.shape(expand->inputs[0]);
    if (!before || !broadcasts(*before, *result)) continue;
    for (size_t j = 0; j < node.inputs.size(); ++j) {
      if (j == i || c.shape(node.inputs[j]) != result) continue;
      node.inputs[i] = expand->inputs[0];
      break;
    }
  }
  return kNone;
}

// x * (1 / y) is x / y: what normalisations by aten::rsqrt come to. ONNX Runtime knows them in this
// form.
ValueId product_with_reciprocal(RuleContext& c, Node& node) {
  for (size_t i = 0; i < 2; ++i) {
    const Node* first = producer(c, node.inputs[i], "Reciprocal");
    if (!first || !c.has_one_use(node.inputs[i])) continue;
    node.op_type = "Div";
    node.inputs = {node.inputs[1 - i], first->inputs[0]};
    absorb_origin(node, *first, c.program());
    return kNone;
  }
  return kNone;
}

constexpr RuleRow kRows[] = {
    {"Cast", cast_of_cast},
    {"Neg", involution},
    {"Not", involution},
    {"Transpose", transpose_of_transpose},
    {"Reshape", reshape_of_reshape},
    {"Squeeze", reshape_of_reshape},
    {"Unsqueeze", reshape_of_reshape},
    {"Flatten", reshape_of_reshape},
    {"Reshape", reshape_to_constant},
    {"GatherND", gather_of_everything},
    {"Add", broadcast_of_expand},
    {"Sub", broadcast_of_expand},
    {"Mul", broadcast_of_expand},
    {"Mul", product_with_reciprocal},
    {"Div", broadcast_of_expand},
    {"Min", broadcast_of_expand},
    {"Max", broadcast_of_expand},
    {"And", broadcast_of_expand},
    {"Or", broadcast_of_expand},
    {"Equal", broadcast_of_expand},
    {"Less", broadcast_of_expand},
    {"LessOrEqual", broadcast_of_expand},
    {"Greater", broadcast_of_expand},
    {"GreaterOrEqual", broadcast_of_expand},
    {"Where", broadcast_of_expand},
};

}  // namespace

std::span<const RuleRow> pair_rules() { return kRows; }

}  // namespace modelexport::graph
