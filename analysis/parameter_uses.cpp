#include "analysis/parameter_uses.h"

#include <algorithm>
#include <compare>
#include <set>
#include <string_view>
#include <unordered_map>

#include "analysis/operator_kinds.h"
#include "exporter/program/argument_values.h"

namespace modelexport::analysis {
namespace {

// Bytes of a storage that a tensor spans.
struct Range {
  int64_t begin = 0, end = 0;
  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
};
Range range_of(const Tensor& tensor) {
  if (tensor.element_count() == 0) return {};
  const auto width = static_cast<int64_t>(byte_size(tensor.dtype));
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.sizes.size(); ++i)
    last += (tensor.sizes[i] - 1) * tensor.strides[i];
  return {tensor.offset * width, (last + 1) * width};
}

class UseFinder {
 public:
  explicit UseFinder(const Program& program) : program_(program) {
    by_position_.assign(program.values.size(), true);
    looked_up_.resize(program.values.size());
    softmax_of_.assign(program.values.size(), kNone);
    for (const Port& port : program.inputs) by_position_[port.value] = false;
    attends_.assign(program.scopes.size(), false);
    look_at(program.body);
    for (TensorId id = 0; id < program.tensors.size(); ++id)
      if (program.tensors[id].role != Role::constant)
        by_storage_[program.tensors[id].storage].push_back(id);
  }

  ParameterUses run() {
    result_.uses.resize(program_.tensors.size());
    result_.overlaps.resize(program_.tensors.size());
    for (const Scope& scope : program_.scopes) result_.calls.push_back({scope.parent});
    for (TensorId id = 0; id < program_.tensors.size(); ++id)
      if (program_.tensors[id].role != Role::constant)
        for (TensorId other : parameters_in(program_.tensors[id]))
          if (other != id) result_.overlaps[id].push_back(other);
    add_uses(program_.body);
    return std::move(result_);
  }

 private:
  const std::string& op_name(const Op& op) const { return program_.origins[op.origin].op; }

  // The call of a module that a scope is part of.
  ScopeId call_of(ScopeId scope) const {
    while (program_.scopes[scope].parent != kNone) {
      const Scope& own = program_.scopes[scope];
      const Scope& above = program_.scopes[own.parent];
      if (own.module != kNone && (own.module != above.module || own.path != above.path)) break;
      scope = own.parent;
    }
    return scope;
  }

  // Goes through the operators in order, so that what is known of their arguments comes first.
  void look_at(const Block& block) {
    for (const Op& op : block.ops) {
      const std::string& name = op_name(op);
      find_attention(op, name);
      bool by_position = reads_shape_only(name) || arguments_by_position(op, 0);
      for (const Block& inner : op.blocks) {
        for (ValueId value : inner.inputs) by_position_[value] = by_position;
        look_at(inner);
        for (ValueId value : inner.outputs) by_position = by_position && by_position_[value];
      }
      for (ValueId value : op.outputs)
        if (value != kNone)
          by_position_[value] = by_position || program_.values[value].constant != kNone;
    }
  }

  bool arguments_by_position(const Op& op, size_t first) const {
    bool result = true;
    for (size_t i = first; i < op.arguments.size(); ++i)
      for_each_value(op.arguments[i], [&](ValueId id) { result = result && by_position_[id]; });
    return result;
  }

  // The parameters of which a tensor has bytes.
  std::vector<TensorId> parameters_in(const Tensor& tensor) const {
    std::vector<TensorId> out;
    const auto at = by_storage_.find(tensor.storage);
    if (at == by_storage_.end()) return out;
    for (TensorId id : at->second)
      if (range_of(tensor).overlaps(range_of(program_.tensors[id]))) out.push_back(id);
    return out;
  }

  void add_uses(const Block& block) {
    for (const Op& op : block.ops) {
      for (size_t i = 0; i < op.arguments.size(); ++i)
        for_each_value(op.arguments[i], [&](ValueId id) {
          const TensorId tensor = program_.values[id].constant;
          if (tensor != kNone) add_use(op, i, tensor);
        });
      for (const Block& inner : op.blocks) add_uses(inner);
      follow(op);
    }
  }

  // A softmax that is multiplied with something is attention.
  void find_attention(const Op& op, const std::string& name) {
    const ScopeId call = call_of(program_.origins[op.origin].scope);
    if (attends(name)) attends_[call] = true;
    ScopeId softmax = normalizes(name) ? call : kNone;
    for (const Argument& argument : op.arguments)
      for_each_value(argument, [&](ValueId id) {
        if (softmax_of_[id] == kNone) return;
        if (multiplies(name)) attends_[softmax_of_[id]] = true;
        if (masks(name)) softmax = softmax_of_[id];
      });
    for (ValueId value : op.outputs)
      if (value != kNone) softmax_of_[value] = softmax;
  }

  // What attention looks up by positions is still of that parameter where another attention adds it
  // to something.
  void follow(const Op& op) {
    const ScopeId attention = attention_of(call_of(program_.origins[op.origin].scope));
    std::set<LookedUp> looked_up;
    const bool looks_up = is_lookup(op_name(op)) && arguments_by_position(op, 1);
    for (size_t i = 0; i < op.arguments.size(); ++i)
      for_each_value(op.arguments[i], [&](ValueId id) {
        const TensorId constant = program_.values[id].constant;
        if (constant != kNone && i == 0 && looks_up && attention != kNone)
          for (TensorId parameter : parameters_in(program_.tensors[constant]))
            looked_up.insert({parameter, attention});
        for (const LookedUp& source : looked_up_[id]) {
          if (hands_on(op_name(op))) looked_up.insert(source);
          if (attention != kNone && attention != source.attention)
            result_.uses[source.parameter].push_back({.call = attention,
                                                      .by_position = true,
                                                      .is_direct = false,
                                                      .in_attention = true,
                                                      .attention = attention});
        }
      });
    for (ValueId value : op.outputs)
      if (value != kNone) looked_up_[value].assign(looked_up.begin(), looked_up.end());
  }

  // The call that computes attention: this one, or the one above it.
  ScopeId attention_of(ScopeId call) const {
    if (attends_[call]) return call;
    const ScopeId above = program_.scopes[call].parent;
    const ScopeId outer = above == kNone ? kNone : call_of(above);
    return outer != kNone && attends_[outer] ? outer : kNone;
  }

  void add_use(const Op& op, size_t argument, TensorId tensor) {
    ParameterUse use{.call = call_of(program_.origins[op.origin].scope)};
    use.is_lookup = argument == 0 && is_lookup(op_name(op));
    use.by_position = use.is_lookup && arguments_by_position(op, 1);
    use.attention = attention_of(use.call);
    use.in_attention = use.attention != kNone;
    for (TensorId parameter : parameters_in(program_.tensors[tensor]))
      result_.uses[parameter].push_back(use);
  }

  struct LookedUp {
    TensorId parameter;
    ScopeId attention;  // the call that did
    auto operator<=>(const LookedUp&) const = default;
  };

  const Program& program_;
  std::vector<std::vector<LookedUp>> looked_up_;  // by value
  std::vector<ScopeId> softmax_of_;               // by value: the call whose softmax gave it
  std::vector<bool> by_position_;  // by value: the same whatever the inputs' values, given shapes
  std::vector<bool> attends_;      // by scope: does this call compute attention itself?
  std::unordered_map<StorageId, std::vector<TensorId>> by_storage_;
  ParameterUses result_;
};

}  // namespace

ParameterUses find_parameter_uses(const Program& program) { return UseFinder(program).run(); }

}  // namespace modelexport::analysis
