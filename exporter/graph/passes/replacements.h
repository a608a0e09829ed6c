// What stands for values that a pass does away with. The nodes that made them stay until dead code
// is removed, so that nothing moves while a pass walks the graph.
#pragma once

#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

class Replacements {
 public:
  explicit Replacements(size_t values) : by_value_(values, kNone) {}

  // `with` comes before `value` and has no replacement itself.
  void replace(ValueId value, ValueId with) { by_value_[value] = with; }

  ValueId of(ValueId value) const {
    if (value >= by_value_.size() || by_value_[value] == kNone) return value;
    return by_value_[value];
  }

  void apply(std::vector<ValueId>& values) const {
    for (ValueId& value : values) value = of(value);
  }

 private:
  std::vector<ValueId> by_value_;
};

// `kept` now also does what `other` did.
void absorb_origin(Node& kept, const Node& other, const Program& program);

}  // namespace modelexport::graph
