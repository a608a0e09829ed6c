// Recurrent layers. Packed sequences are in packed.cpp, single steps in recurrent_cell.cpp.
#include "exporter/lowering/recurrent.h"

#include <string>
#include <string_view>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ONNX Runtime has these operators for float32 only.
constexpr DType kCompute = DType::f32;

// The parameters of one direction of one layer.
struct Weights {
  V input, hidden;            // w_ih, w_hh
  V input_bias, hidden_bias;  // kOmitted if there are none
  V projection;               // w_hr, kOmitted if there is none
};

int64_t gate_count(Cell cell) {
  if (cell == Cell::lstm) return 4;
  return cell == Cell::gru ? 3 : 1;
}

// PyTorch has the gates in the order i f g o and r z n, ONNX in i o f c and z r h.
V reorder_gates(Call& c, Cell cell, V x) {
  if (cell == Cell::gru) {
    const std::vector<V> gates = split_evenly(c, x, 3, 0);
    return c.concat({gates[1], gates[0], gates[2]}, 0);
  }
  if (cell != Cell::lstm) return x;
  const int64_t size = c.shape(x)[0] / 4;
  const std::vector<V> gates =
      c.nodes("Split", {x, c.constant_ints({size, 2 * size, size})}, 3, {attr("axis", 0)});
  return c.concat({gates[0], gates[2], gates[1]}, 0);
}

Weights weights_of(Call& c, const RecurrentLayers& layers, size_t index) {
  const size_t directions = layers.is_bidirectional ? 2 : 1;
  const size_t count = layers.params.size() / (static_cast<size_t>(layers.layers) * directions);
  std::vector<V> own(layers.params.begin() + index * count,
                     layers.params.begin() + (index + 1) * count);
  for (V& param : own) param = c.cast(param, kCompute);
  const bool is_projected = count == (layers.has_biases ? 5u : 3u);
  return {own[0], own[1], layers.has_biases ? own[2] : kOmitted,
          layers.has_biases ? own[3] : kOmitted, is_projected ? own.back() : kOmitted};
}

// One tensor per direction, as axis 0.
V by_direction(Call& c, const std::vector<V>& tensors) {
  std::vector<V> rows;
  for (V tensor : tensors) rows.push_back(c.unsqueeze(tensor, {0}));
  return c.concat(rows, 0);
}

struct Step {  // input and initial values of one layer, of one or both directions
  V input, lengths, hidden, state;
  std::string direction;
};

// What ONNX takes as W, R and B, for all directions together.
std::vector<V> onnx_weights(Call& c, Cell cell, const std::vector<Weights>& all) {
  std::vector<V> input, hidden, biases;
  for (const Weights& weights : all) {
    input.push_back(reorder_gates(c, cell, weights.input));
    hidden.push_back(reorder_gates(c, cell, weights.hidden));
    if (weights.input_bias == kOmitted) continue;
    biases.push_back(c.concat(
        {reorder_gates(c, cell, weights.input_bias), reorder_gates(c, cell, weights.hidden_bias)},
        0));
  }
  return {by_direction(c, input), by_direction(c, hidden),
          biases.empty() ? kOmitted : by_direction(c, biases)};
}

// Emits LSTM, GRU or RNN: [time, directions, batch, size] and the last values.
RecurrentResults emit_node(Call& c, Cell cell, const Step& step, const std::vector<Weights>& all) {
  const int64_t size = c.shape(all[0].hidden)[0] / gate_count(cell);
  Attributes attributes{attr("hidden_size", size), attr("direction", step.direction)};
  if (cell == Cell::gru) attributes.push_back(attr("linear_before_reset", 1));
  if (cell == Cell::rnn_relu) {
    attributes.push_back({"activations", std::vector<std::string>(all.size(), "Relu")});
  }
  const bool is_lstm = cell == Cell::lstm;
  const std::vector<V> weights = onnx_weights(c, cell, all);
  const std::string_view op_type = is_lstm ? "LSTM" : cell == Cell::gru ? "GRU" : "RNN";
  const std::vector<V> outputs = c.nodes(
      op_type,
      {step.input, weights[0], weights[1], weights[2], step.lengths, step.hidden, step.state},
      is_lstm ? 3 : 2, attributes);
  const Shape x = c.shape(step.input);
  const auto directions = static_cast<int64_t>(all.size());
  for (size_t i = 1; i < outputs.size(); ++i) {
    c.typed(outputs[i], kCompute, {directions, x[1], size});
  }
  return {c.typed(outputs[0], kCompute, {x[0], directions, x[1], size}), outputs[1],
          is_lstm ? outputs[2] : kOmitted};
}

