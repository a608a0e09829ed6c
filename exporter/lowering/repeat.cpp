#include "exporter/lowering/repeat.h"

#include <memory>
#include <utility>

#include "exporter/lowering/builder.h"

namespace modelexport::lowering {

Round repeat(Call& c, V count, const std::vector<V>& carried,
             const std::function<Round(V, const std::vector<Expr>&)>& body) {
  Builder& builder = c.builder();
  builder.open_block();
  const V index = builder.block_input(DType::i64, {});
  const V condition = builder.block_input(DType::boolean, {});
  std::vector<Expr> inside;
  for (V value : carried) {
    inside.emplace_back(c, builder.block_input(c.dtype_of(value), c.shape(value)));
  }
  Round results = body(index, inside);
  std::vector<V> outputs{c.node("Identity", {condition})};
  outputs.insert(outputs.end(), results.carried.begin(), results.carried.end());
  outputs.insert(outputs.end(), results.collected.begin(), results.collected.end());
  auto block = std::make_shared<graph::Block>(builder.close_block(outputs));
  std::vector<V> inputs{count, kOmitted};
  inputs.insert(inputs.end(), carried.begin(), carried.end());
  const std::vector<V> all =
      c.nodes("Loop", inputs, outputs.size() - 1, {graph::Attribute{"body", std::move(block)}});
  Round result;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i < carried.size()) {
      result.carried.push_back(c.typed(all[i], c.dtype_of(carried[i]), c.shape(carried[i])));
    } else {
      const V one = results.collected[i - carried.size()];
      result.collected.push_back(c.typed(all[i], c.dtype_of(one)));
    }
  }
  return result;
}

}  // namespace modelexport::lowering
