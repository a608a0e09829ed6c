#include "exporter/frontend/merging.h"

#include <algorithm>

#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

bool is_number(const Val& val) {
  const auto* value = known(val);
  return get_if<SymbolicNumber>(val) || (value != nullptr && value->isScalar());
}

}  // namespace

bool same(const Val& a, const Val& b) {
  const auto *x = known(a), *y = known(b);
  if (x && y)
    return x->is(*y) || (x->isScalar() && y->isScalar() && *x == *y) ||
           (x->isString() && y->isString() && *x == *y);
  return a == b;
}

const Val* find_entry(const DictVal& dict, const Val& key) {
  for (const auto& [other, value] : dict.entries) {
    if (same(key, other)) return &value;
  }
  return nullptr;
}

Val Interpreter::merge(const Val& then_val, const Val& else_val, Merging& merging) {
  if (same(then_val, else_val)) return then_val;
  adopt(then_val);
  adopt(else_val);
  if (is_unset(then_val)) return merge(placeholder(else_val), else_val, merging);
  if (is_unset(else_val)) return merge(then_val, placeholder(then_val), merging);
  if (is_none(then_val) || is_none(else_val) || get_if<OptionalVal>(then_val) ||
      get_if<OptionalVal>(else_val)) {
    return merge_optional(then_val, else_val, false, merging);
  }
  if (get_if<TensorCell>(then_val) && get_if<TensorCell>(else_val)) {
    return merge_tensors(*std::get<std::shared_ptr<TensorCell>>(then_val),
                         *std::get<std::shared_ptr<TensorCell>>(else_val), merging);
  }
  if (is_number(then_val) && is_number(else_val)) return merge_numbers(then_val, else_val, merging);
  const auto merge_all = [&](const std::vector<Val>& a, const std::vector<Val>& b) {
    std::vector<Val> result;
    for (size_t i = 0; i < a.size(); ++i) result.push_back(merge(a[i], b[i], merging));
    return result;
  };
  if (const auto *a = get_if<ListVal>(then_val), *b = get_if<ListVal>(else_val); a && b) {
    if ((*a)->sequence || (*b)->sequence || (*a)->elements.size() != (*b)->elements.size()) {
      return merge_lists(**a, **b, merging);
    }
    return std::make_shared<ListVal>(
        ListVal{(*a)->element_type, merge_all((*a)->elements, (*b)->elements), nullptr});
  }
  if (const auto *a = get_if<TupleVal>(then_val), *b = get_if<TupleVal>(else_val); a && b) {
    return std::make_shared<TupleVal>(
        TupleVal{(*a)->type, merge_all((*a)->elements, (*b)->elements)});
  }
  if (const auto *a = get_if<ModuleRef>(then_val), *b = get_if<ModuleRef>(else_val); a && b) {
    if ((*a)->object == (*b)->object) return then_val;
    throw CannotMerge{"different modules or objects"};
  }
  if (const auto *a = get_if<DictVal>(then_val), *b = get_if<DictVal>(else_val); a && b) {
    return merge_dicts(**a, **b, merging);
  }
  throw CannotMerge{"values of different types"};
}

Val Interpreter::merge_tensors(const TensorCell& a, const TensorCell& b, Merging& merging) {
  if (a.lanes[0].dim() != b.lanes[0].dim()) throw CannotMerge{"tensors of different ranks"};
  if (a.lanes[0].scalar_type() != b.lanes[0].scalar_type()) {
    throw CannotMerge{"tensors of different dtypes"};
  }
  auto both = a.lanes;
  both.insert(both.end(), b.lanes.begin(), b.lanes.end());
  auto cell = std::make_shared<TensorCell>();
  cell->value = recorder_.tensor_value(both);
  cell->base = std::make_shared<AliasBase>();
  for (size_t lane = 0; lane < lanes_; ++lane) {
    cell->lanes.push_back(merging.conditions[lane] ? a.lanes[lane] : b.lanes[lane]);
  }
  cell->worlds = worlds_;
  recorder_.observe(cell->value, cell->lanes[0]);
  if (a.quantization && b.quantization && same(*a.quantization, *b.quantization))
    cell->quantization = a.quantization;
  merging.add(a.value, b.value, cell->value);
  if (a.lanes[0].sizes() != b.lanes[0].sizes()) {
    merging.differing.emplace_back(cell, merging.conditions[0] ? b.lanes[0] : a.lanes[0]);
  }
  return cell;
}

Val Interpreter::merge_numbers(const Val& a, const Val& b, Merging& merging) {
  auto number = std::make_shared<SymbolicNumber>();
  std::vector<c10::IValue> both;
  for (const Val* val : {&a, &b}) {
    for (size_t lane = 0; lane < lanes_; ++lane) both.push_back(in_lane(*val, lane));
  }
  if (both.front().tagKind() != both.back().tagKind()) {
    throw CannotMerge{"numbers of different types"};
  }
  for (size_t lane = 0; lane < lanes_; ++lane) {
    number->lanes.push_back(both[merging.conditions[lane] ? lane : lane + lanes_]);
  }
  number->worlds = worlds_;
  number->value = recorder_.number_value(both);
  recorder_.observe(number->value, number->lanes[0]);
  merging.add(value_of(a), value_of(b), number->value);
  return number;
}

