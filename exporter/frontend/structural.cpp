// Nodes that have no operator because they are the interpreter's own: attributes, calls,
// construction and taking apart of containers, type refinements.
#include <ATen/core/class_type.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {
namespace {

using c10::Symbol;
using torch::jit::Node;
namespace prim = c10::prim;

// Raised by the module itself, or assumed not to happen where it stands in a branch (see
// control.cpp).
[[noreturn]] void raise(const std::string& message, const std::string& place) {
  throw Error(ErrorKind::usage, fmt::format("the module raises {}: {}", place, message));
}

std::vector<Val> elements_of(const Val& val) {
  if (const auto* list = get_if<ListVal>(val)) return (*list)->elements;
  if (const auto* tuple = get_if<TupleVal>(val)) return (*tuple)->elements;
  throw Error(ErrorKind::internal, "elements of a value that is no list or tuple");
}

// The type a Val has at run time, for isinstance.
c10::TypePtr type_of(const Val& val) {
  if (const auto* value = known(val)) return value->type();
  if (const auto* number = get_if<SymbolicNumber>(val)) return (*number)->lanes[0].type();
  if (get_if<TensorCell>(val)) return c10::TensorType::get();
  if (const auto* list = get_if<ListVal>(val)) return c10::ListType::create((*list)->element_type);
  if (const auto* dict = get_if<DictVal>(val)) {
    return c10::DictType::create((*dict)->key_type, (*dict)->value_type);
  }
  if (const auto* tuple = get_if<TupleVal>(val)) {
    if ((*tuple)->type) return (*tuple)->type;
    std::vector<c10::TypePtr> types;
    for (const Val& element : (*tuple)->elements) types.push_back(type_of(element));
    return c10::TupleType::create(types);
  }
  if (const auto* module = get_if<ModuleRef>(val)) return (*module)->object->type();
  if (get_if<OptionalVal>(val)) {
    throw Error(ErrorKind::unsupported, "the type of a value that is None for some inputs only");
  }
  throw Error(ErrorKind::internal, "type of a value that was never set");
}

// The value where it is known to be of `type`.
Val refined(const Val& val, const c10::TypePtr& type) {
  const auto* optional = get_if<OptionalVal>(val);
  return optional && type->kind() != c10::TypeKind::OptionalType ? (*optional)->value : val;
}

// The attribute of a ModuleDict or ModuleList that holds the element at `index`.
std::string element_name(const Val& index) {
  const auto* value = known(index);
  if (value == nullptr) {
    throw Error(ErrorKind::unsupported, "a module is chosen by a value that depends on the inputs");
  }
  return key_text(*value);
}

bool same_object(const Val& a, const Val& b) {
  if (is_none(a) || is_none(b)) return is_none(a) && is_none(b);
  if (const auto* x = known(a), *y = known(b); x && y) return x->is(*y);
  return a == b;  // references compare by identity
}

}  // namespace

