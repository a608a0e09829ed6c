// The emitting half of Call.
#include <algorithm>
#include <limits>
#include <numeric>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"
#include "exporter/graph/literal.h"
#include "exporter/lowering/builder.h"
#include "exporter/lowering/call.h"
#include "exporter/lowering/infer.h"

namespace modelexport::lowering {

graph::Attribute attr(std::string_view name, int64_t value) { return {std::string(name), value}; }
graph::Attribute attr(std::string_view name, int value) { return attr(name, int64_t{value}); }
graph::Attribute attr(std::string_view name, bool value) { return attr(name, int64_t{value}); }
graph::Attribute attr(std::string_view name, double value) {
  return {std::string(name), static_cast<float>(value)};
}
graph::Attribute attr(std::string_view name, const char* value) {
  return {std::string(name), std::string(value)};
}
graph::Attribute attr(std::string_view name, std::string value) {
  return {std::string(name), std::move(value)};
}
graph::Attribute attr(std::string_view name, std::vector<int64_t> value) {
  return {std::string(name), std::move(value)};
}
graph::Attribute attr(std::string_view name, std::vector<float> value) {
  return {std::string(name), std::move(value)};
}
graph::Attribute attr(std::string_view name, DType value) {
  return attr(name, int64_t{graph::onnx_number(value)});
}

// ---- values -------------------------------------------------------------------------------------

DType Call::dtype_of(V value) const { return builder_.at(value).dtype; }

bool Call::has_shape(V value) const { return builder_.at(value).shape.has_value(); }

Shape Call::shape(V value) const {
  if (!has_shape(value)) throw Unsupported{"the shape of an intermediate value is not known"};
  return *builder_.at(value).shape;
}

int64_t Call::rank(V value) const { return static_cast<int64_t>(shape(value).size()); }

std::optional<std::vector<int64_t>> Call::known_integers(V value) const {
  const DType dtype = value == kOmitted ? DType::undefined : dtype_of(value);
  if (!is_integral(dtype) && dtype != DType::boolean) return std::nullopt;
  const std::optional<std::string> bytes = builder_.bytes_of(value);
  if (!bytes) return std::nullopt;
  std::vector<int64_t> integers;
  for (size_t i = 0; i < bytes->size() / byte_size(dtype); ++i) {
    integers.push_back(std::get<int64_t>(graph::element_at(*bytes, dtype, i)));
  }
  return integers;
}

std::optional<double> Call::known_scalar(V value) const {
  const graph::TensorData* tensor = builder_.constant_of(value);
  if (!tensor || graph::element_count(*tensor) != 1) return std::nullopt;
  return graph::to_double(graph::element_at(*builder_.bytes_of(value), tensor->dtype, 0));
}

// ---- nodes --------------------------------------------------------------------------------------

int Call::opset() const { return builder_.opset(); }

V Call::node(std::string_view op_type, std::vector<V> inputs, Attributes attributes,
             std::string_view domain) {
  return nodes(op_type, std::move(inputs), 1, std::move(attributes), domain)[0];
}

std::vector<V> Call::nodes(std::string_view op_type, std::vector<V> inputs, size_t outputs,
                           Attributes attributes, std::string_view domain) {
  while (!inputs.empty() && inputs.back() == kOmitted) inputs.pop_back();
  std::vector<Type> types;
  for (V input : inputs) {
    if (input == kOmitted) {
      types.emplace_back();
    } else {
      const graph::Value& value = builder_.at(input);
      types.push_back({value.kind, value.dtype, value.shape});
    }
  }
  const InferenceInput input{op_type, types, attributes,
                             [&](size_t i) { return known_integers(inputs[i]); }};
  std::vector<V> results;
  for (Type& type : infer(input, outputs)) {
    results.push_back(builder_.new_value(type.dtype, std::move(type.shape), type.kind));
  }
  builder_.emit(std::string(op_type), std::string(domain), std::move(inputs), results,
                std::move(attributes));
  return results;
}

V Call::typed(V value, DType dtype) {
  builder_.at(value).dtype = dtype;
  return value;
}

V Call::typed(V value, DType dtype, Shape shape) {
  builder_.at(value).shape = std::move(shape);
  return typed(value, dtype);
}

// ---- constants ----------------------------------------------------------------------------------

V Call::constant(double value, DType dtype) {
  return constant_tensor(dtype, {}, graph::element_bytes(dtype, value));
}

V Call::constant_int(int64_t value, DType dtype) {
  return constant_tensor(dtype, {}, graph::element_bytes(dtype, value));
}

V Call::constant_ints(const std::vector<int64_t>& values) {
  std::string bytes;
  for (int64_t value : values) graph::append_element(bytes, DType::i64, value);
  return constant_tensor(DType::i64, {static_cast<int64_t>(values.size())}, std::move(bytes));
}

V Call::constant_tensor(DType dtype, std::vector<int64_t> dims, std::string bytes) {
  return builder_.constant(dtype, std::move(dims), std::move(bytes));
}

// ---- rearranging --------------------------------------------------------------------------------

V Call::cast(V value, DType dtype) {
  const DType from = dtype_of(value);
  if (from == dtype) return value;
  if (const graph::TensorData* tensor = builder_.constant_of(value)) {
    const auto* bytes = std::get_if<std::string>(&tensor->data);
    if (bytes) {
      return constant_tensor(dtype, tensor->dims, graph::converted(*bytes, from, dtype));
    }
  }
  return node("Cast", {value}, {attr("to", dtype)});
}

V Call::reshape(V value, const Shape& shape) {
  const DType dtype = dtype_of(value);
  const std::optional<Shape> from = builder_.at(value).shape;
  if (from == shape) return value;

  Shape target = shape;
  const bool has_zero = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (has_zero && !is_static(shape)) {
    // Neither 0 for "copy" nor -1 may stand beside a dimension of size 0.
    return typed(node("Reshape", {value, shape_vector(shape)}, {attr("allowzero", 1)}), dtype,
                 shape);
  }
  if (has_zero) {
    return typed(node("Reshape", {value, constant_ints(shape)}, {attr("allowzero", 1)}), dtype,
                 shape);
  }
  std::vector<size_t> open;  // symbolic dimensions that are not the input's at the same place
  for (size_t i = 0; i < target.size(); ++i) {
    if (is_static(target[i])) continue;
    if (from && i < from->size() && (*from)[i] == target[i])
      target[i] = 0;
    else
      open.push_back(i);
  }
  if (open.size() <= 1) {
    if (!open.empty()) target[open[0]] = -1;
    return typed(node("Reshape", {value, constant_ints(target)}), dtype, shape);
  }
  // One size may be left open; it is asked for only if no value has it.
  const auto unavailable = std::find_if(open.begin(), open.end(), [&](size_t i) {
    return !builder_.has_symbol(symbol_index(shape[i]));
  });
  if (unavailable == open.end()) return typed(reshape_to(value, shape_vector(shape)), dtype, shape);
  std::vector<V> pieces;
  for (size_t i = 0; i < shape.size(); ++i) {
    pieces.push_back(i == *unavailable ? constant_ints({-1}) : shape_vector({shape[i]}));
  }
  return typed(reshape_to(value, concat(pieces, 0)), dtype, shape);
}

V Call::reshape_to(V value, V shape) { return node("Reshape", {value, shape}); }

V Call::flatten_to_1d(V value) {
  if (has_shape(value) && rank(value) == 1) return value;
  return reshape_to(value, constant_ints({-1}));
}

V Call::transpose(V value, const std::vector<int64_t>& permutation) {
  if (std::is_sorted(permutation.begin(), permutation.end())) return value;
  return node("Transpose", {value}, {attr("perm", permutation)});
}

V Call::unsqueeze(V value, const std::vector<int64_t>& axes) {
  return axes.empty() ? value : node("Unsqueeze", {value, constant_ints(axes)});
}

V Call::squeeze(V value, const std::vector<int64_t>& axes) {
  return axes.empty() ? value : node("Squeeze", {value, constant_ints(axes)});
}

V Call::expand(V value, const Shape& shape) {
  const DType dtype = dtype_of(value);
  const std::optional<Shape> from = builder_.at(value).shape;
  if (from == shape) return value;
  // Expand broadcasts: where the input has the size already, 1 says so without asking for it.
  Shape target = shape;
  for (size_t i = 0; from && i < from->size(); ++i) {
    Dim& dim = target[shape.size() - 1 - i];
    if (dim == (*from)[from->size() - 1 - i]) dim = 1;
  }
  return typed(node("Expand", {value, shape_vector(target)}), dtype, shape);
}

V Call::slice(V value, int64_t axis, int64_t start, int64_t end, int64_t step) {
  const bool to_the_end =
      end == std::numeric_limits<int64_t>::max() ||
      (has_shape(value) && is_static(shape(value)[axis]) && end >= shape(value)[axis]);
  if (start == 0 && to_the_end && step == 1) return value;
  return node("Slice", {value, constant_ints({start}), constant_ints({end}), constant_ints({axis}),
                        constant_ints({step})});
}

V Call::concat(const std::vector<V>& values, int64_t axis) {
  return values.size() == 1 ? values[0] : node("Concat", values, {attr("axis", axis)});
}

V Call::gather(V value, V indices, int64_t axis) {
  return node("Gather", {value, indices}, {attr("axis", axis)});
}

V Call::where(V condition, V then_value, V else_value) {
  return node("Where", {condition, then_value, else_value});
}

// ---- sizes --------------------------------------------------------------------------------------

V Call::size_of(V value, int64_t axis) {
  if (has_shape(value)) {
    const Dim dim = shape(value)[axis];
    if (is_static(dim)) return constant_ints({dim});
    if (builder_.has_symbol(symbol_index(dim))) return builder_.symbol_size(symbol_index(dim));
  }
  return node("Shape", {value}, {attr("start", axis), attr("end", axis + 1)});
}

V Call::shape_vector(const Shape& shape) {
  std::vector<V> pieces;
  std::vector<int64_t> run;  // consecutive static sizes become one constant
  const auto finish_run = [&] {
    if (!run.empty()) pieces.push_back(constant_ints(run));
    run.clear();
  };
  for (Dim dim : shape) {
    if (is_static(dim)) {
      run.push_back(dim);
    } else {
      finish_run();
      pieces.push_back(builder_.symbol_size(symbol_index(dim)));
    }
  }
  finish_run();
  return pieces.empty() ? constant_ints({}) : concat(pieces, 0);
}

V Call::shape_of(V value) {
  if (has_shape(value) && is_static(shape(value))) return shape_vector(shape(value));
  return node("Shape", {value});
}

// ---- arithmetic ---------------------------------------------------------------------------------

V Call::add(V a, V b) { return node("Add", {a, b}); }
V Call::sub(V a, V b) { return node("Sub", {a, b}); }
V Call::mul(V a, V b) { return node("Mul", {a, b}); }
V Call::div(V a, V b) { return node("Div", {a, b}); }

}  // namespace modelexport::lowering
