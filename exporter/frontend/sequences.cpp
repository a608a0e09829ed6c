// Lists whose length depends on the inputs, or of which an element is picked by a number that does:
// sequences of the program. What changes one gives a new sequence there.
#include <fmt/format.h>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {

using torch::jit::Node;

ListVal Interpreter::to_sequence(const ListVal& list) {
  auto sequence = std::make_shared<SymbolicSequence>();
  const Val copy = std::make_shared<ListVal>(list);
  for (size_t lane = 0; lane < lanes_; ++lane) sequence->lanes.push_back(in_lane(copy, lane));
  sequence->worlds = worlds_;
  sequence->value = sequence_of(list, recorder_.sequence_value(sequence->lanes));
  return {list.element_type, {}, std::move(sequence)};
}

// Gives what the operator returns: an element (pop), or the list itself.
Val Interpreter::change_sequence(Node* node, const std::shared_ptr<ListVal>& list,
                                 const std::vector<Val>& inputs, Frame& frame) {
  if (!journals_.empty()) journals_.back()->save(list);
  origin_ = origin_of(node, frame);
  if (!list->sequence) *list = to_sequence(*list);
  const NodeInfo& info = this->info(node);
  const std::string& name = info.op->schema().name();
  const bool looks_at_elements = name == "aten::remove" || name == "aten::sort";
  auto changed = std::make_shared<SymbolicSequence>();
  std::vector<c10::IValue> returned;
  for (size_t lane = 0; lane < lanes_; ++lane) {
    torch::jit::Stack stack;
    for (const Val& input : inputs) stack.push_back(in_lane(input, lane));
    changed->lanes.push_back(stack[0]);
    if (looks_at_elements) {
      stand_ins_.run({*info.op, info.operation}, stack);
    } else {
      info.operation(stack);
    }
    if (!stack.empty()) returned.push_back(stack[0]);
  }
  changed->worlds = worlds_;
  changed->value = recorder_.sequence_value(changed->lanes, list->sequence->value);
  const bool gives_element = !returned.empty() && !returned[0].isList();
  std::vector<ValueId> outputs{changed->value};
  const Val element = gives_element ? result(returned, true, false, false, outputs) : Val();
  recorder_.emit({recorder_.schema(info.op->schema()), arguments(inputs), outputs, origin_, {}});
  list->sequence = std::move(changed);
  return gives_element ? element : inputs[0];
}

// a, b = list: the elements of a sequence that has as many.
void Interpreter::unpack_sequence(Node* node, Frame& frame) {
  const Val list = get(frame, node->input());
  const size_t wanted = node->outputs().size();
  const auto size_in = [&](size_t lane) { return in_lane(list, lane).toListRef().size(); };
  for (size_t lane = 0; lane < lanes_; ++lane) {
    if (size_in(lane) == wanted) continue;
    const std::string problem = fmt::format("{}: expected {} values to unpack, got {}",
                                            place_of(node, frame), wanted, size_in(lane));
    if (!is_what_if(lane)) throw Error(ErrorKind::usage, "the module raises " + problem);
    drop_what_ifs(problem);
    return unpack_sequence(node, frame);
  }
  origin_ = origin_of(node, frame);
  std::vector<ValueId> values;
  for (size_t i = 0; i < wanted; ++i) {
    std::vector<c10::IValue> lanes;
    for (size_t lane = 0; lane < lanes_; ++lane) {
      lanes.push_back(in_lane(list, lane).toListRef()[i]);
    }
    set(frame, node->output(i), result(lanes, true, false, false, values));
  }
  recorder_.emit(
      {recorder_.schema("prim::ListUnpack", {"list"}), {argument(list)}, values, origin_, {}});
}

// Tensor.tolist(): the elements as numbers, in lists as `type` says.
Val Interpreter::to_list(const Val& tensor, const c10::TypePtr& type, Frame& frame,
                         const Source& callers) {
  const auto call = [&](const std::string& body) {
    return call_source("def tolist(x: Tensor):\n" + body, {tensor}, frame, callers);
  };
  if (type->kind() != c10::TypeKind::ListType) {
    return call(fmt::format("  return {}(x)\n", type->annotation_str()));
  }
  const c10::TypePtr element = type->expectRef<c10::ListType>().getElementType();
  if (element->kind() != c10::TypeKind::ListType) {
    return call(
        fmt::format("  numbers: List[{0}] = []\n"
                    "  for element in x.unbind():\n"
                    "    numbers.append({0}(element))\n"
                    "  return numbers\n",
                    element->annotation_str()));
  }
  const Val rows = call("  return x.unbind()\n");
  const auto& given = *std::get<std::shared_ptr<ListVal>>(rows);
  if (given.sequence) {
    throw Error(ErrorKind::unsupported,
                "prim::tolist: a list of lists whose length depends on the inputs");
  }
  auto list = std::make_shared<ListVal>(ListVal{element, {}, nullptr});
  for (const Val& row : given.elements) {
    list->elements.push_back(to_list(row, element, frame, callers));
  }
  return list;
}

}  // namespace modelexport::frontend
