// Packed sequences: the steps of sequences of different lengths, longest first, without padding.
// batch_sizes says how many sequences have each step.
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/recurrent.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// How many of the booleans [time, batch] are true along an axis.
V count(Call& c, V valid, int64_t axis, DType dtype) {
  return c.node("ReduceSum", {c.cast(valid, dtype), c.constant_ints({axis})},
                {attr("keepdims", 0)});
}

// The steps that sequences have: booleans [time, batch].
V steps_of(Call& c, V batch_sizes) {
  const V batch = iota(c, c.gather(batch_sizes, c.constant_int(0), 0));
  return c.node("Less", {batch, c.unsqueeze(batch_sizes, {1})});
}

// Packed data [steps, features...] as [time, batch, features...]; `time`: 1-D int64 of one element.
V unpack(Call& c, V data, V batch_sizes, V valid, V time, V padding) {
  std::vector<V> sizes{time, c.slice(batch_sizes, 0, 0, 1)};
  for (int64_t axis = 1; axis < c.rank(data); ++axis) sizes.push_back(c.size_of(data, axis));
  const V empty = expand_to(c, padding, concat_sizes(c, sizes));
  return c.node("ScatterND", {empty, true_positions(c, valid), data});
}

// aten::_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)
std::vector<V> pack_padded_sequence(Call& c) {
  V x = c.tensor("input");
  if (c.boolean("batch_first")) x = c.transpose(x, to_front({1, 0}, c.rank(x)));
  const V lengths = c.tensor("lengths", DType::i64);
  const V valid = c.node("Less", {c.unsqueeze(iota(c, x, 0), {1}), lengths});
  const V sizes = count(c, valid, 1, DType::i64);
  const V longest = c.slice(lengths, 0, 0, 1);
  return {c.node("GatherND", {x, true_positions(c, valid)}),
          c.node("Slice", {sizes, c.constant_ints({0}), longest})};
}

// aten::_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first,
//     Scalar padding_value, int total_length) -> (Tensor, Tensor)
std::vector<V> pad_packed_sequence(Call& c) {
  const V data = c.tensor("data"), batch_sizes = c.tensor("batch_sizes", DType::i64);
  const V valid = steps_of(c, batch_sizes);
  const V padding = c.scalar("padding_value", c.dtype_of(data));
  const bool has_length = !c.is_known("total_length") || c.integer("total_length") > 0;
  const V time = has_length ? c.int_list("total_length") : c.size_of(batch_sizes, 0);
  V padded = unpack(c, data, batch_sizes, valid, time, padding);
  if (c.boolean("batch_first")) padded = c.transpose(padded, to_front({1, 0}, c.out_rank()));
  return {padded, count(c, valid, 0, DType::i64)};
}

// Arguments data and batch_sizes as a padded input; gives the positions of the steps in it.
V read_packed(Call& c, RecurrentLayers& layers) {
  const V data = c.tensor("data"), batch_sizes = c.tensor("batch_sizes", DType::i64);
  const V valid = steps_of(c, batch_sizes);
  const V padding = c.constant(0, c.dtype_of(data));
  const V padded = unpack(c, data, batch_sizes, valid, c.size_of(batch_sizes, 0), padding);
  layers.input = c.typed(padded, c.dtype_of(data),
                         {c.shape(batch_sizes)[0], c.shape(layers.hidden)[1], c.shape(data)[1]});
  layers.lengths = count(c, valid, 0, DType::i32);
  return true_positions(c, valid);
}

// aten::lstm.data(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, bool has_biases,
//     int num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor, Tensor)
std::vector<V> lstm(Call& c) {
  RecurrentLayers layers = recurrent_layers(c, Cell::lstm);
  const std::vector<V> initial = c.tensors("hx");
  layers.hidden = initial.at(0);
  layers.state = initial.at(1);
  const V positions = read_packed(c, layers);
  const RecurrentResults results = emit_layers(c, layers);
  return {c.node("GatherND", {results.output, positions}), results.hidden, results.state};
}

// aten::gru.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases,
//     int num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor)
// aten::rnn_tanh.data(...) and aten::rnn_relu.data(...) likewise
template <Cell cell>
std::vector<V> recurrent(Call& c) {
  RecurrentLayers layers = recurrent_layers(c, cell);
  layers.hidden = c.tensor("hx");
  const V positions = read_packed(c, layers);
  const RecurrentResults results = emit_layers(c, layers);
  return {c.node("GatherND", {results.output, positions}), results.hidden};
}

}  // namespace

std::span<const Row> packed_rows() {
  static constexpr Row kRows[] = {
      {"aten::_pack_padded_sequence", pack_padded_sequence},
      {"aten::_pad_packed_sequence", pad_packed_sequence},
      {"aten::gru.data", recurrent<Cell::gru>},
      {"aten::lstm.data", lstm},
      {"aten::rnn_relu.data", recurrent<Cell::rnn_relu>},
      {"aten::rnn_tanh.data", recurrent<Cell::rnn_tanh>},
  };
  return kRows;
}

}  // namespace modelexport::lowering
