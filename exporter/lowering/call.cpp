// Arguments and observed results of a call; emit.cpp has the emitting half.
#include "exporter/lowering/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "exporter/error.h"
#include "exporter/graph/literal.h"
#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

using graph::Number;

Unsupported depends_on_inputs(std::string_view name) {
  return Unsupported{fmt::format("'{}' depends on the inputs", name)};
}

bool is_list(const Argument& argument) { return std::holds_alternative<ArgumentList>(argument); }

bool is_none_argument(const Argument& argument) {
  return std::holds_alternative<std::monostate>(argument) ||
         (std::holds_alternative<ValueRef>(argument) && std::get<ValueRef>(argument).id == kNone);
}

// Elements of a list, or the argument itself as the only one.
std::vector<Argument> elements(const Argument& argument) {
  if (const auto* list = std::get_if<ArgumentList>(&argument)) return *list;
  return {argument};
}

bool is_known_value(const Builder& builder, ValueRef ref) {
  const modelexport::Value& value = builder.program().values[ref.id];
  return value.constant != kNone ||
         (value.size && is_static(*value.size) && !builder.flow().from_data[ref.id]);
}

bool is_known_argument(const Builder& builder, const Argument& argument) {
  if (const auto* ref = std::get_if<ValueRef>(&argument)) {
    return ref->id == kNone || is_known_value(builder, *ref);
  }
  const auto* list = std::get_if<ArgumentList>(&argument);
  return !list || std::all_of(list->begin(), list->end(), [&](const Argument& element) {
    return is_known_argument(builder, element);
  });
}

// Numbers of a known argument: its own, or the elements of a constant tensor.
std::vector<Number> known_numbers(const Builder& builder, const Argument& argument,
                                  std::string_view name) {
  if (const auto* value = std::get_if<bool>(&argument)) return {int64_t{*value}};
  if (const auto* value = std::get_if<int64_t>(&argument)) return {*value};
  if (const auto* value = std::get_if<double>(&argument)) return {*value};
  if (std::holds_alternative<std::complex<double>>(argument)) {
    throw Unsupported{fmt::format("'{}' is complex", name)};
  }
  if (const auto* ref = std::get_if<ValueRef>(&argument)) {
    if (ref->id == kNone || !is_known_value(builder, *ref)) throw depends_on_inputs(name);
    const Program& program = builder.program();
    const modelexport::Value& value = program.values[ref->id];
    if (value.size && is_static(*value.size)) return {*value.size};
    const modelexport::Tensor& tensor = program.tensors[value.constant];
    const std::string bytes = graph::contiguous_bytes(program, tensor);
    std::vector<Number> numbers;
    for (int64_t i = 0; i < tensor.element_count(); ++i) {
      numbers.push_back(graph::element_at(bytes, tensor.dtype, static_cast<size_t>(i)));
    }
    return numbers;
  }
  if (const auto* list = std::get_if<ArgumentList>(&argument)) {
    std::vector<Number> numbers;
    for (const Argument& element : *list) {
      const std::vector<Number> more = known_numbers(builder, element, name);
      numbers.insert(numbers.end(), more.begin(), more.end());
    }
    return numbers;
  }
  throw Error(ErrorKind::internal, fmt::format("argument '{}' is not a number", name));
}

Number one(const std::vector<Number>& numbers, std::string_view name) {
  if (numbers.size() == 1) return numbers[0];
  throw Unsupported{
      fmt::format("'{}' has {} elements where one is expected", name, numbers.size())};
}

int64_t as_integer(Number number, std::string_view name) {
  if (const auto* integer = std::get_if<int64_t>(&number)) return *integer;
  const double value = std::get<double>(number);
  if (std::trunc(value) == value && std::abs(value) < 0x1p63) return static_cast<int64_t>(value);
  throw Unsupported{fmt::format("'{}' is {}, not an integer", name, value)};
}

}  // namespace

Call::Call(Builder& builder, const Program& program, const Op& op)
    : builder_(builder), program_(program), op_(op), read_(op.arguments.size()) {}

const Argument& Call::argument(std::string_view name) {
  const Schema& schema = program_.schemas[op_.schema];
  const auto found = std::find(schema.arguments.begin(), schema.arguments.end(), name);
  const auto index = static_cast<size_t>(found - schema.arguments.begin());
  if (index >= op_.arguments.size()) {
    throw Error(ErrorKind::internal,
                fmt::format("the lowering of {} reads '{}', which its schema does not have: {}",
                            schema.key, name, schema.text));
  }
  return argument_at(index);
}

const Argument& Call::argument_at(size_t index) {
  read_.at(index) = true;
  return op_.arguments[index];
}

void Call::ignore(std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) argument(name);
}

