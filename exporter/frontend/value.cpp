#include "exporter/frontend/value.h"

#include <ATen/core/jit_type.h>

#include <algorithm>

namespace modelexport::frontend {
namespace {

struct IsSymbolic {
  bool operator()(std::monostate) const { return false; }
  bool operator()(const c10::IValue&) const { return false; }
  bool operator()(const std::shared_ptr<TensorCell>& cell) const {
    // A view of a tensor that was written to since it was last read knows only by its parents.
    for (const TensorCell* at = cell.get(); at != nullptr; at = at->parent.get()) {
      if (!at->known) return true;
    }
    return false;
  }
  bool operator()(const std::shared_ptr<SymbolicNumber>&) const { return true; }
  bool operator()(const std::shared_ptr<ListVal>& list) const {
    return list->sequence || any(list->elements);
  }
  bool operator()(const std::shared_ptr<TupleVal>& tuple) const { return any(tuple->elements); }
  bool operator()(const std::shared_ptr<DictVal>& dict) const {
    return std::any_of(dict->entries.begin(), dict->entries.end(), [](const auto& entry) {
      return is_symbolic(entry.first) || is_symbolic(entry.second);
    });
  }
  bool operator()(const std::shared_ptr<OptionalVal>&) const { return true; }
  bool operator()(const std::shared_ptr<ModuleRef>&) const { return false; }

  static bool any(const std::vector<Val>& elements) {
    return std::any_of(elements.begin(), elements.end(), is_symbolic);
  }
};

struct InLane {
  size_t lane;

  c10::IValue operator()(std::monostate) const { return {}; }
  c10::IValue operator()(const c10::IValue& value) const { return value; }
  c10::IValue operator()(const std::shared_ptr<TensorCell>& cell) const {
    return cell->lanes.at(lane);
  }
  c10::IValue operator()(const std::shared_ptr<SymbolicNumber>& number) const {
    return number->lanes.at(lane);
  }
  c10::IValue operator()(const std::shared_ptr<ListVal>& list) const {
    if (list->sequence) return list->sequence->lanes.at(lane).toList().copy();
    c10::impl::GenericList result(list->element_type);
    result.reserve(list->elements.size());
    for (const Val& element : list->elements) result.push_back(in_lane(element, lane));
    return result;
  }
  c10::IValue operator()(const std::shared_ptr<TupleVal>& tuple) const {
    std::vector<c10::IValue> elements;
    elements.reserve(tuple->elements.size());
    for (const Val& element : tuple->elements) elements.push_back(in_lane(element, lane));
    if (tuple->type) {
      return c10::ivalue::Tuple::createNamed(std::move(elements),
                                             tuple->type->expect<c10::TupleType>());
    }
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  c10::IValue operator()(const std::shared_ptr<DictVal>& dict) const {
    c10::impl::GenericDict result(dict->key_type, dict->value_type);
    for (const auto& [key, value] : dict->entries) {
      const auto* optional = get_if<OptionalVal>(value);
      if (optional && (*optional)->absent && !(*optional)->given->lanes.at(lane).toBool()) continue;
      result.insert_or_assign(in_lane(key, lane), in_lane(value, lane));
    }
    return result;
  }
  c10::IValue operator()(const std::shared_ptr<OptionalVal>& optional) const {
    if (!optional->given->lanes.at(lane).toBool()) return {};
    return in_lane(optional->value, lane);
  }
  c10::IValue operator()(const std::shared_ptr<ModuleRef>& module) const { return module->object; }
};

bool same(const Argument& a, const Argument& b) {
  const auto *x = std::get_if<ValueRef>(&a), *y = std::get_if<ValueRef>(&b);
  if (x && y) return x->id == y->id;
  if (const auto* number = std::get_if<double>(&a)) {
    return std::holds_alternative<double>(b) && std::get<double>(b) == *number;
  }
  const auto* number = std::get_if<int64_t>(&a);
  return number && std::holds_alternative<int64_t>(b) && std::get<int64_t>(b) == *number;
}

}  // namespace

OptionalParts parts_of(const Val& val, bool absent) {
  const auto* optional = get_if<OptionalVal>(val);
  if (optional != nullptr && (*optional)->absent == absent) {
    return {(*optional)->given, (*optional)->value};
  }
  const bool given = !(absent ? is_unset(val) : is_none(val));
  return {c10::IValue(given), given ? val : Val()};
}

bool same(const Quantization& a, const Quantization& b) {
  return same(a.scale, b.scale) && same(a.zero_point, b.zero_point) && a.axis == b.axis;
}

bool is_symbolic(const Val& val) { return std::visit(IsSymbolic{}, val); }

c10::IValue in_lane(const Val& val, size_t lane) { return std::visit(InLane{lane}, val); }

}  // namespace modelexport::frontend
