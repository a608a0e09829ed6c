// Examples as flat lists of inputs, and back.
#include <ATen/Functions.h>

#include <functional>

#include "exporter/frontend/examples.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {
namespace {

using LeafFunction = std::function<c10::IValue(const std::string&, const c10::IValue&)>;

// The same with what is no container replaced by what `replace` makes of its name and it.
Example map_leaves(const c10::FunctionSchema& forward, const Example& example,
                   const LeafFunction& replace) {
  const Replace leaves = [&](const std::string& name,
                             const c10::IValue& value) -> std::optional<c10::IValue> {
    if (value.isTuple() || value.isList() || value.isGenericDict()) return std::nullopt;
    return replace(name, value);
  };
  Example result{{}, example.numbers};
  for (size_t i = 0; i < example.arguments.size(); ++i) {
    result.arguments.push_back(
        rebuild(example.arguments[i], forward.arguments()[i + 1].name(), leaves));
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
