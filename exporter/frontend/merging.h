// What the two branches of an If leave, made one: each pair of values that differ becomes a result of
// the If, in the worlds that are current (each of which took one of the branches).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {

// The branches leave values that no ONNX value can stand for: tensors of other ranks...
struct CannotMerge {
  std::string why;
};

struct Interpreter::Branch {
  Block block;
  Journal journal;
  std::vector<Val> outputs;
  Attributes attributes;  // as the branch leaves them
  std::optional<Error> failure;
};

struct Interpreter::Merging {
  Branch (&branches)[2];                            // then, else
  std::vector<bool> conditions;                     // of each lane
  std::vector<std::pair<ValueId, ValueId>> pairs;   // what the branches give...
  std::vector<ValueId> outputs;                     // ...for each output of the If
  // Results whose shape or length depends on the branch, with what the other one gives in lane 0.
  std::vector<std::pair<Val, c10::IValue>> differing;

  void add(ValueId then_value, ValueId else_value, ValueId output) {
    pairs.emplace_back(then_value, else_value);
    outputs.push_back(output);
  }
};

// Whether the values are one and the same.
bool same(const Val& a, const Val& b);

// The value of an entry with a known key; nullptr if there is none.
const Val* find_entry(const DictVal& dict, const Val& key);

}  // namespace modelexport::frontend
