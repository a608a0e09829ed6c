#include "exporter/lowering/liveness.h"

#include <algorithm>

#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

class Liveness {
 public:
  Liveness(const Program& program, const Dataflow& flow, const Lowerings& lowerings)
      : program_(program), flow_(flow), lowerings_(lowerings), used_(program.values.size()) {
    for (const Port& output : program.outputs) used_[output.value] = true;
    visit(program.body);
  }

  LiveOperators take() { return std::move(live_); }

 private:
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
    const bool is_size = value.size && !flow_.from_data[id];
    if (is_size && !is_static(*value.size) && flow_.input_symbol[symbol_index(*value.size)]) {
      return true;
    }
    const bool is_known = value.constant != kNone || (is_size && is_static(*value.size));
    if (is_known && !lowerings_.find(program_, op)) return true;
    return value.constant != kNone && !flow_.from_parameter[id] &&
           program_.tensors[value.constant].element_count() <= kSmallConstant;
  }

  const Program& program_;
  const Dataflow& flow_;
  const Lowerings& lowerings_;
  std::vector<bool> used_;  // by value: an operator seen so far needs it
  LiveOperators live_;
};

}  // namespace

LiveOperators live_operators(const Program& program, const Dataflow& flow,
                             const Lowerings& lowerings) {
  return Liveness(program, flow, lowerings).take();
}

}  // namespace modelexport::lowering
