// Inputs and outputs of the model: forward's arguments and results, flattened and named.
#include <fmt/format.h>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {

// The structure is that of the first lane.
Val Interpreter::input(const std::vector<c10::IValue>& lanes, const std::string& name,
                       bool is_state) {
  const c10::IValue& first = lanes[0];
  const auto child = [&](const std::string& key, const auto& element_of) {
    std::vector<c10::IValue> elements;
    for (const c10::IValue& lane : lanes) elements.push_back(element_of(lane));
    const std::string child_name = name + "." + key;
    if (is_state) check_state(elements, child_name);
    return input(elements, child_name, is_state);
  };
  if (first.isTensor() && first.toTensor().defined()) return tensor_input(lanes, name, is_state);
  if (first.isScalar() && (is_state || examples_.examples[0].numbers.contains(name)))
    return number_input(lanes, name, is_state);
  if (first.isTuple()) {
    auto tuple = std::make_shared<TupleVal>();
    tuple->type = first.type();
    const auto* schema = first.type()->expectRef<c10::TupleType>().schema().get();
    for (size_t i = 0; i < first.toTupleRef().elements().size(); ++i) {
      const std::string field = schema ? schema->arguments().at(i).name() : std::to_string(i);
      tuple->elements.push_back(child(
          field, [&](const c10::IValue& lane) { return lane.toTupleRef().elements().at(i); }));
    }
    return tuple;
  }
  if (first.isList() && !is_state && examples_.examples[0].lists.contains(name))
    return list_input(lanes, name);
  if (first.isList()) {
    auto list = std::make_shared<ListVal>();
    list->element_type = first.toList().elementType();
    for (size_t i = 0; i < first.toListRef().size(); ++i) {
      list->elements.push_back(
          child(std::to_string(i),
                [&](const c10::IValue& lane) -> c10::IValue { return lane.toListRef().at(i); }));
    }
    return list;
  }
  if (first.isGenericDict()) {
    auto dict = std::make_shared<DictVal>();
    const auto entries = first.toGenericDict();
    dict->key_type = entries.keyType();
    dict->value_type = entries.valueType();
    int64_t index = 0;
    for (const auto& entry : entries) {
      dict->entries.emplace_back(entry.key(),
                                 child(key_text(entry.key()), [&](const c10::IValue& lane) {
                                   return std::next(lane.toGenericDict().begin(), index)->value();
                                 }));
      ++index;
    }
    return dict;
  }
  return first;
}

Val Interpreter::tensor_input(const std::vector<c10::IValue>& lanes, const std::string& name,
                              bool is_state) {
  if (lanes[0].toTensor().is_quantized()) {
    throw Error(ErrorKind::unsupported,
                fmt::format("the input {} is a quantised tensor, which ONNX has no type for; give "
                            "it as real numbers and quantise it in the module",
                            name));
  }
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& lane : lanes) tensors.push_back(lane.toTensor().detach().clone());
  auto cell = new_tensor(std::move(tensors), true, false);
  const Shape& shape = recorder_.program().values[cell->value].shape;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const auto given = examples_.dim_names.find({name, static_cast<int64_t>(axis)});
    if (given != examples_.dim_names.end()) recorder_.name_symbol(shape[axis], given->second);
  }
  recorder_.program().inputs.push_back({name, cell->value, is_state ? name : ""});
  return cell;
}

Val Interpreter::number_input(const std::vector<c10::IValue>& lanes, const std::string& name,
                              bool is_state) {
  auto number = std::make_shared<SymbolicNumber>();
  number->lanes = lanes;
  number->value = recorder_.number_value(lanes);
  number->worlds = worlds_;
  const auto& size = recorder_.program().values[number->value].size;
  if (size) recorder_.name_symbol(*size, name);
  recorder_.program().inputs.push_back({name, number->value, is_state ? name : ""});
  return number;
}

