#include "exporter/lowering/lowerings.h"

#include "exporter/lowering/dataflow.h"
#include "exporter/lowering/registry.h"

namespace modelexport::lowering {
namespace {

const Row* find_built_in(const Program& program, const Op& op) {
  const std::string& key = program.schemas[op.schema].key;
  if (!op.blocks.empty()) return find(key);
  bool sequence = false, complex = false;
  const auto look = [&](modelexport::ValueId id) {
    sequence |= program.values[id].kind == Kind::sequence;
    complex |= program.values[id].is_complex;
  };
  for (const Argument& argument : op.arguments) for_each_value(argument, look);
  for (modelexport::ValueId id : op.outputs) {
    if (id != kNone) look(id);
  }
  if (sequence) return find_for_sequence(key);
  return complex ? find_for_complex(key) : find(key);
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

const Lowering* Lowerings::find_added(std::string_view key) const {
  for (const std::string_view added : {key, key.substr(0, key.find('.'))}) {
    const auto found = added_.find(added);
    if (found != added_.end()) return &found->second;
  }
  return nullptr;
}

bool Lowerings::is_lowered(std::string_view key) const {
  return find_added(key) != nullptr || lowering::is_lowered(key);
}

Lowering Lowerings::find(const Program& program, const Op& op) const {
  if (const Lowering* added = find_added(program.schemas[op.schema].key)) return *added;
  const Row* row = find_built_in(program, op);
  return row ? lowering_of(*row) : Lowering();
}

}  // namespace modelexport::lowering
