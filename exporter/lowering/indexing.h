// Positions, sizes and reductions that several families compute in the graph.
//
//   V rows = iota(c, x, 0);              // 0, 1, ..., size of axis 0 - 1
//   V found = true_positions(c, mask);   // [number of true elements, rank]
#pragma once

#include <optional>
#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// Sizes as 1-D int64: their sum element by element, and one after the other. Constants stay
// constants.
V add_sizes(Call& c, V a, V b);
V concat_sizes(Call& c, const std::vector<V>& sizes);

// Size of an axis, if it is known; as rank-0 int64.
std::optional<int64_t> static_size(Call& c, V x, int64_t axis);
V size_number(Call& c, V x, int64_t axis);

// 0, 1, ..., count - 1 as 1-D int64: for a Dim, for a rank-0 int64, for the size of an axis.
V iota(Call& c, Dim count);
V iota(Call& c, V count);
V iota(Call& c, V x, int64_t axis);

// Where `mask` is not zero, in row-major order: int64 [found, rank]. The rank is at least 1.
V true_positions(Call& c, V mask);

// Sizes with 0 in place of what is negative, and of the opposite sign.
V not_negative(Call& c, V sizes);
V negated(Call& c, V sizes);

// (row, column) of each element of the diagonal `offset` (1-D int64 of one element) of the matrices
// that axes 0 and 1 of `x` span: int64 [length, 2].
V diagonal_positions(Call& c, V x, V offset);

// For as_strided and its inverse: where in the storage the elements of the view lie, in its shape.
V strided_positions(Call& c);

// The permutation of `rank` axes that puts `axes` first and keeps the order of the others.
std::vector<int64_t> to_front(const std::vector<int64_t>& axes, int64_t rank);
std::vector<int64_t> inverse(const std::vector<int64_t>& permutation);

// The elements moved along an axis by `shift` (1-D int64 of one element), around its end.
V roll(Call& c, V x, V shift, int64_t axis);

// bfloat16 as float32: few kernels exist for it. Results are cast back.
V without_bf16(Call& c, V x);

// Equal parts along an axis; from opset 18 on, the last one may be shorter.
std::vector<V> split_evenly(Call& c, V x, int64_t parts, int64_t axis);

// Where, for all dtypes.
V choose(Call& c, V condition, V a, V b);

// Expand, to a shape with symbols or given as 1-D int64.
V expand(Call& c, V x, const Shape& shape);
V expand_to(Call& c, V x, V shape);

// Whether shape_vector() can give these sizes, but for at most `missing` of them.
bool has_sizes(Call& c, const Shape& shape, int missing = 0);

}  // namespace modelexport::lowering