// Of a list of numbers whose length varies: the sequence of the elements of a 1-D tensor.
Val Interpreter::list_input(const std::vector<c10::IValue>& lanes, const std::string& name) {
  std::vector<c10::IValue> tensors;
  for (const c10::IValue& lane : lanes) tensors.emplace_back(list_tensor(lane));
  const Val elements = tensor_input(tensors, name, false);
  auto sequence = std::make_shared<SymbolicSequence>(
      SymbolicSequence{recorder_.sequence_value(lanes), lanes, worlds_});
  recorder_.emit({recorder_.schema("aten::unbind.int", {"self", "dim"}),
                  {argument(elements), int64_t{0}},
                  {sequence->value},
                  origin_,
                  {}});
  return std::make_shared<ListVal>(ListVal{lanes[0].toList().elementType(), {}, sequence});
}

// Flattens a value; names are the module's own where it has any (dict keys, named tuple fields).
void Interpreter::add_ports(const Val& val, const std::string& name, std::vector<Port>& ports,
                            Known known_values) {
  const auto nested = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
  const auto add = [&](const Val& element, const std::string& key) {
    add_ports(element, nested(key), ports, known_values);
  };
  if (const auto* cell = get_if<TensorCell>(val)) {
    if ((*cell)->known && known_values == Known::left_out) return;
    ports.push_back({name, current(*cell)});
  } else if (const auto* number = get_if<SymbolicNumber>(val)) {
    ports.push_back({name, (*number)->value});
  } else if (const auto* list = get_if<ListVal>(val)) {
    if ((*list)->sequence) {
      ports.push_back({name, (*list)->sequence->value});
      return;
    }
    for (size_t i = 0; i < (*list)->elements.size(); ++i) {
      add((*list)->elements[i], std::to_string(i));
    }
  } else if (const auto* tuple = get_if<TupleVal>(val)) {
    const auto& type = (*tuple)->type;
    const auto* schema = type ? type->expectRef<c10::TupleType>().schema().get() : nullptr;
    for (size_t i = 0; i < (*tuple)->elements.size(); ++i) {
      add((*tuple)->elements[i], schema ? schema->arguments().at(i).name() : std::to_string(i));
    }
  } else if (const auto* dict = get_if<DictVal>(val)) {
    for (const auto& [key, value] : (*dict)->entries) {
      const auto* text = known(key);
      add(value, text ? key_text(*text) : "0");
    }
  } else if (get_if<OptionalVal>(val)) {
    if (known_values == Known::left_out) return;
    throw Error(ErrorKind::unsupported,
                fmt::format("output '{}' is None for some inputs only", name));
  } else if (const auto* value = known(val); value != nullptr && value->isScalar()) {
    if (known_values == Known::included) ports.push_back({name, value_of(val)});
  }  // None and strings have no counterpart in ONNX
}

// What a function returns: a single value has no name of its own.
std::vector<Port> Interpreter::ports_of_result(const Val& returned, Known known_values) {
  const auto* list = get_if<ListVal>(returned);
  const auto* value = known(returned);
  const bool single = get_if<TensorCell>(returned) || get_if<SymbolicNumber>(returned) ||
                      (list && (*list)->sequence) || (value != nullptr && value->isScalar());
  std::vector<Port> ports;
  add_ports(returned, single ? "output" : "", ports, known_values);
  for (Port& port : ports) {
    if (!port.name.empty() && port.name.find_first_not_of("0123456789.") == std::string::npos) {
      port.name = "output." + port.name;
    }
  }
  return ports;
}

void Interpreter::watch_call(const ModuleRef& module, const std::string& method,
                             const std::vector<Val>& arguments) {
  if (!watched_call_ || watched_call_->found() || watched_call_->path != module.path) return;
  if (observing_ > 0) return;  // the body of a loop, which is walked for all examples later
  watched_call_->object = module.object;
  watched_call_->method = method;
  const auto lane_of = [&](WorldId example) {
    try {
      return world_tree_.lane(*worlds_, example);
    } catch (const Error&) {  // a loop that has no iteration
      throw Error(
          ErrorKind::usage,
          fmt::format("--module {}: it is called in a loop that does not run in each of the "
                      "examples",
                      module.path));
    }
  };
  for (const WorldId example : examples_worlds_->ids) {
    const size_t lane = lane_of(example);
    std::vector<c10::IValue> values;
    for (size_t i = 1; i < arguments.size(); ++i)
      values.push_back(in_lane(arguments[i], lane).deepcopy());
    watched_call_->arguments.push_back(std::move(values));
  }
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
