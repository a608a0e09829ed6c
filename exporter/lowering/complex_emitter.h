// What the rewriting of complex operators puts into the program: values of the types that follow
// from others, and the operators between complex tensors, their pairs and their parts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport::lowering {

enum Part { kReal, kImaginary };

class ComplexEmitter {
 public:
  explicit ComplexEmitter(Program& program);

 protected:
  void emit_into(Block& block, OriginId origin);
  void emit(Op op);
  ValueId emit(const std::string& key, const std::vector<std::string>& names,
               std::vector<Argument> arguments, ValueId result);
  void emit_real(Op op);  // with its complex results as pairs
  SchemaId schema(const std::string& key, const std::vector<std::string>& names);

  bool is_complex(ValueId id) const { return id != kNone && program_.values[id].is_complex; }
  bool touches_complex(const Op& op) const;
  int64_t rank_of(ValueId id) const;  // of a complex tensor: without the pairs
  ValueId new_value(Value type);      // whose contents are not known
  ValueId like(ValueId id) { return new_value(program_.values[id]); }
  Value part_type(ValueId id) const;  // of a real or imaginary part

  // The same value as a real one. Lists of pairs are lists of real tensors as they are.
  ValueId pairs(ValueId id);
  ValueId part(ValueId id, Part which);  // of a real value: itself
  ValueId modulus(ValueId id);
  ValueId differs_from_zero(ValueId id);
  ValueId zeros_like(ValueId id);
  // A real tensor with imaginary part 0, in the element type of another.
  ValueId promoted(ValueId id, ValueId to);
  ValueId add(ValueId a, ValueId b, ValueId sum);
  ValueId subtract(ValueId a, ValueId b);

  Program& program_;

 private:
  std::map<std::string, SchemaId> schemas_;
  Block* block_ = nullptr;
  OriginId origin_ = kNone;
};

}  // namespace modelexport::lowering
