// Inputs and outputs of the model: forward's arguments and results, flattened and named.
#include <fmt/format.h>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {

// Builds the Val of one argument of forward, following the structure of its value in the first
// example.
Val Interpreter::input(const c10::IValue& first, const std::string& name, size_t argument,
                       std::vector<size_t>& path) {
  const auto in_example = [&](size_t lane) {
    c10::IValue value = examples_.examples[lane].arguments[argument];
    for (size_t step : path) {
      if (value.isTuple()) {
        value = value.toTupleRef().elements().at(step);
      } else if (value.isList()) {
        value = value.toListRef().at(step);
      } else {
        value = std::next(value.toGenericDict().begin(), static_cast<int64_t>(step))->value();
      }
    }
    return value;
  };
  const auto child = [&](const c10::IValue& value, size_t step, const std::string& key) {
    path.push_back(step);
    Val result = input(value, name + "." + key, argument, path);
    path.pop_back();
    return result;
  };
  if (first.isTensor() && first.toTensor().defined()) {
    if (first.toTensor().is_quantized()) {
      throw Error(ErrorKind::unsupported,
                  "the input " + name +
                      " is a quantised tensor, which ONNX has no type for; give it as real numbers "
                      "and quantise it in the module");
    }
    std::vector<at::Tensor> lanes;
    for (size_t lane = 0; lane < lanes_; ++lane) {
      lanes.push_back(in_example(lane).toTensor().detach().clone());
    }
    auto cell = new_tensor(std::move(lanes), true, false);
    const Shape& shape = recorder_.program().values[cell->value].shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const auto given = examples_.dim_names.find({name, static_cast<int64_t>(axis)});
      if (given != examples_.dim_names.end()) recorder_.name_symbol(shape[axis], given->second);
    }
    recorder_.program().inputs.push_back({name, cell->value});
    return cell;
  }
  if (first.isScalar() && examples_.examples[0].numbers.contains(name)) {
    auto number = std::make_shared<SymbolicNumber>();
    for (size_t lane = 0; lane < lanes_; ++lane) number->lanes.push_back(in_example(lane));
    number->value = recorder_.number_value(number->lanes);
    number->worlds = worlds_;
    const auto& size = recorder_.program().values[number->value].size;
    if (size) recorder_.name_symbol(*size, name);
    recorder_.program().inputs.push_back({name, number->value});
    return number;
  }
  if (first.isTuple()) {
    auto tuple = std::make_shared<TupleVal>();
    tuple->type = first.type();
    const auto* schema = first.type()->expectRef<c10::TupleType>().schema().get();
    size_t index = 0;
    for (const auto& element : first.toTupleRef().elements()) {
      const std::string field =
          schema ? schema->arguments().at(index).name() : std::to_string(index);
      tuple->elements.push_back(child(element, index, field));
      ++index;
    }
    return tuple;
  }
  if (first.isList()) {
    auto list = std::make_shared<ListVal>();
    list->element_type = first.toList().elementType();
    size_t index = 0;
    for (const auto& element : first.toListRef()) {
      list->elements.push_back(child(element, index, std::to_string(index)));
      ++index;
    }
    return list;
  }
  if (first.isGenericDict()) {
    auto dict = std::make_shared<DictVal>();
    const auto entries = first.toGenericDict();
    dict->key_type = entries.keyType();
    dict->value_type = entries.valueType();
    size_t index = 0;
    for (const auto& entry : entries) {
      const std::string key = entry.key().isString() ? entry.key().toStringRef()
                                                     : fmt::format("{}", entry.key().toInt());
      dict->entries.emplace_back(entry.key(), child(entry.value(), index++, key));
    }
    return dict;
  }
  return first;
}

// Flattens one output; names are the module's own where it has any (dict keys, named tuple fields).
void Interpreter::output(const Val& val, const std::string& name) {
  const auto nested = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
  if (const auto* cell = get_if<TensorCell>(val)) {
    recorder_.program().outputs.push_back({name, current(*cell)});
  } else if (const auto* number = get_if<SymbolicNumber>(val)) {
    recorder_.program().outputs.push_back({name, (*number)->value});
  } else if (const auto* list = get_if<ListVal>(val)) {
    if ((*list)->sequence) {
      recorder_.program().outputs.push_back({name, (*list)->sequence->value});
      return;
    }
    for (size_t i = 0; i < (*list)->elements.size(); ++i) {
      output((*list)->elements[i], nested(std::to_string(i)));
    }
  } else if (const auto* tuple = get_if<TupleVal>(val)) {
    const auto& type = (*tuple)->type;
    const auto* schema = type ? type->expectRef<c10::TupleType>().schema().get() : nullptr;
    for (size_t i = 0; i < (*tuple)->elements.size(); ++i) {
      output((*tuple)->elements[i],
             nested(schema ? schema->arguments().at(i).name() : std::to_string(i)));
    }
  } else if (const auto* dict = get_if<DictVal>(val)) {
    for (const auto& [key, value] : (*dict)->entries) {
      const auto* text = known(key);
      output(value, nested(text && text->isString() ? text->toStringRef()
                                                    : fmt::format("{}", text ? text->toInt() : 0)));
    }
  } else if (get_if<OptionalVal>(val)) {
    throw Error(ErrorKind::unsupported,
                fmt::format("output '{}' is None for some inputs only", name));
  } else if (const auto* value = known(val); value != nullptr && value->isScalar()) {
    recorder_.program().outputs.push_back({name, value_of(val)});
  }  // None and strings have no counterpart in ONNX
}

// ONNX Runtime computes nothing in complex types: the file has other inputs and outputs there than
// the module.
void Interpreter::warn_of_complex_ports() {
  Program& program = recorder_.program();
  const auto warn = [&](const char* kind, const Port& port) {
    const Value& value = program.values[port.value];
    if (!value.is_complex) return;
    program.warnings.push_back(fmt::format(
        "the {} '{}' is {}; in the ONNX file it is {} with real and imaginary part as its last "
        "dimension, as torch.view_as_real has it",
        kind, port.name, name(complex_dtype(value.dtype)), name(value.dtype)));
  };
  for (const Port& input : program.inputs) warn("input", input);
  for (const Port& output : program.outputs) warn("output", output);
}

}  // namespace modelexport::frontend
