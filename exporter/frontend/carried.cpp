// What a loop carries from one iteration to the next: copies of it, one value that stands for its
// versions in several iterations, and its parts as values of the program.
#include <algorithm>

#include "exporter/error.h"
#include "exporter/frontend/merging.h"

namespace modelexport::frontend {
// A copy that later writes do not reach, of what is observed in the first lane.
Val Interpreter::snapshot(const Val& val, const Worlds& world) {
  if (const auto* cell = get_if<TensorCell>(val)) {
    auto copy = std::make_shared<TensorCell>(**cell);
    copy->lanes = {(*cell)->lanes[0].clone()};
    if (stand_ins_.contains((*cell)->lanes[0])) stand_ins_.add(copy->lanes[0]);
    copy->worlds = world;
    copy->parent = nullptr;
    copy->base = std::make_shared<AliasBase>();
    return copy;
  }
  if (const auto* number = get_if<SymbolicNumber>(val)) {
    return std::make_shared<SymbolicNumber>(
        SymbolicNumber{(*number)->value, {(*number)->lanes[0]}, world});
  }
  if (const auto* list = get_if<ListVal>(val)) {
    auto copy = std::make_shared<ListVal>(ListVal{(*list)->element_type, {}, (*list)->sequence});
    for (const Val& element : (*list)->elements) copy->elements.push_back(snapshot(element, world));
    return copy;
  }
  if (const auto* tuple = get_if<TupleVal>(val)) {
    auto copy = std::make_shared<TupleVal>(TupleVal{(*tuple)->type, {}});
    for (const Val& element : (*tuple)->elements)
      copy->elements.push_back(snapshot(element, world));
    return copy;
  }
  if (const auto* dict = get_if<DictVal>(val)) {
    auto copy = std::make_shared<DictVal>(**dict);
    for (auto& [key, value] : copy->entries) value = snapshot(value, world);
    return copy;
  }
  if (const auto* optional = get_if<OptionalVal>(val)) {
    return std::make_shared<OptionalVal>(
        OptionalVal{std::get<std::shared_ptr<SymbolicNumber>>(snapshot((*optional)->given, world)),
                    snapshot((*optional)->value, world), (*optional)->absent});
  }
  return val;
}

// One Val for versions of it in several worlds (each with one lane), which are the current ones.
Val Interpreter::join(const std::vector<Val>& versions, std::vector<ValueId>& values) {
  const auto given = std::find_if_not(versions.begin(), versions.end(), is_unset);
  if (given == versions.end()) return Val();
  if (std::any_of(versions.begin(), versions.end(), is_unset)) {
    std::vector<Val> filled;
    for (const Val& val : versions) filled.push_back(is_unset(val) ? placeholder(*given) : val);
    return join(filled, values);
  }
  const bool optional = std::any_of(versions.begin(), versions.end(), get_if<OptionalVal>);
  const auto none = std::count_if(versions.begin(), versions.end(), is_none);
  if (optional || (none > 0 && none < std::ssize(versions))) {
    return join_optional(versions, false, values);
  }
  const Val& first = versions[0];
  const auto all = [&](auto check) { return std::all_of(versions.begin(), versions.end(), check); };
  const auto children = [&](auto element_of, size_t size) {
    std::vector<Val> result;
    for (size_t i = 0; i < size; ++i) {
      std::vector<Val> elements;
      for (const Val& version : versions) elements.push_back(element_of(version, i));
      result.push_back(join(elements, values));
    }
    return result;
  };
  if (all([](const Val& val) { return get_if<TensorCell>(val) != nullptr; })) {
    std::vector<at::Tensor> lanes;
    for (const Val& val : versions)
      lanes.push_back(std::get<std::shared_ptr<TensorCell>>(val)->lanes[0]);
    auto cell = new_tensor(std::move(lanes), true, false);
    values.push_back(cell->value);
    const auto& quantization = std::get<std::shared_ptr<TensorCell>>(first)->quantization;
    const auto alike = [&](const Val& val) {
      const auto& other = std::get<std::shared_ptr<TensorCell>>(val)->quantization;
      return quantization && other && same(*quantization, *other);
    };
    if (all(alike)) cell->quantization = quantization;
    return cell;
  }
  const auto* value = known(first);
  const auto is_number = [](const Val& val) {
    return get_if<SymbolicNumber>(val) || (known(val) && known(val)->isScalar());
  };
  if (all(is_number)) {
    const bool same =
        value && all([&](const Val& val) { return known(val) && *known(val) == *value; });
    if (same) return first;
    auto number = std::make_shared<SymbolicNumber>();
    for (const Val& val : versions) number->lanes.push_back(in_lane(val, 0));
    number->worlds = worlds_;
    number->value = recorder_.number_value(number->lanes);
    values.push_back(number->value);
    return number;
  }
  if (value) {
    if (!all([&](const Val& val) { return same(val, first); })) {
      throw Error(ErrorKind::unsupported,
                  "prim::Loop: it carries a value that is no tensor or number and changes");
    }
    return first;
  }
  if (const auto* list = get_if<ListVal>(first)) {
    const size_t size = (*list)->elements.size();
    const bool same = all([&](const Val& val) {
      return std::get<std::shared_ptr<ListVal>>(val)->elements.size() == size &&
             !std::get<std::shared_ptr<ListVal>>(val)->sequence;
    });
    auto result = std::make_shared<ListVal>(ListVal{(*list)->element_type, {}, nullptr});
    if (same) {
      result->elements =
          children([](const Val& val,
                      size_t i) { return std::get<std::shared_ptr<ListVal>>(val)->elements[i]; },
                   size);
      return result;
    }
    result->sequence = std::make_shared<SymbolicSequence>();
    for (const Val& val : versions) result->sequence->lanes.push_back(in_lane(val, 0));
    result->sequence->worlds = worlds_;
    result->sequence->value = recorder_.sequence_value(result->sequence->lanes);
    values.push_back(result->sequence->value);
    return result;
  }
  if (const auto* tuple = get_if<TupleVal>(first)) {
    return std::make_shared<TupleVal>(TupleVal{
        (*tuple)->type,
        children([](const Val& val,
                    size_t i) { return std::get<std::shared_ptr<TupleVal>>(val)->elements.at(i); },
                 (*tuple)->elements.size())});
  }
  if (get_if<DictVal>(first)) return join_dicts(versions, values);
  return first;
}

// Versions some of which are None (`absent`: unset, as an entry that the dict lacks).
Val Interpreter::join_optional(const std::vector<Val>& versions, bool absent,
                               std::vector<ValueId>& values) {
  auto optional = std::make_shared<OptionalVal>();
  optional->absent = absent;
  optional->given = std::make_shared<SymbolicNumber>();
  std::vector<Val> given;
  for (const Val& version : versions) {
    const OptionalParts parts = parts_of(version, absent);
    optional->given->lanes.push_back(in_lane(parts.given, 0));
    given.push_back(parts.value);
  }
  optional->given->worlds = worlds_;
  optional->given->value = recorder_.number_value(optional->given->lanes);
  values.push_back(optional->given->value);
  optional->value = join(given, values);
  return optional;
}

Val Interpreter::join_dicts(const std::vector<Val>& versions, std::vector<ValueId>& values) {
  auto joined = std::make_shared<DictVal>(*std::get<std::shared_ptr<DictVal>>(versions[0]));
  joined->entries.clear();
  for (const Val& version : versions) {
    for (const auto& [key, value] : std::get<std::shared_ptr<DictVal>>(version)->entries) {
      if (find_entry(*joined, key)) continue;
      std::vector<Val> found;
      for (const Val& other : versions) {
        const Val* entry = find_entry(*std::get<std::shared_ptr<DictVal>>(other), key);
        found.push_back(entry ? *entry : Val());
      }
      const bool optional = std::any_of(found.begin(), found.end(), [](const Val& entry) {
        return is_unset(entry) || is_absent_somewhere(entry);
      });
      joined->entries.emplace_back(
          key, optional ? join_optional(found, true, values) : join(found, values));
    }
  }
  return joined;
}

// The program values of `val`, in the places where `like` (what join made) has them.
void Interpreter::flatten(const Val& val, const Val& like, std::vector<ValueId>& values) {
  if (is_unset(val) && !is_unset(like) && !is_absent_somewhere(like)) {
    return flatten(placeholder(like), like, values);
  }
  if (get_if<TensorCell>(like)) {
    values.push_back(current(std::get<std::shared_ptr<TensorCell>>(val)));
  } else if (get_if<SymbolicNumber>(like)) {
    values.push_back(value_of(val));
  } else if (const auto* list = get_if<ListVal>(like)) {
    const auto& from = std::get<std::shared_ptr<ListVal>>(val);
    if ((*list)->sequence) {
      values.push_back(sequence_of(*from, (*list)->sequence->value));
      return;
    }
    for (size_t i = 0; i < from->elements.size(); ++i)
      flatten(from->elements[i], (*list)->elements[i], values);
  } else if (const auto* tuple = get_if<TupleVal>(like)) {
    const auto& from = std::get<std::shared_ptr<TupleVal>>(val);
    for (size_t i = 0; i < from->elements.size(); ++i)
      flatten(from->elements[i], (*tuple)->elements[i], values);
  } else if (const auto* optional = get_if<OptionalVal>(like)) {
    const OptionalParts parts = parts_of(val, (*optional)->absent);
    flatten(parts.given, (*optional)->given, values);
    flatten(parts.value, (*optional)->value, values);
  } else if (const auto* dict = get_if<DictVal>(like)) {
    const auto& from = std::get<std::shared_ptr<DictVal>>(val);
    for (const auto& [key, value] : (*dict)->entries) {
      const Val* entry = find_entry(*from, key);
      flatten(entry ? *entry : Val(), value, values);
    }
  }
}

// The sequence value of a list; of one that is still known by its elements, a new sequence of them.
ValueId Interpreter::sequence_of(const ListVal& list, ValueId like) {
  if (list.sequence) return list.sequence->value;
  Value type = recorder_.program().values[like];
  recorder_.program().values.push_back(type);
  const auto value = static_cast<ValueId>(recorder_.program().values.size() - 1);
  recorder_.emit({recorder_.schema("prim::ListConstruct", {}),
                  arguments(list.elements),
                  {value},
                  origin_,
                  {}});
  return value;
}

// As join, of more versions than there are worlds: all of them tell what varies, the first ones are
// kept.
Val Interpreter::join_in(const std::vector<Val>& versions, size_t worlds,
                         std::vector<ValueId>& values) {
  const Val joined = join(versions, values);
  const auto cut = [&](const auto& self, const Val& val) -> void {
    if (const auto* cell = get_if<TensorCell>(val)) (*cell)->lanes.resize(worlds);
    if (const auto* number = get_if<SymbolicNumber>(val)) (*number)->lanes.resize(worlds);
    if (const auto* list = get_if<ListVal>(val)) {
      if ((*list)->sequence) (*list)->sequence->lanes.resize(worlds);
      for (const Val& element : (*list)->elements) self(self, element);
    }
    if (const auto* tuple = get_if<TupleVal>(val)) {
      for (const Val& element : (*tuple)->elements) self(self, element);
    }
    if (const auto* dict = get_if<DictVal>(val)) {
      for (const auto& [key, value] : (*dict)->entries) self(self, value);
    }
    if (const auto* optional = get_if<OptionalVal>(val)) {
      (*optional)->given->lanes.resize(worlds);
      self(self, (*optional)->value);
    }
  };
  cut(cut, joined);
  return joined;
}

}  // namespace modelexport::frontend
