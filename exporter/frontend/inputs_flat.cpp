// Examples as flat lists of inputs, and back.
#include <ATen/Functions.h>

#include <functional>

#include "exporter/frontend/examples.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {
namespace {

using LeafFunction = std::function<c10::IValue(const std::string&, const c10::IValue&)>;

// The same with what is no container (but a list that is one input) replaced by what `replace`
// makes of its name and it.
Example map_leaves(const c10::FunctionSchema& forward, const Example& example,
                   const LeafFunction& replace) {
  const Replace leaves = [&](const std::string& name,
                             const c10::IValue& value) -> std::optional<c10::IValue> {
    const bool is_inner = value.isTuple() || value.isList() || value.isGenericDict();
    if (is_inner && !example.lists.contains(name)) return std::nullopt;
    return replace(name, value);
  };
  Example result{{}, example.numbers, example.lists};
  for (size_t i = 0; i < example.arguments.size(); ++i) {
    result.arguments.push_back(
        rebuild(example.arguments[i], forward.arguments()[i + 1].name(), leaves));
  }
  return result;
}

// The elements of a 1-D tensor, in a list as `like` is.
c10::IValue list_of(const at::Tensor& tensor, const c10::IValue& like) {
  c10::impl::GenericList list(like.toList().elementType());
  for (int64_t i = 0; i < tensor.size(0); ++i) list.push_back(tensor[i].item());
  return list;
}

bool is_tensor_input(const c10::IValue& leaf) {
  return leaf.isTensor() && leaf.toTensor().defined();
}

}  // namespace

std::vector<FlatInput> flatten(const c10::FunctionSchema& forward, const Example& example) {
  std::vector<FlatInput> inputs;
  map_leaves(forward, example, [&](const std::string& name, const c10::IValue& leaf) {
    if (is_tensor_input(leaf)) inputs.push_back({name, leaf.toTensor()});
    if (leaf.isList()) inputs.push_back({name, list_tensor(leaf)});
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
    if (leaf.isList()) return list_of(tensors.at(next++), leaf);
    if (!leaf.isScalar() || !like.numbers.contains(name)) return leaf;
    return c10::IValue(tensors.at(next++).item());
  });
}

void mark_inputs(const c10::FunctionSchema& forward, const std::set<std::string>& names,
                 Example& example) {
  const Replace mark = [&](const std::string& name,
                           const c10::IValue& value) -> std::optional<c10::IValue> {
    if (!names.contains(name)) return std::nullopt;
    if (value.isScalar()) example.numbers.insert(name);
    if (is_number_list(value)) example.lists.insert(name);
    return std::nullopt;
  };
  for (size_t i = 0; i < example.arguments.size(); ++i)
    rebuild(example.arguments[i], forward.arguments()[i + 1].name(), mark);
}

bool is_number_list(const c10::IValue& value) {
  return value.isIntList() || value.isDoubleList() || value.isBoolList();
}

at::Tensor list_tensor(const c10::IValue& list) {
  const auto dtype = list.isIntList() ? at::kLong : list.isDoubleList() ? at::kDouble : at::kBool;
  const auto elements = list.toListRef();
  at::Tensor tensor = at::empty({static_cast<int64_t>(elements.size())}, dtype);
  for (size_t i = 0; i < elements.size(); ++i)
    tensor[static_cast<int64_t>(i)].fill_(elements[i].toScalar());
  return tensor;
}

}  // namespace modelexport::frontend
