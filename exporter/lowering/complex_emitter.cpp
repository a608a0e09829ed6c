#include "exporter/lowering/complex_emitter.h"

#include <algorithm>
#include <utility>

#include "exporter/lowering/dataflow.h"

namespace modelexport::lowering {

ComplexEmitter::ComplexEmitter(Program& program) : program_(program) {
  for (SchemaId id = 0; id < program.schemas.size(); ++id) {
    schemas_.emplace(program.schemas[id].key, id);
  }
}

// ---- operators ----------------------------------------------------------------------------------

void ComplexEmitter::emit_into(Block& block, OriginId origin) {
  block_ = &block;
  origin_ = origin;
}

void ComplexEmitter::emit(Op op) { block_->ops.push_back(std::move(op)); }

ValueId ComplexEmitter::emit(const std::string& key, const std::vector<std::string>& names,
                             std::vector<Argument> arguments, ValueId result) {
  emit({schema(key, names), std::move(arguments), {result}, origin_, {}});
  return result;
}

void ComplexEmitter::emit_real(Op op) {
  std::vector<std::pair<ValueId, ValueId>> results;
  for (ValueId& output : op.outputs) {
    if (!is_complex(output) || program_.values[output].kind == Kind::sequence) continue;
    Value type = program_.values[output];
    type.is_complex = false;
    const ValueId real = new_value(std::move(type));
    results.emplace_back(std::exchange(output, real), real);
  }
  emit(std::move(op));
  for (const auto& [complex, real] : results) {
    emit("aten::view_as_complex", {"self"}, {ValueRef{real}}, complex);
  }
}

SchemaId ComplexEmitter::schema(const std::string& key, const std::vector<std::string>& names) {
  const auto [found, is_new] =
      schemas_.try_emplace(key, static_cast<SchemaId>(program_.schemas.size()));
  if (is_new) program_.schemas.push_back({key, names, key});
  return found->second;
}

// ---- values -------------------------------------------------------------------------------------

bool ComplexEmitter::touches_complex(const Op& op) const {
  bool found = std::ranges::any_of(op.outputs, [&](ValueId id) { return is_complex(id); });
  for (const Argument& argument : op.arguments) {
    for_each_value(argument, [&](ValueId id) { found |= is_complex(id); });
  }
  return found;
}

int64_t ComplexEmitter::rank_of(ValueId id) const {
  const Value& value = program_.values[id];
  return static_cast<int64_t>(value.shape.size()) - (value.is_complex ? 1 : 0);
}

ValueId ComplexEmitter::new_value(Value type) {
  type.constant = kNone;
  program_.values.push_back(std::move(type));
  return static_cast<ValueId>(program_.values.size() - 1);
}

Value ComplexEmitter::part_type(ValueId id) const {
  Value type = program_.values[id];
  if (type.is_complex) type.shape.pop_back();
  type.is_complex = false;
  return type;
}

ValueId ComplexEmitter::pairs(ValueId id) {
  Value type = program_.values[id];
  if (type.kind == Kind::sequence) return id;
  type.is_complex = false;
  const TensorId constant = type.constant;
  const ValueId real = new_value(std::move(type));
  program_.values[real].constant = constant;
  if (constant != kNone) return real;
  return emit("aten::view_as_real", {"self"}, {ValueRef{id}}, real);
}

ValueId ComplexEmitter::part(ValueId id, Part which) {
  if (!is_complex(id)) return id;
  return emit(which == kReal ? "aten::real" : "aten::imag", {"self"}, {ValueRef{id}},
              new_value(part_type(id)));
}

ValueId ComplexEmitter::modulus(ValueId id) {
  return emit("aten::abs", {"self"}, {ValueRef{id}}, new_value(part_type(id)));
}

ValueId ComplexEmitter::differs_from_zero(ValueId id) {
  Value type = part_type(id);
  type.dtype = DType::boolean;
  return emit("aten::ne.Scalar", {"self", "other"}, {ValueRef{id}, int64_t{0}},
              new_value(std::move(type)));
}

ValueId ComplexEmitter::zeros_like(ValueId id) {
  return emit("aten::zeros_like",
              {"self", "dtype", "layout", "device", "pin_memory", "memory_format"},
              {ValueRef{id}, {}, {}, {}, {}, {}}, like(id));
}

ValueId ComplexEmitter::promoted(ValueId id, ValueId to) {
  constexpr int64_t kComplexFloat = 9;  // the lowering looks at the result's type
  Value type = program_.values[id];
  type.dtype = program_.values[to].dtype;
  type.shape.push_back(2);
  type.is_complex = true;
  return emit("aten::to.dtype", {"self", "dtype", "non_blocking", "copy", "memory_format"},
              {ValueRef{id}, kComplexFloat, false, false, {}}, new_value(std::move(type)));
}

ValueId ComplexEmitter::add(ValueId a, ValueId b, ValueId sum) {
  return emit("aten::add.Tensor", {"self", "other", "alpha"},
              {ValueRef{a}, ValueRef{b}, int64_t{1}}, sum);
}

ValueId ComplexEmitter::subtract(ValueId a, ValueId b) {
  return emit("aten::sub.Tensor", {"self", "other", "alpha"},
              {ValueRef{a}, ValueRef{b}, int64_t{1}}, like(a));
}

}  // namespace modelexport::lowering
