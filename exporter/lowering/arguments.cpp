#include "exporter/lowering/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

const Schema& schema_of(const Call& c) { return c.program().schemas[c.op().schema]; }

// A list in which every element is a Tensor or None; by what it holds where the type is not known.
bool is_tensor_list(const Call& c, const ArgumentList& list, size_t index) {
  if (!argument_type(c, index).empty()) return takes_tensors(c, index);
  return std::all_of(list.begin(), list.end(), [&](const Argument& element) {
    const auto* ref = std::get_if<ValueRef>(&element);
    return ref && (ref->id == kNone || !c.program().values[ref->id].is_number);
  });
}

graph::Attribute list_attribute(Call& c, const ArgumentList& list, size_t index,
                                const std::string& name) {
  const auto all = [&](const auto& holds) { return std::all_of(list.begin(), list.end(), holds); };
  const auto is_text = [](const Argument& a) { return std::holds_alternative<std::string>(a); };
  const std::string type = argument_type(c, index);
  const std::string& argument = schema_of(c).arguments[index];
  if (type.starts_with("str") || (!list.empty() && all(is_text))) {
    std::vector<std::string> texts;
    for (const Argument& element : list) texts.push_back(std::get<std::string>(element));
    return {name, std::move(texts)};
  }
  const bool has_float = std::any_of(list.begin(), list.end(), [](const Argument& a) {
    return std::holds_alternative<double>(a);
  });
  if (type.starts_with("float") || has_float) {
    const std::vector<double> numbers = c.numbers(argument);
    return attr(name, std::vector<float>(numbers.begin(), numbers.end()));
  }
  return attr(name, c.integers(argument));
}

}  // namespace

size_t argument_index(const Call& c, const std::string& name) {
  const std::vector<std::string>& names = schema_of(c).arguments;
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? std::string::npos : static_cast<size_t>(found - names.begin());
}

std::string argument_type(const Call& c, size_t index) {
  const Schema& schema = schema_of(c);
  return index < schema.types.size() ? schema.types[index] : "";
}

bool takes_tensors(const Call& c, size_t index) {
  return argument_type(c, index).starts_with("Tensor");
}

std::vector<V> inputs_of(Call& c, size_t index) {
  const Argument& argument = c.argument_at(index);
  const auto* list = std::get_if<ArgumentList>(&argument);
  if (!list) return {c.value_of(argument)};
  if (!is_tensor_list(c, *list, index)) return {c.int_list(schema_of(c).arguments[index])};
  std::vector<V> inputs;
  for (const Argument& element : *list) inputs.push_back(c.value_of(element));
  return inputs;
}

std::optional<graph::Attribute> attribute_of(Call& c, size_t index, const std::string& name) {
  const Argument& argument = c.argument_at(index);
  const std::string& own_name = schema_of(c).arguments[index];
  if (std::holds_alternative<std::monostate>(argument)) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(&argument)) return attr(name, *text);
  if (const auto* list = std::get_if<ArgumentList>(&argument)) {
    return list_attribute(c, *list, index, name);
  }
  const bool is_float =
      std::holds_alternative<double>(argument) || argument_type(c, index).starts_with("float");
  return is_float ? attr(name, c.number(own_name)) : attr(name, c.integer(own_name));
}

std::vector<V> node_as_observed(Call& c, const std::string& domain, const std::string& op_type,
                                std::vector<V> inputs, Attributes attributes) {
  while (!inputs.empty() && inputs.back() == kOmitted) inputs.pop_back();
  std::vector<V> outputs;
  for (modelexport::ValueId id : c.op().outputs) {
    if (id == kNone) {
      outputs.push_back(kOmitted);
      continue;
    }
    const modelexport::Value& value = c.program().values[id];
    outputs.push_back(c.builder().new_value(value.dtype, value.shape, value.kind));
  }
  c.builder().emit(op_type, domain, std::move(inputs), outputs, std::move(attributes));
  return outputs;
}

}  // namespace modelexport::lowering