std::vector<std::string> Call::unread() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < read_.size(); ++i) {
    if (!read_[i]) names.push_back(program_.schemas[op_.schema].arguments.at(i));
  }
  return names;
}

// ---- arguments ----------------------------------------------------------------------------------

bool Call::is_none(std::string_view name) { return is_none_argument(argument(name)); }

bool Call::is_known(std::string_view name) {
  const Argument& value = argument(name);
  return !is_none_argument(value) && is_known_argument(builder_, value);
}

bool Call::is_complex(std::string_view name) {
  const auto is_complex_argument = [&](const auto& self, const Argument& argument) -> bool {
    if (const auto* list = std::get_if<ArgumentList>(&argument)) {
      return std::any_of(list->begin(), list->end(),
                         [&](const Argument& element) { return self(self, element); });
    }
    const auto* ref = std::get_if<ValueRef>(&argument);
    if (ref) return ref->id != kNone && program_.values[ref->id].is_complex;
    return std::holds_alternative<std::complex<double>>(argument);
  };
  return is_complex_argument(is_complex_argument, argument(name));
}

V Call::value_of(const Argument& argument) {
  if (is_none_argument(argument)) return kOmitted;
  if (const auto* ref = std::get_if<ValueRef>(&argument)) return builder_.value(ref->id);
  if (const auto* value = std::get_if<bool>(&argument)) return constant_int(*value, DType::boolean);
  if (const auto* value = std::get_if<int64_t>(&argument)) return constant_int(*value);
  if (const auto* value = std::get_if<double>(&argument)) return constant(*value, DType::f64);
  if (const auto* value = std::get_if<std::complex<double>>(&argument)) {
    std::string bytes(reinterpret_cast<const char*>(value), sizeof(*value));
    return constant_tensor(DType::f64, {2}, std::move(bytes));
  }
  throw Error(ErrorKind::internal, "an argument is neither a tensor nor a number");
}

V Call::tensor(std::string_view name) {
  const V value = value_of(argument(name));
  if (value == kOmitted) throw Unsupported{fmt::format("'{}' is None", name)};
  return value;
}

V Call::tensor(std::string_view name, DType dtype) { return cast(tensor(name), dtype); }

V Call::optional_tensor(std::string_view name) { return value_of(argument(name)); }

std::vector<V> Call::tensors(std::string_view name) {
  const Argument& list = argument(name);
  if (!is_list(list)) {
    if (is_none_argument(list)) return {};
    throw Unsupported{fmt::format("'{}' is a list whose length depends on the inputs", name)};
  }
  std::vector<V> values;
  for (const Argument& element : std::get<ArgumentList>(list)) values.push_back(value_of(element));
  return values;
}

V Call::sequence(std::string_view name) {
  const Argument& list = argument(name);
  const auto* ref = std::get_if<ValueRef>(&list);
  if (ref && program_.values[ref->id].kind == Kind::sequence) return builder_.value(ref->id);
  throw Error(ErrorKind::internal, fmt::format("argument '{}' is not a sequence", name));
}

int64_t Call::integer(std::string_view name) {
  return as_integer(one(known_numbers(builder_, argument(name), name), name), name);
}

double Call::number(std::string_view name) {
  return graph::to_double(one(known_numbers(builder_, argument(name), name), name));
}

bool Call::boolean(std::string_view name) {
  decide(name, 2);
  return number(name) != 0;
}

std::string Call::text(std::string_view name) {
  const Argument& value = argument(name);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  throw Error(ErrorKind::internal, fmt::format("argument '{}' is not a string", name));
}

std::vector<int64_t> Call::integers(std::string_view name) {
  std::vector<int64_t> values;
  for (Number number : known_numbers(builder_, argument(name), name)) {
    values.push_back(as_integer(number, name));
  }
  return values;
}

std::vector<double> Call::numbers(std::string_view name) {
  std::vector<double> values;
  for (Number number : known_numbers(builder_, argument(name), name)) {
    values.push_back(graph::to_double(number));
  }
  return values;
}

std::optional<int64_t> Call::optional_integer(std::string_view name) {
  return is_none(name) ? std::nullopt : std::optional(integer(name));
}

std::optional<double> Call::optional_number(std::string_view name) {
  return is_none(name) ? std::nullopt : std::optional(number(name));
}

std::optional<std::vector<int64_t>> Call::optional_integers(std::string_view name) {
  return is_none(name) ? std::nullopt : std::optional(integers(name));
}

DType Call::dtype(std::string_view name) {
  const int64_t number = integer(name);
  const DType dtype = dtype_from_scalar_type(number);
  if (dtype == DType::undefined) {
    throw Unsupported{
        fmt::format("'{}' is PyTorch's ScalarType {}, which ONNX lacks", name, number)};
  }
  return dtype;
}