// [time, directions, batch, size] to [time, batch, directions * size].
V merge_directions(Call& c, V x) {
  const Shape shape = c.shape(x);
  if (shape[1] == 1) return c.squeeze(x, {1});
  return c.reshape(c.transpose(x, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
}

// ---- LSTM with projections
// -----------------------------------------------------------------------------

// The first hidden value where a direction begins, zeros elsewhere: [time, batch, features].
V at_first_step(Call& c, const Step& step) {
  const bool is_reverse = step.direction == "reverse";
  const V steps = c.size_of(step.input, 0);
  if (is_reverse && step.lengths != kOmitted) {
    const V last = c.sub(c.cast(step.lengths, DType::i64), c.constant_ints({1}));
    const V time = c.unsqueeze(iota(c, step.input, 0), {1, 2});
    const V begins = c.node("Equal", {time, c.unsqueeze(last, {1})});
    return c.where(begins, step.hidden, c.constant(0, kCompute));
  }
  const V none = c.constant_ints({0, 0, 0}), others = add_sizes(c, steps, c.constant_ints({-1}));
  const V lead = c.constant_ints({0, 0});
  const V pads =
      is_reverse ? concat_sizes(c, {others, lead, none}) : concat_sizes(c, {none, others, lead});
  return c.node("Pad", {step.hidden, pads});
}

// ONNX has no projections. What comes back is w_hr h, so w_hh w_hr takes the place of w_hh; and the
// first projected value enters as further features of the first input.
RecurrentResults emit_projected(Call& c, const Step& step, const Weights& weights) {
  const V first = at_first_step(c, step);
  Shape shape = c.shape(step.input);
  shape[2] += c.shape(weights.hidden)[1];
  const Step augmented{c.typed(c.concat({step.input, first}, 2), kCompute, shape), step.lengths,
                       kOmitted, step.state, step.direction};
  const Weights folded{c.concat({weights.input, weights.hidden}, 1),
                       c.node("MatMul", {weights.hidden, weights.projection}), weights.input_bias,
                       weights.hidden_bias, kOmitted};
  const RecurrentResults full = emit_node(c, Cell::lstm, augmented, {folded});
  const V projection = c.transpose(weights.projection, {1, 0});
  return {c.node("MatMul", {merge_directions(c, full.output), projection}),
          c.node("MatMul", {full.hidden, projection}), full.state};
}

// ---- stacks
// --------------------------------------------------------------------------------------------

RecurrentResults emit_layer(Call& c, Cell cell, const Step& both, const std::vector<Weights>& all) {
  if (all[0].projection == kOmitted) {
    const RecurrentResults results = emit_node(c, cell, both, all);
    return {merge_directions(c, results.output), results.hidden, results.state};
  }
  std::vector<V> outputs, hiddens, states;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const Step one{both.input, both.lengths, c.slice(both.hidden, 0, at, at + 1),
                   c.slice(both.state, 0, at, at + 1), i == 0 ? "forward" : "reverse"};
    const RecurrentResults results = emit_projected(c, one, all[i]);
    outputs.push_back(results.output);
    hiddens.push_back(results.hidden);
    states.push_back(results.state);
  }
  return {c.concat(outputs, 2), c.concat(hiddens, 0), c.concat(states, 0)};
}

V with_time_first(Call& c, V x, bool batch_first) {
  return batch_first ? c.transpose(x, {1, 0, 2}) : x;
}

// aten::lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers,
//     float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor, Tensor)
std::vector<V> lstm(Call& c) {
  RecurrentLayers layers = recurrent_layers(c, Cell::lstm);
  const bool batch_first = c.boolean("batch_first");
  const std::vector<V> initial = c.tensors("hx");
  layers.input = with_time_first(c, c.tensor("input"), batch_first);
  layers.hidden = initial.at(0);
  layers.state = initial.at(1);
  const RecurrentResults results = emit_layers(c, layers);
  return {with_time_first(c, results.output, batch_first), results.hidden, results.state};
}

// aten::gru.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers,
//     float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)
// aten::rnn_tanh.input(...) and aten::rnn_relu.input(...) likewise
template <Cell cell>
std::vector<V> recurrent(Call& c) {
  RecurrentLayers layers = recurrent_layers(c, cell);
  const bool batch_first = c.boolean("batch_first");
  layers.input = with_time_first(c, c.tensor("input"), batch_first);
  layers.hidden = c.tensor("hx");
  const RecurrentResults results = emit_layers(c, layers);
  return {with_time_first(c, results.output, batch_first), results.hidden};
}

}  // namespace

