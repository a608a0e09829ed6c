// One walk over the graph in order, in which each node is looked at by the rules for its operator:
//
//   neutral_rules.cpp   nodes that return their input: Identity, x + 0, a Slice of everything...
//   pair_rules.cpp      two nodes that are one or none: Cast of Cast, Transpose of Transpose...
//   gelu_rules.cpp      GELU spelled out
//   fold_rules.cpp      arithmetic on small integer constants: what is left of shape computations
//
// The nodes that are no longer used stay; dead_code.h removes them.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/graph/passes/replacements.h"

namespace modelexport::graph {

void simplify(Graph& graph, const Program& program);

// ---- for the rules
// --------------------------------------------------------------------------------

// The graph as a rule sees it.
class RuleContext {
 public:
  RuleContext(Graph& graph, const Program& program);

  const Program& program() const { return program_; }
  int opset() const { return graph_.opset; }

  // nullptr for inputs, initializers and what is defined in a block that has ended.
  const Node* producer(ValueId value) const;
  // Whether no other node used the value when the walk began.
  bool has_one_use(ValueId value) const;
  DType dtype(ValueId value) const { return graph_.values[value].dtype; }
  const std::optional<Shape>& shape(ValueId value) const { return graph_.values[value].shape; }
  // nullptr if the value is not an initializer.
  const TensorData* constant(ValueId value) const;
  // Elements of a constant of at most 64 integers or booleans; nullopt if it is not one.
  std::optional<std::vector<int64_t>> integers(ValueId value) const;

  // A new initializer.
  ValueId add_constant(DType dtype, std::vector<int64_t> dims, const std::vector<int64_t>& values);

 private:
  friend class Simplifier;

  Graph& graph_;
  const Program& program_;
  std::vector<const Node*> producers_;  // by value
  std::vector<uint32_t> uses_;
  std::vector<uint32_t> initializers_;  // index into Graph::initializers, or kNone
};

// The value that the node's only output is the same as; kNone if there is none. A rule may change
// the node's operator, attributes and inputs instead, to something that gives the same value.
using Rule = ValueId (*)(RuleContext&, Node&);

struct RuleRow {
  std::string_view op_type;
  Rule rule;
};

std::span<const RuleRow> neutral_rules();
std::span<const RuleRow> pair_rules();
std::span<const RuleRow> gelu_rules();
std::span<const RuleRow> fold_rules();

// nullptr if the node does not have it.
const Attribute* find_attribute(const Node& node, std::string_view name);
int64_t integer_attribute(const Node& node, std::string_view name, int64_t otherwise);

}  // namespace modelexport::graph
