// Control flow that depends on the inputs. Both branches, and the body, become blocks of the node;
// they may use values of the graph around them.
#include "exporter/lowering/builder.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/sequence.h"

namespace modelexport::lowering {
namespace {

using ProgramValue = modelexport::Value;

const ProgramValue& info(Call& c, modelexport::ValueId id) { return c.program().values[id]; }

// Lowers the operators of `block` and gives its outputs, each in the dtype of the same output of
// the whole operator: branches and rounds of a loop may disagree there, ONNX's may not. An output
// nobody uses has no dtype to agree on and keeps its own.
std::vector<V> lower_block(Call& c, const modelexport::Block& block,
                           const std::vector<DType>& dtypes) {
  c.builder().lower_ops(block);
  std::vector<V> outputs;
  for (size_t i = 0; i < block.outputs.size(); ++i) {
    const V value = c.builder().value(block.outputs[i]);
    const bool differs =
        c.builder().at(value).kind == Kind::tensor && dtypes[i] != DType::undefined;
    outputs.push_back(differs ? c.cast(value, dtypes[i]) : value);
  }
  return outputs;
}

graph::Attribute block_attribute(std::string name, graph::Block block) {
  return {std::move(name), std::make_shared<graph::Block>(std::move(block))};
}

std::vector<V> typed_results(Call& c, std::vector<V> results) {
  for (size_t i = 0; i < results.size(); ++i) {
    if (!c.output_used(i)) continue;
    const ProgramValue& value = info(c, c.op().outputs[i]);
    c.typed(results[i], value.dtype, value.shape);
    c.builder().at(results[i]).kind = value.kind;
  }
  return results;
}

// prim::If(bool condition) -> ...
std::vector<V> if_else(Call& c) {
  const V condition = c.cast(c.value_of(c.argument_at(0)), DType::boolean);
  std::vector<DType> dtypes;
  for (size_t i = 0; i < c.output_count(); ++i) dtypes.push_back(c.out_dtype(i));
  Attributes branches;
  for (size_t i = 0; i < 2; ++i) {
    c.builder().open_block();
    const std::vector<V> outputs = lower_block(c, c.op().blocks[i], dtypes);
    branches.push_back(
        block_attribute(i == 0 ? "then_branch" : "else_branch", c.builder().close_block(outputs)));
  }
  return typed_results(c, c.nodes("If", {condition}, c.output_count(), std::move(branches)));
}

// prim::Loop(int? max_trip_count, bool condition, carried...) -> (carried...)
std::vector<V> loop(Call& c) {
  const modelexport::Block& body = c.op().blocks[0];
  std::vector<V> inputs = {c.value_of(c.argument_at(0)),
                           c.cast(c.value_of(c.argument_at(1)), DType::boolean)};
  std::vector<DType> dtypes = {DType::boolean};
  for (size_t i = 2; i < c.argument_count(); ++i) {
    const ProgramValue& carried = info(c, body.inputs[i - 1]);
    const Argument& initial = c.argument_at(i);
    inputs.push_back(carried.kind == Kind::sequence ? as_sequence(c, initial, carried.dtype)
                                                    : c.cast(c.value_of(initial), carried.dtype));
    dtypes.push_back(carried.dtype);
  }

  c.builder().open_block();
  c.builder().block_input(body.inputs[0]);
  c.builder().block_input(DType::boolean,
                          {});  // the condition, which TorchScript's body is not given
  for (size_t i = 1; i < body.inputs.size(); ++i) c.builder().block_input(body.inputs[i]);
  const std::vector<V> outputs = lower_block(c, body, dtypes);
  graph::Block block = c.builder().close_block(outputs);
  return typed_results(c, c.nodes("Loop", std::move(inputs), c.output_count(),
                                  {block_attribute("body", std::move(block))}));
}

constexpr Row kRows[] = {
    {"prim::If", if_else},
    {"prim::Loop", loop},
};

}  // namespace

std::span<const Row> control_table() { return kRows; }

}  // namespace modelexport::lowering
