// GELU as models spell it out, which is one node from opset 20 on.
#include <cmath>

#include "exporter/graph/literal.h"
#include "exporter/graph/passes/simplify.h"

namespace modelexport::graph {
namespace {

constexpr int kOpsetOfGelu = 20;

bool is_number(const RuleContext& c, ValueId value, double number) {
  const TensorData* tensor = c.constant(value);
  const auto* bytes = tensor ? std::get_if<std::string>(&tensor->data) : nullptr;
  if (!bytes || !is_floating(tensor->dtype) || element_count(*tensor) != 1) return false;
  const double tolerance = tensor->dtype == DType::f16 ? 1e-3 : 1e-6;
  return std::abs(to_double(element_at(*bytes, tensor->dtype, 0)) - number) <= tolerance * number;
}

// What the nodes of a pattern are, from the last one backwards. Each step gives kNone, which fits
// nothing, where the graph is another.
class Pattern {
 public:
  explicit Pattern(const RuleContext& c) : c_(c) {}

  const std::vector<const Node*>& nodes() const { return nodes_; }

  const Node* made_by(ValueId value, std::string_view op_type) {
    const Node* node = value == kNone ? nullptr : c_.producer(value);
    if (!node || !node->domain.empty() || node->op_type != op_type) return nullptr;
    nodes_.push_back(node);
    return node;
  }

  // x of op(x).
  ValueId operand(ValueId value, std::string_view op_type) {
    const Node* node = made_by(value, op_type);
    return node ? node->inputs[0] : kNone;
  }

  // x of op(x, number) or, where that is the same, of op(number, x).
  ValueId operand(ValueId value, std::string_view op_type, double number) {
    const Node* node = made_by(value, op_type);
    if (!node) return kNone;
    if (is_number(c_, node->inputs[1], number)) return node->inputs[0];
    const bool commutes = op_type == "Add" || op_type == "Mul";
    return commutes && is_number(c_, node->inputs[0], number) ? node->inputs[1] : kNone;
  }

 private:
  const RuleContext& c_;
  std::vector<const Node*> nodes_;
};

// Whether it is sqrt(2 / pi) * (x + 0.044715 * x ** 3).
bool is_argument_of_tanh(Pattern& pattern, ValueId value, ValueId x) {
  const Node* sum = pattern.made_by(pattern.operand(value, "Mul", std::sqrt(2 / M_PI)), "Add");
  if (!sum || (sum->inputs[0] != x && sum->inputs[1] != x)) return false;
  const ValueId cubic = sum->inputs[sum->inputs[0] == x ? 1 : 0];
  return pattern.operand(pattern.operand(cubic, "Mul", 0.044715), "Pow", 3) == x;
}

// x / 2 * (1 + tanh(...)) or x / 2 * (1 + erf(x / sqrt(2))).
ValueId gelu(RuleContext& c, Node& node) {
  const DType dtype = c.dtype(node.outputs[0]);
  if (c.opset() < kOpsetOfGelu || (dtype != DType::f32 && dtype != DType::f16)) return kNone;
  for (const size_t half : {0, 1}) {
    Pattern pattern(c);
    const ValueId x = pattern.operand(node.inputs[half], "Mul", 0.5);
    const ValueId curve = pattern.operand(node.inputs[1 - half], "Add", 1);
    if (x == kNone || curve == kNone || c.shape(x) != c.shape(node.outputs[0])) continue;
    const bool is_tanh = is_argument_of_tanh(pattern, pattern.operand(curve, "Tanh"), x);
    if (!is_tanh && pattern.operand(pattern.operand(curve, "Erf"), "Div", M_SQRT2) != x) continue;
    node.op_type = "Gelu";
    node.inputs = {x};
    node.attributes = {{"approximate", std::string(is_tanh ? "tanh" : "none")}};
    for (const Node* part : pattern.nodes()) absorb_origin(node, *part, c.program());
    return kNone;
  }
  return kNone;
}

constexpr RuleRow kRows[] = {{"Mul", gelu}};

}  // namespace

std::span<const RuleRow> gelu_rules() { return kRows; }

}  // namespace modelexport::graph
