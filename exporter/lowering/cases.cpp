#include "exporter/lowering/cases.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

class Cases {
 public:
  Cases(Builder& builder, const Program& program, const Op& op, const Undecided& undecided,
        const std::function<std::vector<V>(const Op&)>& lower)
      : call_(builder, program, op), decided_(op), lower_(lower) {
    const std::vector<std::string>& names = program.schemas[op.schema].arguments;
    const auto found = std::ranges::find(names, undecided.argument);
    argument_ = &decided_.arguments[found - names.begin()];
    list_ = std::get_if<ArgumentList>(argument_);
    if (list_) argument_ = &(*list_)[undecided.element];
    given_ = call_.value_of(*argument_);
    if (call_.dtype_of(given_) == DType::boolean) {
      values_ = {true, false};
      return;
    }
    for (int64_t i = 0; i < undecided.count; ++i) {
      if (!is_taken(i, undecided)) values_.emplace_back(i);
    }
    const V count = call_.constant_int(undecided.count);
    given_ = call_.node("Mod", {call_.cast(given_, DType::i64), count});
  }

  // Of the values from `first` on.
  std::vector<V> results(size_t first = 0) {
    if (first + 1 == values_.size()) return with(values_[first]);
    const V condition = is(values_[first]);
    Attributes branches{branch("then_branch", [&] { return with(values_[first]); }),
                        branch("else_branch", [&] { return results(first + 1); })};
    size_t used = 0;
    for (size_t i = 0; i < call_.output_count(); ++i) used += call_.output_used(i);
    const std::vector<V> given = call_.nodes("If", {condition}, used, std::move(branches));
    std::vector<V> results(call_.output_count(), kOmitted);
    for (size_t i = 0, next = 0; i < results.size(); ++i) {
      if (call_.output_used(i)) results[i] = typed(given[next++], i);
    }
    return results;
  }

 private:
  // Whether another element of a list is that axis: lists of axes have none twice.
  bool is_taken(int64_t value, const Undecided& undecided) const {
    return list_ && std::ranges::any_of(*list_, [&](const Argument& element) {
             const auto* known = std::get_if<int64_t>(&element);
             return known && (*known + undecided.count) % undecided.count == value;
           });
  }

  V is(const Argument& value) {
    if (std::holds_alternative<bool>(value)) return given_;
    return call_.node("Equal", {given_, call_.constant_int(std::get<int64_t>(value))});
  }

  std::vector<V> with(const Argument& value) {
    *argument_ = value;
    return lower_(decided_);
  }

  template <class Lower>
  graph::Attribute branch(const char* name, const Lower& lower) {
    call_.builder().open_block();
    std::vector<V> outputs = lower();
    std::erase(outputs, kOmitted);
    return {name, std::make_shared<graph::Block>(call_.builder().close_block(outputs))};
  }

  V typed(V result, size_t output) {
    const modelexport::Value& observed = call_.program().values[call_.op().outputs[output]];
    call_.builder().at(result).kind = observed.kind;
    return call_.typed(result, observed.dtype, observed.shape);
  }

  Call call_;
  Op decided_;
  Argument* argument_;  // of decided_, or an element of it...
  ArgumentList* list_;  // ...which this is; nullptr: of no list
  V given_;
  std::vector<Argument> values_;
  const std::function<std::vector<V>(const Op&)>& lower_;
};

}  // namespace

std::vector<V> by_cases(Builder& builder, const Program& program, const Op& op,
                        const Undecided& undecided,
                        const std::function<std::vector<V>(const Op&)>& lower) {
  return Cases(builder, program, op, undecided, lower).results();
}

}  // namespace modelexport::lowering
