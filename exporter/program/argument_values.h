// The values that arguments refer to, also from within lists.
#pragma once

#include <variant>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport {

template <typename Visit>
void for_each_value(const Argument& argument, const Visit& visit) {
  const auto* value = std::get_if<ValueRef>(&argument);
  if (value && value->id != kNone) visit(value->id);
  if (const auto* list = std::get_if<ArgumentList>(&argument)) {
    for (const Argument& element : *list) for_each_value(element, visit);
  }
}

template <typename Visit>
void for_each_value(const std::vector<Argument>& arguments, const Visit& visit) {
  for (const Argument& argument : arguments) for_each_value(argument, visit);
}

}  // namespace modelexport
