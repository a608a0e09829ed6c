// Reductions that need more than the ONNX operator of the same name.
#pragma once

#include <string_view>
#include <vector>

#include "exporter/lowering/expression.h"

namespace modelexport::lowering {

// ReduceMax or ReduceMin with NaN wherever there is one, as PyTorch has it; ONNX Runtime drops
// NaNs.
V extremum(Call& c, std::string_view op_type, V x, const std::vector<int64_t>& axes, bool keepdim);

// Whether any (ReduceSum) or all (ReduceProd) of some booleans hold; right for none of them, too.
Expr truth(Call& c, std::string_view op_type, V x, const std::vector<int64_t>& axes, bool keepdim);

// ReduceMean; NaN, not 0, for no elements.
Expr mean_over(Expr x, const std::vector<int64_t>& axes, bool keepdim);

// A rank-0 tensor as one element on axis 0, for operators of ONNX that need an axis.
V with_axis(Call& c, V x);

// The elements in ascending or descending order along an axis with their indices (TopK with all of
// them): equal elements stay in order, NaN counts as the largest.
struct Sorted {
  V values, indices;
};
Sorted sorted(Call& c, V x, int64_t axis, bool descending);

// The p-norm over some dimensions (none: all), for any p: infinities, 0 (how many are not 0),
// negative.
Expr vector_norm(Expr x, Expr p, const std::vector<int64_t>& axes, bool keepdim);

// How many elements each result of a reduction is made from, as a number of a dtype.
Expr reduced_count(Call& c, V x, const std::vector<int64_t>& axes, DType dtype);

}  // namespace modelexport::lowering