std::optional<DType> Call::optional_dtype(std::string_view name) {
  return is_none(name) ? std::nullopt : std::optional(dtype(name));
}

void Call::decide(std::string_view name, int64_t count) {
  const std::vector<Argument> given = elements(argument(name));
  for (size_t i = 0; i < given.size(); ++i) {
    if (is_known_argument(builder_, given[i])) continue;
    const modelexport::Value& value = program_.values[std::get<ValueRef>(given[i]).id];
    const bool is_number = value.kind == Kind::tensor && value.shape.empty();  // no list
    if (is_number) throw Undecided{depends_on_inputs(name), std::string(name), i, count};
  }
}

int64_t Call::integer_modulo(std::string_view name, int64_t count) {
  decide(name, count);
  const int64_t value = integer(name) % count;
  return value < 0 ? value + count : value;
}

int64_t Call::axis(std::string_view name, int64_t rank) {
  decide(name, std::max<int64_t>(rank, 1));
  const int64_t axis = integer(name);
  return axis < 0 ? axis + std::max<int64_t>(rank, 1) : axis;
}

std::vector<int64_t> Call::axes(std::string_view name, int64_t rank) {
  decide(name, std::max<int64_t>(rank, 1));
  std::vector<int64_t> axes = optional_integers(name).value_or(std::vector<int64_t>{});
  for (int64_t& axis : axes) {
    if (axis < 0) axis += std::max<int64_t>(rank, 1);
  }
  return axes;
}

// ---- numbers that may depend on the inputs ------------------------------------------------------

V Call::scalar(std::string_view name, DType dtype) {
  V value = cast(tensor(name), dtype);
  return has_shape(value) && rank(value) > 0 ? reshape(value, {}) : value;
}

V Call::number_list(std::string_view name, DType dtype) {
  std::vector<V> numbers;
  for (const Argument& element : elements(argument(name)))
    numbers.push_back(reshape(cast(value_of(element), dtype), {1}));
  return numbers.empty() ? constant_tensor(dtype, {0}, "") : concat(numbers, 0);
}

Shape Call::dims(std::string_view name) {
  Shape shape;
  for (const Argument& element : elements(argument(name))) {
    const auto* ref = std::get_if<ValueRef>(&element);
    if (ref && ref->id != kNone && program_.values[ref->id].size) {
      shape.push_back(*program_.values[ref->id].size);
      continue;
    }
    for (Number number : known_numbers(builder_, element, name)) {
      shape.push_back(as_integer(number, name));
    }
  }
  return shape;
}

V Call::int_list(std::string_view name) {
  const Argument& list = argument(name);
  if (const auto* ref = std::get_if<ValueRef>(&list);
      ref && program_.values[ref->id].kind == Kind::sequence) {
    return node("ConcatFromSequence", {builder_.value(ref->id)},
                {attr("axis", 0), attr("new_axis", 1)});
  }
  std::vector<V> pieces;
  std::vector<int64_t> run;  // consecutive known elements become one constant
  const auto finish_run = [&] {
    if (!run.empty()) pieces.push_back(constant_ints(run));
    run.clear();
  };
  for (const Argument& element : elements(list)) {
    if (is_known_argument(builder_, element)) {
      for (Number number : known_numbers(builder_, element, name)) {
        run.push_back(as_integer(number, name));
      }
      continue;
    }
    finish_run();
    const modelexport::ValueId id = std::get<ValueRef>(element).id;
    const modelexport::Value& value = program_.values[id];
    if (value.size && !is_static(*value.size) && builder_.is_free(id)) {
      pieces.push_back(builder_.symbol_size(symbol_index(*value.size)));
    } else {
      const V number = cast(value_of(element), DType::i64);
      pieces.push_back(value.shape.empty() ? unsqueeze(number, {0}) : flatten_to_1d(number));
    }
  }
  finish_run();
  return pieces.empty() ? constant_ints({}) : concat(pieces, 0);
}

// ---- results ------------------------------------------------------------------------------------

size_t Call::output_count() const { return op_.outputs.size(); }

bool Call::output_used(size_t index) const { return op_.outputs.at(index) != kNone; }

DType Call::out_dtype(size_t index) const {
  return output_used(index) ? program_.values[op_.outputs[index]].dtype : DType::undefined;
}

const Shape& Call::out_shape(size_t index) const {
  static const Shape kScalar;
  return output_used(index) ? program_.values[op_.outputs[index]].shape : kScalar;
}

int64_t Call::out_rank(size_t index) const { return static_cast<int64_t>(out_shape(index).size()); }

}  // namespace modelexport::lowering