// Lists of different lengths: a sequence.
Val Interpreter::merge_lists(const ListVal& a, const ListVal& b, Merging& merging) {
  for (const ListVal* list : {&a, &b}) {
    const bool fits = std::all_of(
        list->elements.begin(), list->elements.end(),
        [](const Val& element) { return is_number(element) || get_if<TensorCell>(element); });
    if (!fits) throw CannotMerge{"lists of different lengths whose elements are no tensors"};
  }
  auto sequence = std::make_shared<SymbolicSequence>();
  const auto in = [](const ListVal& list, size_t lane) {
    return in_lane(std::make_shared<ListVal>(list), lane);
  };
  std::vector<c10::IValue> both;
  for (size_t lane = 0; lane < lanes_; ++lane) both.push_back(in(a, lane));
  for (size_t lane = 0; lane < lanes_; ++lane) both.push_back(in(b, lane));
  for (size_t lane = 0; lane < lanes_; ++lane) {
    sequence->lanes.push_back(both[merging.conditions[lane] ? lane : lane + lanes_]);
  }
  sequence->worlds = worlds_;
  sequence->value = recorder_.sequence_value(both);
  recorder_.observe(sequence->value, sequence->lanes[0]);
  const auto given_by = [&](size_t branch, const ListVal& list) {
    recorder_.begin_block(merging.branches[branch].block);
    const ValueId value = sequence_of(list, sequence->value);
    recorder_.end_block();
    return value;
  };
  const ValueId then_value = given_by(0, a), else_value = given_by(1, b);
  merging.add(then_value, else_value, sequence->value);
  const Val merged = std::make_shared<ListVal>(ListVal{a.element_type, {}, sequence});
  merging.differing.emplace_back(merged, both[merging.conditions[0] ? lanes_ : 0]);
  return merged;
}

// Something in one branch and None in the other, or what is either already. `absent`: the same for
// entries of a dict.
Val Interpreter::merge_optional(const Val& a, const Val& b, bool absent, Merging& merging) {
  const auto [a_given, a_value] = parts_of(a, absent);
  const auto [b_given, b_value] = parts_of(b, absent);
  const Val given = merge(a_given, b_given, merging);
  const Val value = merge(a_value, b_value, merging);
  if (const auto* always = known(given)) return always->toBool() ? value : Val(c10::IValue());
  return std::make_shared<OptionalVal>(
      OptionalVal{std::get<std::shared_ptr<SymbolicNumber>>(given), value, absent});
}

Val Interpreter::merge_dicts(const DictVal& a, const DictVal& b, Merging& merging) {
  auto merged = std::make_shared<DictVal>(DictVal{a.key_type, a.value_type, {}});
  const auto add = [&](const Val& key) {
    if (find_entry(*merged, key)) return;
    const Val *in_a = find_entry(a, key), *in_b = find_entry(b, key);
    const bool optional = !in_a || !in_b || is_absent_somewhere(*in_a) || is_absent_somewhere(*in_b);
    merged->entries.emplace_back(
        key, optional ? merge_optional(in_a ? *in_a : Val(), in_b ? *in_b : Val(), true, merging)
                      : merge(*in_a, *in_b, merging));
  };
  for (const auto& [key, value] : a.entries) add(key);
  for (const auto& [key, value] : b.entries) add(key);
  return merged;
}

// What a branch that leaves early gives in place of `other`, which nobody will read. Its sizes are
// those of `other` where they do not vary: ONNX Runtime allocates by them.
Val Interpreter::placeholder(const Val& other) {
  if (const auto* cell = get_if<TensorCell>(other)) {
    auto copy = std::make_shared<TensorCell>(**cell);
    copy->parent = nullptr;
    copy->value = recorder_.tensor_value(copy->lanes);
    std::vector<int64_t> sizes;
    for (Dim dim : recorder_.program().values[(*cell)->value].shape) {
      sizes.push_back(is_static(dim) ? dim : 1);
    }
    recorder_.set_constant(copy->value, at::zeros(sizes, copy->lanes[0].options()));
    return copy;
  }
  if (const auto* number = get_if<SymbolicNumber>(other)) return (*number)->lanes[0];
  if (const auto* list = get_if<ListVal>(other)) {
    auto copy = std::make_shared<ListVal>(ListVal{(*list)->element_type, {}, nullptr});
    for (const Val& element : (*list)->elements) copy->elements.push_back(placeholder(element));
    return copy;  // empty for a sequence
  }
  if (const auto* tuple = get_if<TupleVal>(other)) {
    auto copy = std::make_shared<TupleVal>(**tuple);
    for (Val& element : copy->elements) element = placeholder(element);
    return copy;
  }
  if (const auto* optional = get_if<OptionalVal>(other)) return placeholder((*optional)->value);
  return other;
}

// The program value of a number; known ones become constants.
ValueId Interpreter::value_of(const Val& number) {
  if (const auto* symbolic = get_if<SymbolicNumber>(number)) return (*symbolic)->value;
  const ValueId value = recorder_.number_value({*known(number)});
  recorder_.set_constant(
      value, at::scalar_tensor(known(number)->toScalar(),
                               scalar_type_of(recorder_.program().values[value].dtype)));
  return value;
}

}  // namespace modelexport::frontend
