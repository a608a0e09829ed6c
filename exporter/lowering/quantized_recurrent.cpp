// Recurrent layers with quantised weights. The hidden state is quantised anew in each step, which
// ONNX's recurrent operators cannot say: they are Scans.
#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linear.h"
#include "exporter/lowering/quantize.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// A linear layer whose input is quantised by its range, if the weight is.
struct Gates {
  std::optional<IntegerWeight> integers;
  V transposed;  // a weight of floats
  V bias;
  bool reduce_range = false;

  V of(Call& c, V x) const {
    const V product = integers
                          ? integer_product(c, quantize_by_range(c, x, reduce_range), *integers)
                          : matrix_product(c, x, transposed);
    return bias == kOmitted ? product : c.add(product, bias);
  }
};

// From packed parameters: weight, bias.
Gates gates_from(Call& c, const Argument& packed, bool reduce_range) {
  const auto& fields = std::get<ArgumentList>(packed);
  const V weight = c.value_of(fields.at(0));
  Gates gates{integer_weight(c, weight), kOmitted, c.value_of(fields.at(1)), reduce_range};
  if (!gates.integers) gates.transposed = c.transpose(weight, {1, 0});
  return gates;
}

struct Layer {
  Gates input, hidden;
};

Layer layer_from(Call& c, const Argument& packed) {
  const auto& fields = std::get<ArgumentList>(packed);  // ih, hh, and if quantised three more
  const bool reduce_range = fields.size() > 4 && std::get<bool>(fields[4]);
  return {gates_from(c, fields.at(0), reduce_range), gates_from(c, fields.at(1), reduce_range)};
}

using States = std::vector<V>;  // hidden, and an LSTM's cell state

States lstm_step(Call& c, const Layer& layer, V x, const States& before) {
  const V sum = c.add(x, layer.hidden.of(c, before[0]));
  std::vector<Expr> gates;  // input, forget, cell, output
  for (V gate : split_evenly(c, sum, 4, 1)) gates.emplace_back(c, gate);
  const Expr kept = sigmoid(gates[1]) * Expr(c, before[1]);
  const Expr state = kept + sigmoid(gates[0]) * tanh(gates[2]);
  return {sigmoid(gates[3]) * tanh(state), state};
}

States gru_step(Call& c, const Layer& layer, V x, const States& before) {
  const std::vector<V> from_input = split_evenly(c, x, 3, 1);
  const std::vector<V> from_hidden = split_evenly(c, layer.hidden.of(c, before[0]), 3, 1);
  const auto part = [&](const std::vector<V>& parts, size_t i) { return Expr(c, parts[i]); };
  const Expr reset = sigmoid(part(from_input, 0) + part(from_hidden, 0));
  const Expr update = sigmoid(part(from_input, 1) + part(from_hidden, 1));
  const Expr candidate = tanh(part(from_input, 2) + reset * part(from_hidden, 2));
  return {(Expr(c, before[0]) - candidate) * update + candidate};
}

template <OpType activation>
States rnn_step(Call& c, const Layer& layer, V x, const States& before) {
  return {c.node(activation.view(), {c.add(x, layer.hidden.of(c, before[0]))})};
}

using Step = States (*)(Call&, const Layer&, V, const States&);

// What is computed in each step, from one step of the input's gates.
graph::Block step_block(Call& c, Step step, const Layer& layer, const Shape& gates,
                        const States& initial) {
  c.builder().open_block();
  States before;
  for (V state : initial) before.push_back(c.builder().block_input(DType::f32, c.shape(state)));
  const V x = c.builder().block_input(DType::f32, gates);
  States after = step(c, layer, x, before);
  after.push_back(c.node("Identity", {after[0]}));
  return c.builder().close_block(after);
}

// One direction of one layer: the states at the end, then all hidden states.
std::vector<V> scan(Call& c, Step step, const Layer& layer, V input, const States& initial,
                    bool backwards) {
  const V gates = layer.input.of(c, input);
  const Shape all = c.shape(input), state = c.shape(initial[0]);
  const int64_t per_state = initial.size() == 2 ? 4 : 3;
  c.typed(gates, DType::f32, {all[0], all[1], state[1] * per_state});
  graph::Block body = step_block(c, step, layer, {all[1], state[1] * per_state}, initial);
  std::vector<V> inputs = initial;
  inputs.push_back(gates);
  const std::vector<int64_t> direction = {backwards ? 1 : 0};
  std::vector<V> results = c.nodes("Scan", inputs, initial.size() + 1,
                                   {attr("num_scan_inputs", 1),
                                    attr("scan_input_directions", direction),
                                    attr("scan_output_directions", direction),
                                    {"body", std::make_shared<graph::Block>(std::move(body))}});
  for (size_t i = 0; i < initial.size(); ++i) c.typed(results[i], DType::f32, state);
  c.typed(results.back(), DType::f32, {all[0], all[1], state[1]});
  return results;
}

