// Operators on lists and dicts whose elements may be symbolic. Only those that move elements about
// without looking at them are here; the others (sum, sort, ==...) run as LibTorch's operators.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

[[noreturn]] void raise(const std::string& message) { throw Error(ErrorKind::usage, message); }

// An index or bound: known, or the same in all lanes.
int64_t integer(const Val& val) {
  if (const auto* value = known(val)) return value->toInt();
  if (const auto* number = get_if<SymbolicNumber>(val)) {
    const auto& lanes = (*number)->lanes;
    const bool agree =
        std::all_of(lanes.begin(), lanes.end(), [&](const auto& lane) { return lane == lanes[0]; });
    if (agree) return lanes[0].toInt();
  }
  throw Error(ErrorKind::unsupported, "a list indexed by a number that depends on the inputs");
}

std::vector<Val> sliced(const std::vector<Val>& from, const Val& first, const Val& last,
                        int64_t step) {
  const auto size = static_cast<int64_t>(from.size());
  const auto bound = [&](const Val& val, int64_t otherwise) {
    if (is_none(val)) return otherwise;
    const int64_t index = integer(val);
    const int64_t low = step < 0 ? -1 : 0;
    const int64_t high = step < 0 ? size - 1 : size;
    return std::clamp(index < 0 ? index + size : index, low, high);
  };
  const int64_t start = bound(first, step < 0 ? size - 1 : 0);
  const int64_t end = bound(last, step < 0 ? -1 : size);
  std::vector<Val> result;
  for (int64_t i = start; step < 0 ? i > end : i < end; i += step) result.push_back(from[i]);
  return result;
}

size_t position(const Val& index, size_t size) {
  int64_t i = integer(index);
  if (i < 0) i += static_cast<int64_t>(size);
  if (i < 0 || i >= static_cast<int64_t>(size)) raise("list index out of range");
  return static_cast<size_t>(i);
}

using ListOp = Val (*)(ListVal& list, const std::vector<Val>& inputs);

Val list_of(const ListVal& like, std::vector<Val> elements) {
  return std::make_shared<ListVal>(ListVal{like.element_type, std::move(elements), nullptr});
}

const std::vector<Val>& other_list(const Val& val) {
  return std::get<std::shared_ptr<ListVal>>(val)->elements;
}

const std::unordered_map<std::string_view, ListOp>& list_ops() {
  static const std::unordered_map<std::string_view, ListOp> kOps = {
      {"aten::len",
       [](ListVal& list, const std::vector<Val>&) -> Val {
         return c10::IValue(static_cast<int64_t>(list.elements.size()));
       }},
      {"aten::append",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         list.elements.push_back(in.at(1));
         return in[0];
       }},
      {"aten::__getitem__",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         return list.elements[position(in.at(1), list.elements.size())];
       }},
      {"aten::_set_item",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         list.elements[position(in.at(1), list.elements.size())] = in.at(2);
         return in[0];
       }},
      {"aten::insert",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         const auto size = static_cast<int64_t>(list.elements.size());
         int64_t at = integer(in.at(1));
         at = std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
         list.elements.insert(list.elements.begin() + at, in.at(2));
         return {};
       }},
      {"aten::pop",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         if (list.elements.empty()) raise("pop from empty list");
         const size_t at =
             position(in.size() > 1 ? in[1] : Val(c10::IValue(-1)), list.elements.size());
         Val result = list.elements[at];
         list.elements.erase(list.elements.begin() + static_cast<int64_t>(at));
         return result;
       }},
      {"aten::Delete",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         const size_t at = position(in.at(1), list.elements.size());
         list.elements.erase(list.elements.begin() + static_cast<int64_t>(at));
         return {};
       }},
      {"aten::extend",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         const std::vector<Val> more = other_list(in.at(1));
         list.elements.insert(list.elements.end(), more.begin(), more.end());
         return {};
       }},
      {"aten::clear",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         list.elements.clear();
         return in[0];
       }},
      {"aten::reverse",
       [](ListVal& list, const std::vector<Val>&) -> Val {
         std::reverse(list.elements.begin(), list.elements.end());
         return {};
       }},
      {"aten::slice",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         return list_of(list, sliced(list.elements, in.at(1), in.at(2), integer(in.at(3))));
       }},
      {"aten::copy",
       [](ListVal& list, const std::vector<Val>&) { return list_of(list, list.elements); }},
      {"aten::list",
       [](ListVal& list, const std::vector<Val>&) { return list_of(list, list.elements); }},
      {"aten::add",
       [](ListVal& list, const std::vector<Val>& in) {
         std::vector<Val> all = list.elements;
         const auto& more = other_list(in.at(1));
         all.insert(all.end(), more.begin(), more.end());
         return list_of(list, std::move(all));
       }},
      {"aten::add_",
       [](ListVal& list, const std::vector<Val>& in) -> Val {
         const std::vector<Val> more = other_list(in.at(1));
         list.elements.insert(list.elements.end(), more.begin(), more.end());
         return in[0];
       }},
      {"aten::mul",
       [](ListVal& list, const std::vector<Val>& in) {
         std::vector<Val> all;
         for (int64_t i = 0; i < integer(in.at(1)); ++i) {
           all.insert(all.end(), list.elements.begin(), list.elements.end());
         }
         return list_of(list, std::move(all));
       }},
  };
  return kOps;
}

