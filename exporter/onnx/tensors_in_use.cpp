#include <unordered_map>
#include <unordered_set>

#include "exporter/onnx/weight_writer.h"
#include "exporter/program/argument_values.h"

namespace modelexport::onnx {
namespace {

class Liveness {
 public:
  explicit Liveness(const Program& program) : program_(program) {
    find_producers(program.body);
    need_all(program.body.outputs);
    while (!pending_.empty()) {
      const Op* op = pending_.back();
      pending_.pop_back();
      for_each_value(op->arguments, [&](ValueId id) { need(id); });
      for (const Block& block : op->blocks) need_all(block.outputs);
    }
  }

  std::vector<TensorId> tensors() {
    collect(program_.body);
    return std::move(tensors_);
  }

 private:
  void find_producers(const Block& block) {
    for (const Op& op : block.ops) {
      for (ValueId output : op.outputs) {
        if (output != kNone) producers_.emplace(output, &op);
      }
      for (const Block& nested : op.blocks) find_producers(nested);
    }
  }

  void need_all(const std::vector<ValueId>& values) {
    for (ValueId id : values) need(id);
  }

  void need(ValueId id) {
    const auto producer = producers_.find(id);
    if (producer != producers_.end() && live_.insert(producer->second).second) {
      pending_.push_back(producer->second);
    }
  }

  void collect(const Block& block) {
    for (const Op& op : block.ops) {
      if (!live_.contains(&op)) continue;
      for_each_value(op.arguments, [&](ValueId id) { use(id); });
      for (const Block& nested : op.blocks) collect(nested);
    }
    for (ValueId id : block.outputs) use(id);
  }

  void use(ValueId id) {
    if (id == kNone || producers_.contains(id)) return;
    const TensorId tensor = program_.values[id].constant;
    if (tensor != kNone && seen_.insert(tensor).second) tensors_.push_back(tensor);
  }

  const Program& program_;
  std::unordered_map<ValueId, const Op*> producers_;
  std::unordered_set<const Op*> live_;
  std::vector<const Op*> pending_;
  std::unordered_set<TensorId> seen_;
  std::vector<TensorId> tensors_;
};

}  // namespace

std::vector<TensorId> tensors_in_use(const Program& program) { return Liveness(program).tensors(); }

}  // namespace modelexport::onnx