// The states that a layer begins with, of those of all layers.
States states_of(Call& c, const States& initial, int64_t layer) {
  States states;
  for (V all : initial) {
    const Shape shape = c.shape(all);
    const V own = c.gather(all, c.constant_int(layer), 0);
    states.push_back(c.typed(own, DType::f32, {shape[1], shape[2]}));
  }
  return states;
}

// All layers: the output, then the states at the end, [layers * directions, batch, features].
std::vector<V> layers(Call& c, Step step, const States& initial) {
  c.ignore({"has_biases", "dropout", "train"});
  const bool batch_first = c.boolean("batch_first"), both = c.boolean("bidirectional");
  V output = c.tensor("input");
  if (batch_first) output = c.transpose(output, {1, 0, 2});
  const auto& params = std::get<ArgumentList>(c.argument_at(2));
  std::vector<std::vector<V>> ends(initial.size());
  for (int64_t layer = 0; layer < c.integer("num_layers") * (both ? 2 : 1);) {
    std::vector<V> outputs;
    for (bool backwards : both ? std::vector{false, true} : std::vector{false}) {
      const std::vector<V> results = scan(c, step, layer_from(c, params.at(layer)), output,
                                          states_of(c, initial, layer), backwards);
      for (size_t i = 0; i < ends.size(); ++i) ends[i].push_back(c.unsqueeze(results[i], {0}));
      outputs.push_back(results.back());
      ++layer;
    }
    output = c.concat(outputs, 2);
  }
  std::vector<V> results = {batch_first ? c.transpose(output, {1, 0, 2}) : output};
  for (const std::vector<V>& states : ends) results.push_back(c.concat(states, 0));
  return results;
}

// aten::quantized_lstm.input(Tensor input, Tensor[] hx, CellParamsBase[] params, bool has_biases,
//     int num_layers, float dropout, bool train, bool bidirectional, bool batch_first, *,
//     ScalarType? dtype=None, bool use_dynamic=False) -> (Tensor, Tensor, Tensor)
std::vector<V> lstm(Call& c) {
  c.ignore({"dtype", "use_dynamic"});
  return layers(c, lstm_step, c.tensors("hx"));
}

// aten::quantized_gru.input(Tensor input, Tensor hx, CellParamsBase[] params, bool has_biases,
//     int num_layers, float dropout, bool train, bool bidirectional, bool batch_first)
//     -> (Tensor, Tensor)
std::vector<V> gru(Call& c) { return layers(c, gru_step, {c.tensor("hx")}); }

// quantized::quantized_lstm_cell_dynamic(Tensor input, Tensor[] hx, LinearPackedParamsBase w_ih,
//     LinearPackedParamsBase w_hh, Tensor bias_ih, Tensor bias_hh) -> (Tensor, Tensor)
// quantized::quantized_gru_cell_dynamic(Tensor input, Tensor hx, LinearPackedParamsBase w_ih,
//     LinearPackedParamsBase w_hh, Tensor b_ih, Tensor b_hh) -> Tensor, and others likewise: the
// biases are packed with the weights
template <Step step>
std::vector<V> cell(Call& c) {
  ignore_all_but(c, {"input", "hx"});
  const Layer layer{gates_from(c, c.argument_at(2), true), gates_from(c, c.argument_at(3), true)};
  const bool has_state = std::holds_alternative<ArgumentList>(c.argument_at(1));
  const States before = has_state ? c.tensors("hx") : States{c.tensor("hx")};
  return step(c, layer, layer.input.of(c, c.tensor("input")), before);
}

}  // namespace

std::span<const Row> quantized_recurrent_rows() {
  static constexpr Row kRows[] = {
      {"aten::quantized_gru.input", gru},
      {"aten::quantized_lstm.input", lstm},
      {"quantized::quantized_gru_cell_dynamic", cell<gru_step>},
      {"quantized::quantized_lstm_cell_dynamic", cell<lstm_step>},
      {"quantized::quantized_rnn_relu_cell_dynamic", cell<rnn_step<"Relu">>},
      {"quantized::quantized_rnn_tanh_cell_dynamic", cell<rnn_step<"Tanh">>},
  };
  return kRows;
}

}  // namespace modelexport::lowering