// ---- dicts
// ------------------------------------------------------------------------------------------------

auto find_key(DictVal& dict, const Val& key) {
  const auto* wanted = known(key);
  if (wanted == nullptr) {
    throw Error(ErrorKind::unsupported, "a dict with a key that depends on the inputs");
  }
  return std::find_if(dict.entries.begin(), dict.entries.end(),
                      [&](const auto& entry) { return *known(entry.first) == *wanted; });
}

Val value_or_raise(DictVal& dict, const Val& key) {
  const auto found = find_key(dict, key);
  if (found == dict.entries.end()) raise("key not in dict");
  return is_absent_somewhere(found->second)
             ? std::get<std::shared_ptr<OptionalVal>>(found->second)->value
             : found->second;
}

// For operators that look at which keys there are.
void require_known_keys(const DictVal& dict) {
  for (const auto& [key, value] : dict.entries) {
    if (!is_absent_somewhere(value)) continue;
    throw Error(ErrorKind::unsupported, "which keys the dict has depends on the inputs");
  }
}

template <class Get>
Val listed(const c10::TypePtr& type, const DictVal& dict, Get get) {
  require_known_keys(dict);
  auto list = std::make_shared<ListVal>(ListVal{type, {}, nullptr});
  for (const auto& entry : dict.entries) list->elements.push_back(get(entry));
  return list;
}

using DictOp = Val (*)(DictVal& dict, const std::vector<Val>& inputs);
using Entry = std::pair<Val, Val>;

const std::unordered_map<std::string_view, DictOp>& dict_ops() {
  static const std::unordered_map<std::string_view, DictOp> kOps = {
      {"aten::len",
       [](DictVal& dict, const std::vector<Val>&) -> Val {
         require_known_keys(dict);
         return c10::IValue(static_cast<int64_t>(dict.entries.size()));
       }},
      {"aten::__getitem__",
       [](DictVal& dict, const std::vector<Val>& in) { return value_or_raise(dict, in.at(1)); }},
      {"aten::__contains__",
       [](DictVal& dict, const std::vector<Val>& in) -> Val {
         const auto found = find_key(dict, in.at(1));
         if (found == dict.entries.end()) return c10::IValue(false);
         return parts_of(found->second, true).given;
       }},
      {"aten::get",
       [](DictVal& dict, const std::vector<Val>& in) -> Val {
         const auto found = find_key(dict, in.at(1));
         if (found != dict.entries.end()) {
           if (is_absent_somewhere(found->second)) require_known_keys(dict);
           return found->second;
         }
         return in.size() > 2 ? in[2] : Val(c10::IValue());
       }},
      {"aten::setdefault",
       [](DictVal& dict, const std::vector<Val>& in) -> Val {
         const auto found = find_key(dict, in.at(1));
         if (found == dict.entries.end()) {
           dict.entries.emplace_back(in[1], in.at(2));
         } else if (is_absent_somewhere(found->second)) {
           require_known_keys(dict);
         }
         return value_or_raise(dict, in.at(1));
       }},
      {"aten::pop",
       [](DictVal& dict, const std::vector<Val>& in) -> Val {
         const auto found = find_key(dict, in.at(1));
         if (found == dict.entries.end())
           return in.size() > 2 ? in[2] : value_or_raise(dict, in[1]);
         if (in.size() > 2) require_known_keys(dict);
         Val result = value_or_raise(dict, in[1]);
         dict.entries.erase(found);
         return result;
       }},
      {"aten::Delete",
       [](DictVal& dict, const std::vector<Val>& in) -> Val {
         value_or_raise(dict, in.at(1));
         dict.entries.erase(find_key(dict, in.at(1)));
         return {};
       }},
      {"aten::clear",
       [](DictVal& dict, const std::vector<Val>&) -> Val {
         dict.entries.clear();
         return {};
       }},
      {"aten::copy",
       [](DictVal& dict, const std::vector<Val>&) -> Val {
         return std::make_shared<DictVal>(dict);
       }},
      {"aten::keys",
       [](DictVal& dict, const std::vector<Val>&) {
         return listed(dict.key_type, dict, [](const Entry& entry) { return entry.first; });
       }},
      {"aten::values",
       [](DictVal& dict, const std::vector<Val>&) {
         return listed(dict.value_type, dict, [](const Entry& entry) { return entry.second; });
       }},
      {"aten::items",
       [](DictVal& dict, const std::vector<Val>&) {
         const auto type = c10::TupleType::create({dict.key_type, dict.value_type});
         return listed(type, dict, [&](const Entry& entry) -> Val {
           return std::make_shared<TupleVal>(TupleVal{type, {entry.first, entry.second}});
         });
       }},
  };
  return kOps;
}