bool Interpreter::run_structural(Node* node, Frame& frame) {
  const auto in = [&](size_t index) { return get(frame, node->input(index)); };
  const auto out = [&](Val val) {
    set(frame, node->output(), std::move(val));
    return true;
  };
  const auto module_in = [&] {
    const Val val = in(0);
    if (const auto* module = get_if<ModuleRef>(val)) return *module;
    throw Error(ErrorKind::internal,
                "an attribute of something that is no object " + place_of(node, frame));
  };
  const auto unpack = [&] {
    const auto elements = elements_of(in(0));
    if (elements.size() != node->outputs().size()) {
      raise(fmt::format("expected {} values to unpack, got {}", node->outputs().size(),
                        elements.size()),
            place_of(node, frame));
    }
    for (size_t i = 0; i < elements.size(); ++i) set(frame, node->output(i), elements[i]);
    return true;
  };

  switch (node->kind()) {
    case prim::Constant: {
      const auto [found, is_new] = constants_.try_emplace(node);
      if (is_new || !known(found->second)) {
        // Tensor constants are made anew at each use: they may be updated in place.
        if (node->output()->type()->kind() == c10::TypeKind::FunctionType)
          return out(c10::IValue());
        origin_ = origin_of(node, frame);
        found->second = constant(torch::jit::toIValue(node->output()).value());
      }
      return out(found->second);
    }
    case prim::GetAttr:
      return out(attribute(module_in(), node->s(c10::attr::name)));
    case prim::SetAttr:
      set_attribute(module_in(), node->s(c10::attr::name), in(1));
      return true;
    case prim::CallMethod:
      return out(call_method(node, node->s(c10::attr::name), inputs_of(node, frame), frame));
    case prim::CallFunction: {
      auto* function = node->input(0)->type()->expectRef<c10::FunctionType>().function();
      auto arguments = inputs_of_function(node, frame);
      return out(
          call_function(*function, std::move(arguments), frame.scope, source_of(node, frame)));
    }
    case prim::CreateObject: {
      auto type = node->output()->type()->expect<c10::ClassType>();
      auto object = std::make_shared<ModuleRef>();
      object->object = c10::ivalue::Object::create(
          c10::StrongTypePtr(checkpoint_.module._ivalue()->compilation_unit(), type),
          type->numAttributes());
      return out(object);
    }
    case prim::ListConstruct: {
      auto list = std::make_shared<ListVal>();
      list->element_type = node->output()->type()->expectRef<c10::ListType>().getElementType();
      list->elements = inputs_of(node, frame);
      return out(list);
    }
    case prim::TupleConstruct: {
      auto tuple = std::make_shared<TupleVal>();
      tuple->type = node->output()->type();
      if (tuple->type->kind() != c10::TypeKind::TupleType) tuple->type = nullptr;
      tuple->elements = inputs_of(node, frame);
      return out(tuple);
    }
    case prim::DictConstruct: {
      auto dict = std::make_shared<DictVal>();
      const auto& type = node->output()->type()->expectRef<c10::DictType>();
      dict->key_type = type.getKeyType();
      dict->value_type = type.getValueType();
      for (size_t i = 0; i < node->inputs().size(); i += 2) set_entry(*dict, in(i), in(i + 1));
      return out(dict);
    }
    case prim::ListUnpack:
      if (std::get<std::shared_ptr<ListVal>>(in(0))->sequence) {
        unpack_sequence(node, frame);
        return true;
      }
      return unpack();
    case prim::TupleUnpack:
      return unpack();
    case prim::TupleIndex: {
      const Val index = in(1);
      const auto elements = elements_of(in(0));
      int64_t position = known(index)->toInt();
      if (position < 0) position += static_cast<int64_t>(elements.size());
      return out(elements.at(position));
    }
    case prim::TupleSlice: {
      const auto elements = elements_of(in(0));
      auto tuple = std::make_shared<TupleVal>();
      tuple->elements.assign(elements.begin() + node->i(c10::attr::beg),
                             elements.begin() + node->i(c10::attr::end));
      return out(tuple);
    }
    case prim::If:
      run_if(node, frame);
      return true;
    case prim::Loop:
      run_loop(node, frame);
      return true;
    case prim::unchecked_cast:
    case prim::unchecked_unwrap_optional:
      return out(refined(in(0), node->output()->type()));
    case c10::aten::_unwrap_optional:
      if (is_none(in(0))) raise("unwrapping None", place_of(node, frame));
      return out(refined(in(0), node->output()->type()));
    case prim::isinstance: {
      const auto type = type_of(in(0));
      bool is = false;
      for (const auto& candidate : node->tys(c10::attr::types)) is |= type->isSubtypeOf(*candidate);
      return out(c10::IValue(is));
    }
    case c10::aten::__is__:
    case c10::aten::__isnot__: {
      const bool is = node->kind() == c10::aten::__is__;
      for (size_t i = 0; i < 2; ++i) {
        const Val val = in(i);
        const auto* optional = get_if<OptionalVal>(val);
        if (!optional || !is_none(in(1 - i))) continue;
        return out(is ? negated((*optional)->given, origin_of(node, frame)) : (*optional)->given);
      }
      return out(c10::IValue(same_object(in(0), in(1)) == is));
    }
    case prim::Uninitialized:  // stands where a branch leaves the loop or function early
      return out(Val());
    case prim::RaiseException: {
      const Val message = in(0);
      const auto* text = known(message);
      raise(text && text->isString() ? text->toStringRef() : "an exception", place_of(node, frame));
    }
    case prim::Enter:
      return out(call_method(node, "__enter__", {in(0)}, frame));
    case prim::Exit:
      return out(call_method(node, "__exit__", {in(0), c10::IValue(), c10::IValue(), c10::IValue()},
                             frame));
    case prim::ModuleContainerIndex:
      return out(attribute(module_in(), element_name(in(1))));
    case prim::tolist:
      if (!is_symbolic(in(0))) return false;
      return out(to_list(in(0), node->output()->type(), frame, source_of(node, frame)));
    case prim::Print:
    case c10::aten::warn:
      for (const auto* output : node->outputs()) set(frame, output, c10::IValue());
      return true;
    case prim::fork: {  // run at once: the program has no concurrency
      const auto& graph = *node->g(c10::attr::Subgraph);
      const auto arguments = inputs_of(node, frame);
      for (size_t i = 0; i < arguments.size(); ++i) set(frame, graph.inputs()[i], arguments[i]);
      run_nodes(graph.block(), frame);
      return out(get(frame, graph.outputs().at(0)));
    }
    case c10::aten::wait:
      return out(in(0));
    default:
      return false;
  }
}

Val Interpreter::negated(const std::shared_ptr<SymbolicNumber>& number, OriginId origin) {
  auto result = std::make_shared<SymbolicNumber>();
  for (const c10::IValue& lane : number->lanes) result->lanes.emplace_back(!lane.toBool());
  result->worlds = number->worlds;
  result->negated_from = number;
  result->value = recorder_.number_value(result->lanes);
  recorder_.emit({recorder_.schema("aten::__not__", {"self"}),
                  {ValueRef{number->value}},
                  {result->value},
                  origin,
                  {}});
  return result;
}

std::vector<Val> Interpreter::inputs_of_function(const Node* node, Frame& frame) {
  std::vector<Val> result;
  for (size_t i = 1; i < node->inputs().size(); ++i) result.push_back(get(frame, node->input(i)));
  return result;
}

}  // namespace modelexport::frontend
