#include "exporter/lowering/side_results.h"

#include <algorithm>
#include <string>

#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

bool refers_to(const Argument& argument, modelexport::ValueId id) {
  if (const auto* ref = std::get_if<ValueRef>(&argument)) return ref->id == id;
  const auto* list = std::get_if<ArgumentList>(&argument);
  return list && std::ranges::any_of(
                     *list, [&](const Argument& element) { return refers_to(element, id); });
}

bool uses(const modelexport::Block& block, modelexport::ValueId id) {
  if (std::ranges::find(block.outputs, id) != block.outputs.end()) return true;
  return std::ranges::any_of(block.ops, [&](const Op& op) {
    const auto refers = [&](const Argument& argument) { return refers_to(argument, id); };
    const auto inside = [&](const modelexport::Block& inner) { return uses(inner, id); };
    return std::ranges::any_of(op.arguments, refers) || std::ranges::any_of(op.blocks, inside);
  });
}

}  // namespace

V unused_result(Call& c, size_t index, std::string_view what) {
  if (!c.output_used(index)) return kOmitted;
  if (uses(c.program().body, c.op().outputs[index])) {
    throw Unsupported{"the use of its result " + std::to_string(index) + ", " + std::string(what)};
  }
  return c.builder().new_value(c.out_dtype(index), c.out_shape(index));
}

}  // namespace modelexport::lowering