bool writes(const Node* node, const c10::FunctionSchema& schema) {
  const auto* alias = schema.arguments().at(0).alias_info();
  return alias != nullptr && alias->isWrite() && !node->inputs().empty();
}

// Whether the list must be a sequence for this operator: it picks an element by a number that
// depends on the inputs, or takes another list that is one.
bool needs_sequence(const Node* node, const ListVal& list, const std::vector<Val>& inputs) {
  static const std::unordered_set<std::string_view> kPicking = {
      "aten::__getitem__", "aten::_set_item", "aten::insert", "aten::pop", "aten::Delete"};
  if (inputs.size() < 2) return false;
  if (const auto* other = get_if<ListVal>(inputs[1])) return (*other)->sequence != nullptr;
  if (!get_if<SymbolicNumber>(inputs[1])) return false;
  if (!kPicking.contains(node->kind().toQualString())) return false;
  return std::all_of(list.elements.begin(), list.elements.end(), [](const Val& element) {
    const auto* value = known(element);
    return get_if<TensorCell>(element) || get_if<SymbolicNumber>(element) ||
           (value && value->isScalar());
  });
}

}  // namespace

void Interpreter::set_entry(DictVal& dict, Val key, Val value) {
  const auto found = find_key(dict, key);
  if (found != dict.entries.end()) {
    found->second = std::move(value);
  } else {
    dict.entries.emplace_back(std::move(key), std::move(value));
  }
}

Val Interpreter::run_list(Node* node, const std::shared_ptr<ListVal>& list,
                          const std::vector<Val>& inputs, bool write) {
  if (write && !journals_.empty()) journals_.back()->save(list);
  const auto op = list_ops().find(node->kind().toQualString());
  // aten::add, aten::mul... exist on lists and on tensors; the list forms take a generic list.
  if (op != list_ops().end()) return op->second(*list, inputs);
  if (is_symbolic(inputs[0])) {
    throw Error(ErrorKind::unsupported, "it looks at list elements that depend on the inputs");
  }
  torch::jit::Stack stack;  // sort, remove: on known elements
  for (const Val& input : inputs) stack.push_back(in_lane(input, 0));
  const c10::IValue copy = stack[0];
  const NodeInfo& info = this->info(node);
  stand_ins_.run({*info.op, info.operation}, stack);
  list->elements = std::get<std::shared_ptr<ListVal>>(constant(copy))->elements;
  return stack.empty() ? Val() : constant(stack.back());
}

Val Interpreter::run_dict(Node* node, const std::shared_ptr<DictVal>& dict,
                          const std::vector<Val>& inputs, bool write) {
  if (write && !journals_.empty()) journals_.back()->save(dict);
  if (node->kind() == c10::aten::_set_item) {
    set_entry(*dict, inputs.at(1), inputs.at(2));
    return {};
  }
  static const auto kUpdate = c10::Symbol::fromQualString("aten::update");
  if (node->kind() == kUpdate) {
    const auto other = std::get<std::shared_ptr<DictVal>>(inputs.at(1));
    for (const auto& [key, value] : std::vector(other->entries)) set_entry(*dict, key, value);
    return {};
  }
  return dict_ops().at(node->kind().toQualString())(*dict, inputs);
}

bool Interpreter::run_container(Node* node, Frame& frame) {
  if (node->inputs().empty()) return false;
  const Val first = get(frame, node->input(0));
  const auto* list = get_if<ListVal>(first);
  const auto* dict = get_if<DictVal>(first);
  const auto* schema = node->maybeSchema();
  if ((list == nullptr && dict == nullptr) || schema == nullptr) return false;
  const bool write = writes(node, *schema);
  const auto finish = [&](Val result) {
    if (!node->outputs().empty()) set(frame, node->output(), std::move(result));
    return true;
  };
  try {
    std::vector<Val> inputs = inputs_of(node, frame);
    if (list != nullptr) {
      const bool becomes_sequence = !(*list)->sequence && needs_sequence(node, **list, inputs);
      if (write && (becomes_sequence || (*list)->sequence)) {
        return finish(change_sequence(node, *list, inputs, frame));
      }
      if (becomes_sequence) {
        origin_ = origin_of(node, frame);
        inputs[0] = std::make_shared<ListVal>(to_sequence(**list));
        run_operator(node, std::move(inputs), frame);
        return true;
      }
      if ((*list)->sequence) return false;
      if (!write && !list_ops().contains(schema->name())) return false;
      return finish(run_list(node, *list, inputs, write));
    }
    if (!write && !dict_ops().contains(schema->name())) return false;
    return finish(run_dict(node, *dict, inputs, write));
  } catch (const Error& error) {
    throw Error(error.kind(),
                fmt::format("{} {}: {}", schema->name(), place_of(node, frame), error.what()));
  }
}

}  // namespace modelexport::frontend
