// The table of lowerings: ATen schema key to function. Each family file exports one table; the
// registry joins them. A key that stands twice is an internal error at start-up (and in the tests).
//
// To add an operator: write a function (first line: its ATen schema) in the file of its family, add
// a row to that file's table, and a case to tests/ops/<family>.cases.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

using LowerOne = V (*)(Call&);
using LowerMany = std::vector<V> (*)(Call&);  // one V per flattened output of the operator

struct Row {
  std::string_view key;  // "aten::add.Tensor"; no overload: "aten::relu"
  std::variant<LowerOne, LowerMany> lower;
};

// nullptr if there is none.
const Row* find(std::string_view key);

// The same for a call that takes or makes a list whose length depends on the inputs
// (Kind::sequence): those have lowerings of their own, also where the key is that of an ordinary
// operator (aten::cat).
const Row* find_for_sequence(std::string_view key);

// The same for a call that takes or makes complex tensors: they are pairs of reals there
// (program.h), and most operators have been rewritten by then (complex_program.h).
const Row* find_for_complex(std::string_view key);

// Whether one of the three has a lowering.
bool is_lowered(std::string_view key);

// All keys, sorted.
std::vector<std::string_view> keys();

// One per family, in files of the same name.
std::span<const Row> unary_table();
std::span<const Row> binary_table();
std::span<const Row> compare_table();
std::span<const Row> cast_table();
std::span<const Row> create_table();
std::span<const Row> reduce_table();
std::span<const Row> scan_table();    // cumsum, cumprod, sort, topk, unique...
std::span<const Row> view_table();    // reshape, transpose, expand, split, cat...
std::span<const Row> index_table();   // select, slice, gather, scatter, index_put, masks...
std::span<const Row> linear_table();  // matmul, linear, einsum...
std::span<const Row> convolution_table();
std::span<const Row> pool_table();
std::span<const Row> normalization_table();
std::span<const Row> activation_table();
std::span<const Row> attention_table();
std::span<const Row> recurrent_table();
std::span<const Row> embedding_table();
std::span<const Row> resize_table();     // interpolate, pad, grid_sample, pixel_shuffle, fold
std::span<const Row> detection_table();  // of torchvision
std::span<const Row> random_table();
std::span<const Row> loss_table();
std::span<const Row>
scalar_table();  // arithmetic on ints, floats and bools: aten::add.int, aten::size.int
std::span<const Row> scalar_math_table();  // math.sqrt and its kind
std::span<const Row> quantize_table();     // between real numbers and integers that stand for them
std::span<const Row> control_table();      // prim::If, prim::Loop
std::span<const Row> sequence_table();     // lists whose length depends on the inputs
std::span<const Row> complex_table();      // complex tensors: arithmetic, functions, reductions
std::span<const Row> fourier_table();      // of complex tensors: torch.fft, stft, istft
std::span<const Row> frequency_table();    // what belongs to torch.fft, but is real

}  // namespace modelexport::lowering
