// The values that nodes refer to and define, with those of their blocks.
#pragma once

#include <memory>
#include <variant>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// Every value that a node refers to, also from within its blocks.
template <typename Visit>
void for_each_use(Node& node, const Visit& visit) {
  for (ValueId& id : node.inputs) {
    if (id != kNone) visit(id);
  }
  for (Attribute& attribute : node.attributes) {
    auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
    if (!inner) continue;
    for (Node& nested : (*inner)->nodes) for_each_use(nested, visit);
    for (ValueId& id : (*inner)->outputs) visit(id);
  }
}

// Every value that a node defines, also within its blocks.
template <typename Visit>
void for_each_definition(Node& node, const Visit& visit) {
  for (ValueId& id : node.outputs) {
    if (id != kNone) visit(id);
  }
  for (Attribute& attribute : node.attributes) {
    auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
    if (!inner) continue;
    for (ValueId& id : (*inner)->inputs) visit(id);
    for (Node& nested : (*inner)->nodes) for_each_definition(nested, visit);
  }
}

}  // namespace modelexport::graph
