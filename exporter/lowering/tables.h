// Parts of families' tables that have files of their own, and how a family joins them.
#pragma once

#include <span>
#include <vector>

#include "exporter/lowering/registry.h"

namespace modelexport::lowering {

std::span<const Row> special_rows();      // of unary: special functions
std::span<const Row> bitwise_rows();      // of binary: bitwise logic and shifts
std::span<const Row> extrema_rows();      // of reduce: max, argmax, median... with indices
std::span<const Row> statistics_rows();   // of reduce: variances and norms
std::span<const Row> order_rows();        // of scan: sort, unique, searchsorted, histograms
std::span<const Row> join_rows();         // of view: cat, stack, split...
std::span<const Row> rearrange_rows();    // of view: repeat, flip, roll, windows, diagonals
std::span<const Row> scatter_rows();      // of index: writes at positions
std::span<const Row> write_back_rows();   // of index: a changed view back into its base
std::span<const Row> contraction_rows();  // of linear: einsum, tensordot, bilinear...
std::span<const Row> distance_rows();     // of linear: distances, similarities, cross products
std::span<const Row> transformer_rows();  // of attention: whole layers as one operator
std::span<const Row> packed_rows();       // of recurrent: packed sequences
std::span<const Row> quantized_recurrent_rows();  // of recurrent: with quantised weights
std::span<const Row> cell_rows();         // of recurrent: single steps
std::span<const Row> class_loss_rows();   // of loss: negative log likelihood and cross entropy
std::span<const Row> adaptive_pool_rows();        // of pool: to a given output size
std::span<const Row> batch_normalization_rows();  // of normalization: batch and instance
std::span<const Row> padding_rows();      // of resize
std::span<const Row> grid_rows();         // of resize: sampling at points, affine grids
std::span<const Row> fold_rows();         // of resize: sliding blocks
std::span<const Row> shuffle_rows();      // of resize: pixels and channels
std::span<const Row> complex_create_rows();    // of complex: parts, conversions, constants
std::span<const Row> complex_function_rows();  // of complex: powers, exponentials, angles
std::span<const Row> spectrogram_rows();  // of fourier: short-time transforms

inline std::vector<Row> joined(std::span<const Row> a, std::span<const Row> b) {
  std::vector<Row> rows(a.begin(), a.end());
  rows.insert(rows.end(), b.begin(), b.end());
  return rows;
}

// "Sin" as a template argument, for the lowerings that are rows: {"aten::sin", unary<"Sin">}.
template <size_t N>
struct OpType {
  constexpr OpType(const char (&text)[N]) {
    for (size_t i = 0; i < N; ++i) characters[i] = text[i];
  }
  constexpr std::string_view view() const { return {characters, N - 1}; }
  char characters[N];
};

}  // namespace modelexport::lowering
