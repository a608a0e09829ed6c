// Single steps of recurrent networks: torch.nn.LSTMCell, GRUCell and RNNCell.
#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/linear.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

V input_gates(Call& c) {
  return linear_layer(c, c.tensor("input"), c.tensor("w_ih"), c.optional_tensor("b_ih"));
}

V hidden_gates(Call& c, V hidden) {
  return linear_layer(c, hidden, c.tensor("w_hh"), c.optional_tensor("b_hh"));
}

std::vector<Expr> gates_of(Call& c, V all, int64_t count) {
  std::vector<Expr> gates;
  for (V gate : split_evenly(c, all, count, 1)) gates.push_back(Expr(c, gate));
  return gates;
}

// aten::lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None,
//     Tensor? b_hh=None) -> (Tensor, Tensor)
std::vector<V> lstm_cell(Call& c) {
  const std::vector<V> initial = c.tensors("hx");
  const Expr sum = Expr(c, input_gates(c)) + Expr(c, hidden_gates(c, initial.at(0)));
  const std::vector<Expr> gates = gates_of(c, sum, 4);  // input, forget, cell, output
  const Expr kept = sigmoid(gates[1]) * Expr(c, initial.at(1));
  const Expr state = kept + sigmoid(gates[0]) * tanh(gates[2]);
  return {sigmoid(gates[3]) * tanh(state), state};
}

// aten::gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None,
//     Tensor? b_hh=None) -> Tensor
V gru_cell(Call& c) {
  const Expr hidden(c, c.tensor("hx"));
  const std::vector<Expr> x = gates_of(c, input_gates(c), 3);  // reset, update, new
  const std::vector<Expr> h = gates_of(c, hidden_gates(c, hidden), 3);
  const Expr reset = sigmoid(x[0] + h[0]), update = sigmoid(x[1] + h[1]);
  const Expr candidate = tanh(x[2] + reset * h[2]);
  return (hidden - candidate) * update + candidate;
}

// aten::rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None,
//     Tensor? b_hh=None) -> Tensor
V rnn_tanh_cell(Call& c) {
  return tanh(Expr(c, input_gates(c)) + Expr(c, hidden_gates(c, c.tensor("hx"))));
}

// aten::rnn_relu_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None,
//     Tensor? b_hh=None) -> Tensor
V rnn_relu_cell(Call& c) {
  return apply("Relu", Expr(c, input_gates(c)) + Expr(c, hidden_gates(c, c.tensor("hx"))));
}

}  // namespace

std::span<const Row> cell_rows() {
  static constexpr Row kRows[] = {
      {"aten::gru_cell", gru_cell},
      {"aten::lstm_cell", lstm_cell},
      {"aten::rnn_relu_cell", rnn_relu_cell},
      {"aten::rnn_tanh_cell", rnn_tanh_cell},
  };
  return kRows;
}

}  // namespace modelexport::lowering
