// What a TorchScript value is to the interpreter: known (independent of the user's inputs),
// symbolic (recorded in the program), or a container of such. Lists, dicts and tensors are
// references, as in TorchScript: two Vals that share one are aliases.
//
// Everything symbolic carries its observed values, one per lane. A lane is one way the module may
// run (see worlds.h): an example, an iteration of a loop... All lanes run in lockstep.
#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/frontend/worlds.h"
#include "exporter/program/program.h"

namespace modelexport::frontend {

struct TensorCell;
struct SymbolicNumber;
struct ListVal;
struct TupleVal;
struct DictVal;
struct OptionalVal;
struct ModuleRef;

// std::monostate: not set yet. c10::IValue: a known value that contains no tensor and is no
// container: None, int, float, bool, complex, str, device, enum, class type, custom class...
using Val = std::variant<std::monostate, c10::IValue, std::shared_ptr<TensorCell>,
                         std::shared_ptr<SymbolicNumber>, std::shared_ptr<ListVal>,
                         std::shared_ptr<TupleVal>, std::shared_ptr<DictVal>,
                         std::shared_ptr<OptionalVal>, std::shared_ptr<ModuleRef>>;

// How a tensor was made as a view of another: an operator applied to the parent.
struct ViewStep {
  SchemaId schema = kNone;
  std::vector<Argument> arguments;  // the parent's place holds a ValueRef that is replaced
  size_t parent_argument = 0;
  size_t outputs = 1;  // of the operator; this view is number `output`
  size_t output = 0;
};

// All views of one tensor share a base. Writing to any of them raises its version; a view whose own
// version is older is recomputed from its parent when it is read.
struct AliasBase {
  uint64_t version = 0;
};

// How the integers of a quantised tensor stand for real numbers: (integer - zero_point) * scale.
struct Quantization {
  Argument scale, zero_point;  // numbers, or values of the program; one for each index of `axis`
  int64_t axis = -1;           // -1: for the whole tensor
};
bool same(const Quantization& a, const Quantization& b);

struct TensorCell {
  ValueId value = kNone;  // in the program, as of `version`
  std::vector<at::Tensor> lanes;
  Worlds worlds;              // that the lanes belong to
  bool known = false;         // does not depend on the inputs
  bool from_weights = false;  // known, but computed from parameters or buffers
  std::shared_ptr<AliasBase> base;
  uint64_t version = 0;
  std::shared_ptr<TensorCell> parent;  // of a view
  ViewStep step;
  // Of a quantised tensor, which the program has as its integers. Null if it is not always the
  // same.
  std::shared_ptr<const Quantization> quantization;
  // Of a nested tensor, which is held padded: where it has elements, a mask [batch, length].
  std::shared_ptr<TensorCell> present;
};

struct SymbolicNumber {
  ValueId value = kNone;
  std::vector<c10::IValue> lanes;  // int, float or bool
  Worlds worlds;
  std::shared_ptr<SymbolicNumber> negated_from;  // a bool that is `not` this one; may be null
};

struct SymbolicSequence {  // a list whose length depends on the inputs
  ValueId value = kNone;
  std::vector<c10::IValue> lanes;  // lists
  Worlds worlds;
};

struct ListVal {
  c10::TypePtr element_type;
  std::vector<Val> elements;
  // Set instead of elements where the length depends on the inputs.
  std::shared_ptr<SymbolicSequence> sequence;
};

struct TupleVal {
  c10::TypePtr type;  // NamedTuples keep their field names; may be null
  std::vector<Val> elements;
};

struct DictVal {  // in insertion order, as TorchScript's
  c10::TypePtr key_type, value_type;
  std::vector<std::pair<Val, Val>> entries;
};

struct OptionalVal {                      // whether there is a value depends on the inputs
  std::shared_ptr<SymbolicNumber> given;  // bool
  Val value;  // where it is not given: something of the same kind that nobody reads
  bool absent =
      false;  // where it is not given there is no such entry in its dict, rather than None
};

struct ModuleRef {  // a module, or an instance of another TorchScript class
  c10::intrusive_ptr<c10::ivalue::Object> object;
  std::string path;  // as reached: "encoder.layer.0"; of class instances: that of their owner
};

template <class T>
const std::shared_ptr<T>* get_if(const Val& val) {
  return std::get_if<std::shared_ptr<T>>(&val);
}

inline const c10::IValue* known(const Val& val) { return std::get_if<c10::IValue>(&val); }
inline bool is_unset(const Val& val) { return std::holds_alternative<std::monostate>(val); }
inline bool is_none(const Val& val) {
  const auto* value = known(val);
  return value != nullptr && value->isNone();
}

// Is it an entry that its dict has only for some inputs?
inline bool is_absent_somewhere(const Val& val) {
  const auto* optional = get_if<OptionalVal>(val);
  return optional != nullptr && (*optional)->absent;
}

// Any value as an optional one: whether it is given (a known or symbolic bool), and what it is then
// (unset if never). `absent`: what is not given is unset, rather than None.
struct OptionalParts {
  Val given, value;
};
OptionalParts parts_of(const Val& val, bool absent);

// Whether it or anything in it depends on the user's inputs.
bool is_symbolic(const Val& val);

// The concrete value in one lane. Containers are copied.
c10::IValue in_lane(const Val& val, size_t lane);

}  // namespace modelexport::frontend
