// What a lowering sees: one ATen operator call, and the means to emit ONNX nodes for it.
//
//   // aten::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor
//   V softplus(Call& c) {
//     V x = c.tensor("self");
//     ...
//     return c.node("Softplus", {x});
//   }
//
// Rules: every schema argument is read, or named in ignore(); reading one that the schema lacks is
// a defect (internal error). What cannot be lowered throws Unsupported. dtype, rank and shape of
// inputs and outputs are observed ones (see program.h), so a lowering never computes type
// promotion: it casts its inputs to what the operator computes in, usually c.out_dtype(). Nodes get
// their origin from the call; lowerings never name, tag or log. Results returned are given the
// observed type.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"

namespace modelexport::lowering {

class Builder;  // builder.h: the graph under construction, shared by all calls

// Why an operator cannot be lowered, as a phrase: "ceil_mode with a dynamic width".
// The driver adds operator, module and source line, goes on, and reports all of them at once.
struct Unsupported {
  std::string reason;
};

// The same, of an argument (or an element of it, if it is a list) that depends on the inputs and is
// one of 0, 1, ..., count - 1, negative ones counting from the end; or a bool. The driver lowers
// the call once for each of them (cases.h).
struct Undecided : Unsupported {
  std::string argument;
  size_t element = 0;
  int64_t count = 0;
};

// A value of the graph under construction.
struct V {
  ValueId id = kNone;  // kNone: an omitted optional input
  friend bool operator==(V, V) = default;
};
inline constexpr V kOmitted{};

using Attributes = std::vector<graph::Attribute>;  // {{"axis", int64_t{1}}, {"mode", "linear"s}}
graph::Attribute attr(std::string_view name, int64_t value);
graph::Attribute attr(std::string_view name, int value);
graph::Attribute attr(std::string_view name, bool value);
graph::Attribute attr(std::string_view name, double value);  // ONNX floats are 32 bits wide
graph::Attribute attr(std::string_view name, const char* value);
graph::Attribute attr(std::string_view name, std::string value);
graph::Attribute attr(std::string_view name, std::vector<int64_t> value);
graph::Attribute attr(std::string_view name, std::vector<float> value);
graph::Attribute attr(std::string_view name,
                      DType value);  // as TensorProto.DataType ("to", "dtype")

class Call {
 public:
  Call(Builder& builder, const Program& program, const Op& op);

  // ---- arguments, by their name in the schema ---------------------------------------------------
  bool is_none(std::string_view name);
  bool is_known(std::string_view name);  // not None and without any input-dependent value in it

  bool is_complex(std::string_view name);  // a tensor or number, or one in the list

  V tensor(std::string_view name);                // Tensor; a number becomes a rank-0 tensor
  V tensor(std::string_view name, DType dtype);   // the same, cast if need be
  V optional_tensor(std::string_view name);       // kOmitted if None
  std::vector<V> tensors(std::string_view name);  // Tensor[] and Tensor?[] (kOmitted for None)

  // Known values. A number that depends on the inputs but was the same in all examples and whose
  // Value::size is static counts as known; otherwise Unsupported.
  int64_t integer(std::string_view name);
  double number(std::string_view name);
  bool boolean(std::string_view name);
  std::string text(std::string_view name);
  std::vector<int64_t> integers(std::string_view name);  // int[]; an int gives one element
  std::vector<double> numbers(std::string_view name);
  std::optional<int64_t> optional_integer(std::string_view name);
  std::optional<double> optional_number(std::string_view name);
  std::optional<std::vector<int64_t>> optional_integers(std::string_view name);
  DType dtype(std::string_view name);                          // ScalarType
  std::optional<DType> optional_dtype(std::string_view name);  // ScalarType?

  // A number modulo `count`: Undecided, not Unsupported, where it depends on the inputs.
  int64_t integer_modulo(std::string_view name, int64_t count);
  // A dimension argument, made non-negative for a tensor of that rank (rank 0 counts as 1). They
  // and booleans may be Undecided.
  int64_t axis(std::string_view name, int64_t rank);
  std::vector<int64_t> axes(std::string_view name, int64_t rank);  // int[]; None or [] gives []

