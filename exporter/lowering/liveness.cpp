#include "exporter/lowering/liveness.h"

#include <algorithm>

#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

template <typename Visit>
void for_each_value(const Argument& argument, const Visit& visit) {
  if (const auto* ref = std::get_if<ValueRef>(&argument)) {
    if (ref->id != kNone) visit(ref->id);
  } else if (const auto* list = std::get_if<ArgumentList>(&argument)) {
    for (const Argument& element : *list) for_each_value(element, visit);
  }
}

class Liveness {
 public:
  explicit Liveness(const Program& program)
      : program_(program),
        from_parameter_(program.values.size()),
        used_(program.values.size()),
        is_input_symbol_(program.symbols.size()) {
    for (size_t i = 0; i < program.values.size(); ++i) {
      const TensorId constant = program.values[i].constant;
      from_parameter_[i] = constant != kNone && program.tensors[constant].role == Role::parameter;
    }
    for (const Port& input : program.inputs) {
      const modelexport::Value& value = program.values[input.value];
      if (value.kind != Kind::tensor) continue;
      for (Dim dim : value.shape) {
        if (!is_static(dim)) is_input_symbol_[symbol_index(dim)] = true;
      }
    }
    spread_parameters(program.body);
    for (const Port& output : program.outputs) used_[output.value] = true;
    visit(program.body);
  }

  LiveOperators take() { return std::move(live_); }

 private:
  void spread_parameters(const Block& block) {
    for (const Op& op : block.ops) {
      bool found = false;
      for (const Argument& argument : op.arguments) {
        for_each_value(argument, [&](modelexport::ValueId id) { found |= from_parameter_[id]; });
      }
      for (modelexport::ValueId id : op.outputs) {
        if (id != kNone && found) from_parameter_[id] = true;
      }
      for (const Block& inner : op.blocks) spread_parameters(inner);
    }
  }

  // Backwards, so that an operator's users have been seen before it.
  void visit(const Block& block) {
    for (auto op = block.ops.rbegin(); op != block.ops.rend(); ++op) {
      if (!is_needed(*op)) continue;
      live_.insert(&*op);
      for (const Argument& argument : op->arguments) {
        for_each_value(argument, [&](modelexport::ValueId id) { used_[id] = true; });
      }
      for (const Block& inner : op->blocks) {
        for (modelexport::ValueId id : inner.outputs) used_[id] = true;
        visit(inner);
      }
    }
  }

  bool is_needed(const Op& op) const {
    return std::any_of(op.outputs.begin(), op.outputs.end(), [&](modelexport::ValueId id) {
      return id != kNone && used_[id] && !is_at_hand(op, id);
    });
  }

  bool is_at_hand(const Op& op, modelexport::ValueId id) const {
    const modelexport::Value& value = program_.values[id];
    if (value.size && (is_static(*value.size) || is_input_symbol_[symbol_index(*value.size)])) {
      return true;
    }
    if (value.constant == kNone) return false;
    if (!find_row(program_, op)) return true;
    return !from_parameter_[id] &&
           program_.tensors[value.constant].element_count() <= kSmallConstant;
  }

  const Program& program_;
  std::vector<bool> from_parameter_;  // by value
  std::vector<bool> used_;            // by value: an operator seen so far needs it
  std::vector<bool> is_input_symbol_;
  LiveOperators live_;
};

}  // namespace

LiveOperators live_operators(const Program& program) { return Liveness(program).take(); }

const Row* find_row(const Program& program, const Op& op) {
  const std::string& key = program.schemas[op.schema].key;
  bool sequence = false;
  const auto look = [&](modelexport::ValueId id) {
    sequence |= program.values[id].kind == Kind::sequence;
  };
  for (const Argument& argument : op.arguments) for_each_value(argument, look);
  for (modelexport::ValueId id : op.outputs) {
    if (id != kNone) look(id);
  }
  return sequence && op.blocks.empty() ? find_for_sequence(key) : find(key);
}

}  // namespace modelexport::lowering
