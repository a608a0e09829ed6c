// Examples as flat lists of inputs, and back.
#include <ATen/Functions.h>
#include <fmt/format.h>

#include <functional>

#include "exporter/frontend/examples.h"

namespace modelexport::frontend {
namespace {

using LeafFunction = std::function<c10::IValue(const std::string&, const c10::IValue&)>;

// `value` with what is no container in it replaced by what `replace` makes of its name and it.
c10::IValue map_leaves(const c10::IValue& value, const std::string& name,
                       const LeafFunction& replace) {
  if (value.isTuple()) {
    const auto type = value.type()->expect<c10::TupleType>();
    std::vector<c10::IValue> elements = value.toTupleRef().elements().vec();
    for (size_t i = 0; i < elements.size(); ++i) {
      const std::string child =
          type->schema() ? type->schema()->arguments()[i].name() : std::to_string(i);
      elements[i] = map_leaves(elements[i], name + "." + child, replace);
    }
    return c10::ivalue::Tuple::createNamed(std::move(elements), type);
  }
  if (value.isList()) {
    c10::impl::GenericList list(value.toList().elementType());
    for (const c10::IValue& element : value.toListRef()) {
      list.push_back(map_leaves(element, fmt::format("{}.{}", name, list.size()), replace));
    }
    return list;
  }
  if (value.isGenericDict()) {
    const c10::impl::GenericDict given = value.toGenericDict();
    c10::impl::GenericDict dict(given.keyType(), given.valueType());
    for (const auto& entry : given) {
      const std::string key =
          entry.key().isString() ? entry.key().toStringRef() : std::to_string(entry.key().toInt());
      dict.insert(entry.key(), map_leaves(entry.value(), name + "." + key, replace));
    }
    return dict;
  }
  return replace(name, value);
}

Example map_leaves(const c10::FunctionSchema& forward, const Example& example,
                   const LeafFunction& replace) {
  Example result{{}, example.numbers};
  for (size_t i = 0; i < example.arguments.size(); ++i) {
    result.arguments.push_back(
        map_leaves(example.arguments[i], forward.arguments()[i + 1].name(), replace));
  }
  return result;
}

bool is_tensor_input(const c10::IValue& leaf) {
  return leaf.isTensor() && leaf.toTensor().defined();
}

}  // namespace

std::vector<FlatInput> flatten(const c10::FunctionSchema& forward, const Example& example) {
  std::vector<FlatInput> inputs;
  map_leaves(forward, example, [&](const std::string& name, const c10::IValue& leaf) {
    if (is_tensor_input(leaf)) inputs.push_back({name, leaf.toTensor()});
    if (leaf.isScalar() && example.numbers.contains(name)) {
      const at::Scalar number = leaf.toScalar();
      inputs.push_back({name, at::scalar_tensor(number, number.type()), true});
    }
    return leaf;
  });
  return inputs;
}

Example unflatten(const c10::FunctionSchema& forward, const Example& like,
                  const std::vector<at::Tensor>& tensors) {
  size_t next = 0;
  return map_leaves(forward, like, [&](const std::string& name, const c10::IValue& leaf) {
    if (is_tensor_input(leaf)) return c10::IValue(tensors.at(next++));
    if (!leaf.isScalar() || !like.numbers.contains(name)) return leaf;
    return c10::IValue(tensors.at(next++).item());
  });
}

std::set<std::string> numbers_in(const c10::FunctionSchema& forward, const Example& example) {
  std::set<std::string> names;
  map_leaves(forward, example, [&](const std::string& name, const c10::IValue& leaf) {
    if (leaf.isScalar()) names.insert(name);
    return leaf;
  });
  return names;
}

}  // namespace modelexport::frontend