RecurrentLayers recurrent_layers(Call& c, Cell cell) {
  if (c.boolean("train") && c.number("dropout") != 0) throw Unsupported{"dropout"};
  c.ignore({"dropout"});
  RecurrentLayers layers;
  layers.cell = cell;
  layers.params = c.tensors("params");
  layers.has_biases = c.boolean("has_biases");
  layers.layers = c.integer("num_layers");
  layers.is_bidirectional = c.boolean("bidirectional");
  return layers;
}

RecurrentResults emit_layers(Call& c, const RecurrentLayers& layers) {
  const DType dtype = c.dtype_of(layers.input);
  const int64_t directions = layers.is_bidirectional ? 2 : 1;
  const auto initial = [&](V values, int64_t layer) {
    if (values == kOmitted) return kOmitted;
    return c.slice(c.cast(values, kCompute), 0, layer * directions, (layer + 1) * directions);
  };
  V x = c.cast(layers.input, kCompute);
  const Shape shape = c.shape(x);
  std::vector<V> hiddens, states;
  for (int64_t layer = 0; layer < layers.layers; ++layer) {
    std::vector<Weights> all;
    for (int64_t i = 0; i < directions; ++i) {
      all.push_back(weights_of(c, layers, static_cast<size_t>(layer * directions + i)));
    }
    const Step step{x, layers.lengths, initial(layers.hidden, layer), initial(layers.state, layer),
                    layers.is_bidirectional ? "bidirectional" : "forward"};
    const RecurrentResults results = emit_layer(c, layers.cell, step, all);
    const int64_t size = c.shape(layers.hidden)[2];
    x = c.typed(results.output, kCompute, {shape[0], shape[1], directions * size});
    hiddens.push_back(results.hidden);
    if (layers.cell == Cell::lstm) states.push_back(results.state);
  }
  return {c.cast(x, dtype), c.cast(c.concat(hiddens, 0), dtype),
          states.empty() ? kOmitted : c.cast(c.concat(states, 0), dtype)};
}

std::span<const Row> recurrent_table() {
  static constexpr Row kRows[] = {
      {"aten::gru.input", recurrent<Cell::gru>},
      {"aten::lstm.input", lstm},
      {"aten::rnn_relu.input", recurrent<Cell::rnn_relu>},
      {"aten::rnn_tanh.input", recurrent<Cell::rnn_tanh>},
  };
  static const std::vector<Row> kAll =
      joined(joined(joined(kRows, packed_rows()), cell_rows()), quantized_recurrent_rows());
  return kAll;
}

}  // namespace modelexport::lowering
