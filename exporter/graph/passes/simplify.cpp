#include "exporter/graph/passes/simplify.h"

#include <map>
#include <string>

#include "exporter/graph/literal.h"

namespace modelexport::graph {
namespace {

constexpr int64_t kMostIntegers = 64;

// In the order of the rows, for each operator.
const std::multimap<std::string_view, Rule>& rules() {
  static const auto* all = [] {
    auto* table = new std::multimap<std::string_view, Rule>;
    for (const auto rows : {fold_rules(), gelu_rules(), pair_rules(), neutral_rules()}) {
      for (const RuleRow& row : rows) table->emplace(row.op_type, row.rule);
    }
    return table;
  }();
  return *all;
}

void count_uses(const Block& block, std::vector<uint32_t>& uses) {
  for (const Node& node : block.nodes) {
    for (ValueId id : node.inputs) {
      if (id != kNone) ++uses[id];
    }
    for (const Attribute& attribute : node.attributes) {
      const auto* nested = std::get_if<std::shared_ptr<Block>>(&attribute.value);
      if (nested) count_uses(**nested, uses);
    }
  }
  for (ValueId id : block.outputs) ++uses[id];
}

}  // namespace

// Walks the blocks, applies the rules, keeps the context up to date.
class Simplifier {
 public:
  Simplifier(Graph& graph, const Program& program)
      : context_(graph, program), replacements_(graph.values.size()) {}

  void run(Graph& graph) {
    walk(graph.body);
    replacements_.apply(graph.of_program);
  }

 private:
  void walk(Block& block) {
    for (Node& node : block.nodes) {
      replacements_.apply(node.inputs);
      for (Attribute& attribute : node.attributes) {
        auto* nested = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (nested) walk(**nested);
      }
      if (node.domain.empty()) apply_rules(node);
      for (ValueId id : node.outputs) {
        if (id != kNone) context_.producers_[id] = &node;
      }
    }
    replacements_.apply(block.outputs);
    // What is defined in the block cannot be referred to from here on.
    for (Node& node : block.nodes) {
      for (ValueId id : node.outputs) {
        if (id != kNone) context_.producers_[id] = nullptr;
      }
    }
  }

  void apply_rules(Node& node) {
    const auto [begin, end] = rules().equal_range(node.op_type);
    std::vector<Rule> applicable;  // copied, as a rule may change the operator
    for (auto row = begin; row != end; ++row) applicable.push_back(row->second);
    const std::string op_type = node.op_type;
    for (Rule rule : applicable) {
      const ValueId same = rule(context_, node);
      if (same != kNone) {
        if (!context_.graph_.values[same].shape) {
          context_.graph_.values[same].shape = context_.shape(node.outputs[0]);
        }
        replacements_.replace(node.outputs[0], same);
        return;
      }
      if (node.op_type != op_type) return;
    }
  }

  RuleContext context_;
  Replacements replacements_;
};

void simplify(Graph& graph, const Program& program) { Simplifier(graph, program).run(graph); }

RuleContext::RuleContext(Graph& graph, const Program& program)
    : graph_(graph),
      program_(program),
      producers_(graph.values.size(), nullptr),
      uses_(graph.values.size(), 0),
      initializers_(graph.values.size(), kNone) {
  count_uses(graph.body, uses_);
  for (size_t i = 0; i < graph.initializers.size(); ++i) {
    initializers_[graph.initializers[i].value] = static_cast<uint32_t>(i);
  }
}

const Node* RuleContext::producer(ValueId value) const {
  return value < producers_.size() ? producers_[value] : nullptr;
}

bool RuleContext::has_one_use(ValueId value) const {
  return value < uses_.size() && uses_[value] == 1;
}

const TensorData* RuleContext::constant(ValueId value) const {
  if (value == kNone || initializers_[value] == kNone) return nullptr;
  return &graph_.initializers[initializers_[value]].tensor;
}

std::optional<std::vector<int64_t>> RuleContext::integers(ValueId value) const {
  const TensorData* tensor = constant(value);
  if (!tensor || (!is_integral(tensor->dtype) && tensor->dtype != DType::boolean)) {
    return std::nullopt;
  }
  const int64_t count = element_count(*tensor);
  if (count > kMostIntegers) return std::nullopt;
  std::string bytes;
  if (const auto* owned = std::get_if<std::string>(&tensor->data)) {
    bytes = *owned;
  } else {
    bytes = contiguous_bytes(program_, program_.tensors[std::get<TensorId>(tensor->data)]);
  }
  std::vector<int64_t> integers;
  for (int64_t i = 0; i < count; ++i) {
    const Number number = element_at(bytes, tensor->dtype, static_cast<size_t>(i));
    integers.push_back(std::get<int64_t>(number));
  }
  return integers;
}

ValueId RuleContext::add_constant(DType dtype, std::vector<int64_t> dims,
                                  const std::vector<int64_t>& values) {
  std::string bytes;
  for (int64_t value : values) append_element(bytes, dtype, value);
  const auto id = static_cast<ValueId>(graph_.values.size());
  graph_.values.push_back({.dtype = dtype, .shape = dims});
  initializers_.push_back(static_cast<uint32_t>(graph_.initializers.size()));
  graph_.initializers.push_back({id, {dtype, std::move(dims), std::move(bytes)}});
  return id;
}

const Attribute* find_attribute(const Node& node, std::string_view name) {
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

int64_t integer_attribute(const Node& node, std::string_view name, int64_t otherwise) {
  const Attribute* attribute = find_attribute(node, name);
  return attribute ? std::get<int64_t>(attribute->value) : otherwise;
}

}  // namespace modelexport::graph
