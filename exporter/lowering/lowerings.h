// The lowerings of one export: those of the registry, and before them what the user adds.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/registry.h"

namespace modelexport::lowering {

using Lowering = std::function<std::vector<V>(Call&)>;  // one V per flattened output
Lowering lowering_of(const Row& row);

class Lowerings {
 public:
  // `key` is an operator with its overload, or without, for all its overloads that have none of
  // their own. What is added last comes first.
  void add(const std::string& key, Lowering lowering);

  // Of this very call; empty if there is none. Sequences and complex tensors have built-in lowerings
  // of their own.
  Lowering find(const Program& program, const Op& op) const;

  // Whether some call of the operator has one.
  bool is_lowered(std::string_view key) const;

 private:
  const Lowering* find_added(std::string_view key) const;

  std::map<std::string, Lowering, std::less<>> added_;
};

}  // namespace modelexport::lowering
