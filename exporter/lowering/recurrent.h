// Stacks of recurrent layers: LSTM, GRU and RNN.
#pragma once

#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

enum class Cell { lstm, gru, rnn_tanh, rnn_relu };

// What the operators take, with time as the first axis of the input.
struct RecurrentLayers {
  Cell cell = Cell::lstm;
  V input;                // [time, batch, features]
  V lengths;              // int32 [batch], or kOmitted: all are as long as the input
  V hidden;               // [layers * directions, batch, features]
  V state;                // LSTM's cell state, likewise
  std::vector<V> params;  // per layer and direction: w_ih, w_hh, [b_ih, b_hh,] [w_hr]
  bool has_biases = true;
  int64_t layers = 1;
  bool is_bidirectional = false;
};

struct RecurrentResults {
  V output;  // [time, batch, directions * features]
  V hidden, state;
};

// Reads the arguments params, has_biases, num_layers, dropout, train and bidirectional.
RecurrentLayers recurrent_layers(Call& c, Cell cell);

// Weights are put into ONNX's order of gates by nodes, so that parameters stay what they are.
RecurrentResults emit_layers(Call& c, const RecurrentLayers& layers);

}  // namespace modelexport::lowering