  // Numbers that may depend on the inputs.
  V scalar(std::string_view name, DType dtype);       // rank 0
  V int_list(std::string_view name);                  // int[] (or int) as a 1-D int64 tensor
  V number_list(std::string_view name, DType dtype);  // float[] of known length as a 1-D tensor
  Shape dims(std::string_view name);  // int[]/int as Dims; Unsupported where an element
                                      // has no Value::size

  void ignore(std::initializer_list<std::string_view> names);

  // ---- results: what was observed ---------------------------------------------------------------
  size_t output_count() const;
  bool output_used(size_t index) const;
  DType out_dtype(size_t index = 0) const;
  const Shape& out_shape(size_t index = 0) const;
  int64_t out_rank(size_t index = 0) const;

  // ---- values -----------------------------------------------------------------------------------
  DType dtype_of(V value) const;
  Shape shape(V value) const;  // Unsupported if not known; by value: emitting nodes moves values
  bool has_shape(V value) const;
  int64_t rank(V value) const;
  // Contents of an integer (or bool) constant, flattened; nullopt if it is not one.
  std::optional<std::vector<int64_t>> known_integers(V value) const;
  std::optional<double> known_scalar(V value) const;  // of a one-element constant

  // ---- emitting ---------------------------------------------------------------------------------
  int opset() const;
  // dtype and shape of the result follow from the operator where that is simple (elementwise,
  // comparisons, Cast, Shape, Transpose, Unsqueeze...), otherwise the dtype is that of the first
  // input and the shape is unknown; typed() states them.
  V node(std::string_view op_type, std::vector<V> inputs, Attributes attributes = {},
         std::string_view domain = "");
  std::vector<V> nodes(std::string_view op_type, std::vector<V> inputs, size_t outputs,
                       Attributes attributes = {}, std::string_view domain = "");
  V typed(V value, DType dtype);
  V typed(V value, DType dtype, Shape shape);

  V constant(double value, DType dtype);  // rank 0; value is converted, saturating for infinities
  V constant_int(int64_t value, DType dtype = DType::i64);
  V constant_ints(const std::vector<int64_t>& values);                           // 1-D int64
  V constant_tensor(DType dtype, std::vector<int64_t> dims, std::string bytes);  // little-endian

  V cast(V value, DType dtype);            // nothing if it has that dtype already
  V reshape(V value, const Shape& shape);  // symbols allowed; emits the shortest form that is right
  V reshape_to(V value, V shape);          // shape: 1-D int64
  V flatten_to_1d(V value);
  V transpose(V value, const std::vector<int64_t>& permutation);  // nothing if it is the identity
  V unsqueeze(V value, const std::vector<int64_t>& axes);
  V squeeze(V value, const std::vector<int64_t>& axes);
  V expand(V value, const Shape& shape);
  V slice(V value, int64_t axis, int64_t start, int64_t end, int64_t step = 1);
  V concat(const std::vector<V>& values, int64_t axis);
  V gather(V value, V indices, int64_t axis);
  V where(V condition, V then_value, V else_value);

  V size_of(V value, int64_t axis);    // 1-D int64 of one element
  V shape_vector(const Shape& shape);  // 1-D int64; symbols are taken from where they are cheapest
  V shape_of(V value);                 // 1-D int64: shape_vector of the known shape, or Shape

  // Arithmetic sugar: both sides must have the same dtype.
  V add(V a, V b);
  V sub(V a, V b);
  V mul(V a, V b);
  V div(V a, V b);

  // ---- operators whose arguments stand by position: prim::If, prim::Loop, prim::ListConstruct ---
  size_t argument_count() const { return op_.arguments.size(); }
  const Argument& argument_at(size_t index);  // counts as read
  V value_of(const Argument& argument);       // of a Tensor or number; kOmitted for None
  V sequence(std::string_view name);          // a list whose length depends on the inputs

  // ---- blocks of prim::If and prim::Loop --------------------------------------------------------
  const Op& op() const { return op_; }
  const Program& program() const { return program_; }
  Builder& builder() { return builder_; }

  // Names of schema arguments that were neither read nor ignored; for the driver.
  std::vector<std::string> unread() const;

 private:
  const Argument& argument(std::string_view name);
  void decide(std::string_view name, int64_t count);  // throws Undecided if it must be
  Builder& builder_;
  const Program& program_;
  const Op& op_;
  std::vector<bool> read_;
};

}  // namespace modelexport::lowering
