// Nodes that return one of their inputs unchanged.
#include <algorithm>
#include <climits>

#include "exporter/graph/literal.h"
#include "exporter/graph/passes/simplify.h"

namespace modelexport::graph {
namespace {

// Whether the value is a small constant of the graph, all of whose elements are `number`. A
// parameter never counts as one, whatever it holds: it has to stay in the file.
bool is_all(const RuleContext& c, ValueId value, double number) {
  constexpr int64_t kMost = 64;
  const TensorData* tensor = c.constant(value);
  const auto* bytes = tensor ? std::get_if<std::string>(&tensor->data) : nullptr;
  if (!bytes || tensor->dtype == DType::string || is_complex(tensor->dtype)) return false;
  const int64_t count = element_count(*tensor);
  if (count > kMost) return false;
  for (int64_t i = 0; i < count; ++i) {
    if (to_double(element_at(*bytes, tensor->dtype, static_cast<size_t>(i))) != number)
      return false;
  }
  return true;
}

// `input` if it has the type and shape of the node's output.
ValueId same_type(const RuleContext& c, const Node& node, ValueId input) {
  const ValueId output = node.outputs[0];
  const bool same = c.dtype(input) == c.dtype(output) && c.shape(input) && c.shape(output) &&
                    *c.shape(input) == *c.shape(output);
  return same ? input : kNone;
}

ValueId identity(RuleContext&, Node& node) { return node.inputs[0]; }

ValueId only_input(RuleContext&, Node& node) {
  return node.inputs.size() == 1 ? node.inputs[0] : kNone;
}

// op(x, kNumber) is x; also the other way round if it commutes.
template <int kNumber, bool kCommutes>
ValueId neutral_element(RuleContext& c, Node& node) {
  if (is_all(c, node.inputs[1], kNumber)) return same_type(c, node, node.inputs[0]);
  if (kCommutes && is_all(c, node.inputs[0], kNumber)) return same_type(c, node, node.inputs[1]);
  return kNone;
}

ValueId where(RuleContext& c, Node& node) {
  if (is_all(c, node.inputs[0], 1)) return same_type(c, node, node.inputs[1]);
  if (is_all(c, node.inputs[0], 0)) return same_type(c, node, node.inputs[2]);
  return kNone;
}

ValueId cast(RuleContext& c, Node& node) {
  return c.dtype(node.inputs[0]) == c.dtype(node.outputs[0]) ? node.inputs[0] : kNone;
}

ValueId transpose(RuleContext&, Node& node) {
  const Attribute* attribute = find_attribute(node, "perm");
  if (!attribute) return kNone;
  const auto& perm = std::get<std::vector<int64_t>>(attribute->value);
  return std::is_sorted(perm.begin(), perm.end()) ? node.inputs[0] : kNone;
}

// The elements stay in their order, so that only the shape could differ.
ValueId same_shape(RuleContext& c, Node& node) { return same_type(c, node, node.inputs[0]); }

ValueId slice(RuleContext& c, Node& node) {
  const auto all = [&](size_t input, auto&& is_fine) {
    const auto integers = c.integers(node.inputs[input]);
    return integers && std::all_of(integers->begin(), integers->end(), is_fine);
  };
  const bool everything = all(1, [](int64_t start) { return start == 0; }) &&
                          all(2, [](int64_t end) { return end >= INT_MAX; }) &&
                          (node.inputs.size() < 5 || node.inputs[4] == kNone ||
                           all(4, [](int64_t step) { return step == 1; }));
  return everything ? node.inputs[0] : kNone;
}

// Repetitions or paddings of this number change nothing.
template <int kNumber>
ValueId no_repetition(RuleContext& c, Node& node) {
  return is_all(c, node.inputs[1], kNumber) ? node.inputs[0] : kNone;
}

constexpr RuleRow kRows[] = {
    {"Identity", identity},
    {"Concat", only_input},
    {"Max", only_input},
    {"Min", only_input},
    {"Sum", only_input},
    {"Clip", only_input},
    {"Add", neutral_element<0, true>},
    {"Sub", neutral_element<0, false>},
    {"Mul", neutral_element<1, true>},
    {"Div", neutral_element<1, false>},
    {"Pow", neutral_element<1, false>},
    {"And", neutral_element<1, true>},
    {"Or", neutral_element<0, true>},
    {"Where", where},
    {"Cast", cast},
    {"Transpose", transpose},
    {"Reshape", same_shape},
    {"Flatten", same_shape},
    {"Squeeze", same_shape},
    {"Expand", same_shape},
    {"Slice", slice},
    {"Tile", no_repetition<1>},
    {"Pad", no_repetition<0>},
};

}  // namespace

std::span<const RuleRow> neutral_rules() { return kRows; }

}  // namespace modelexport::graph
