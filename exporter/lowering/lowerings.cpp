#include "exporter/lowering/lowerings.h"

#include "exporter/lowering/dataflow.h"
#include "exporter/lowering/registry.h"

namespace modelexport::lowering {
namespace {

const Row* find_built_in(const Program& program, const Op& op) {
  const std::string& key = program.schemas[op.schema].key;
  bool sequence = false;
  const auto look = [&](modelexport::ValueId id) {
    sequence |= program.values[id].kind == Kind::sequence;
  };
  for (const Argument& argument : op.arguments) for_each_value(argument, look);
  for (modelexport::ValueId id : op.outputs) {
    if (id != kNone) look(id);
  }
  return sequence && op.blocks.empty() ? find_for_sequence(key) : find(key);
}

}  // namespace

Lowering lowering_of(const Row& row) {
  if (const auto* one = std::get_if<LowerOne>(&row.lower)) {
    return [lower = *one](Call& c) { return std::vector<V>{lower(c)}; };
  }
  return std::get<LowerMany>(row.lower);
}

void Lowerings::add(const std::string& key, Lowering lowering) {
  added_.insert_or_assign(key, std::move(lowering));
}

Lowering Lowerings::find(const Program& program, const Op& op) const {
  const std::string_view key = program.schemas[op.schema].key;
  for (const std::string_view added : {key, key.substr(0, key.find('.'))}) {
    const auto found = added_.find(added);
    if (found != added_.end()) return found->second;
  }
  const Row* row = find_built_in(program, op);
  return row ? lowering_of(*row) : Lowering();
}

}  // namespace modelexport::lowering
