#include "exporter/frontend/functional_twin.h"

#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <utility>

namespace modelexport::frontend {
namespace {

// Whether all arguments of `schema` from the `first` on may be left out (the dtype and layout of a
// new tensor).
bool optional_from(const c10::FunctionSchema& schema, size_t first) {
  const auto& arguments = schema.arguments();
  return first <= arguments.size() &&
         std::all_of(arguments.begin() + static_cast<std::ptrdiff_t>(first), arguments.end(),
                     [](const auto& argument) { return argument.default_value().has_value(); });
}

// The operator `name` that writes to nothing and has the arguments of `schema`, without `out`;
// the first may have another name (aten::dropout_).
const c10::FunctionSchema* functional(const std::string& name, const c10::FunctionSchema& schema) {
  size_t arguments = schema.arguments().size();
  for (const auto& argument : schema.arguments()) {
    if (argument.is_out()) --arguments;
  }
  const c10::FunctionSchema* twin = nullptr;
  for (const auto& candidate : torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(name))) {
    const auto& other = candidate->schema();
    if (other.is_mutable() || !optional_from(other, arguments)) continue;
    bool same = true;
    for (size_t i = 0; i < arguments && same; ++i) {
      same = (i == 0 || other.arguments()[i].name() == schema.arguments()[i].name()) &&
             *other.arguments()[i].type() == *schema.arguments()[i].type();
    }
    if (!same) continue;
    const auto fitness = [&](const c10::FunctionSchema& one) {
      return std::pair(one.arguments().size() == arguments,
                       one.overload_name() == schema.overload_name());
    };
    if (twin == nullptr || fitness(other) > fitness(*twin)) twin = &other;
  }
  return twin;
}

}  // namespace

const c10::FunctionSchema* functional_twin(const c10::FunctionSchema& schema) {
  std::string name = schema.name();
  if (name.starts_with("aten::__i") && name.ends_with("__")) {
    name.erase(std::string_view("aten::__").size(), 1);  // __iand__ -> __and__
  } else if (name.ends_with("_") && !name.ends_with("__")) {
    name.pop_back();
  }
  // aten::normal is something else.
  const auto* twin = name == "aten::normal" ? nullptr : functional(name, schema);
  return twin != nullptr ? twin : functional(name + "_functional", schema);
}

}  // namespace modelexport::frontend
