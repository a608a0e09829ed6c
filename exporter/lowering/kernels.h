// Computing in element types that ONNX Runtime has kernels for.
//
//   V y = run(c, "Mul", {a, b});  // bfloat16: computed in float32; booleans: in uint8
//
// Where the runtime's CPU provider lacks the operator for the operands' dtype, the operands are
// cast to the nearest wider dtype that it has (double to float where there is none), and the result
// back.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// The dtype to compute `op_type` in for operands of `dtype`; Unsupported for complex ones.
DType kernel_dtype(std::string_view op_type, DType dtype);

// The operands are the inputs that have the dtype of the first one (of the second one for Where).
// run_many casts back only its first output: the others (indices, counts) have dtypes of their own.
V run(Call& c, std::string_view op_type, std::vector<V> inputs, Attributes attributes = {});
std::vector<V> run_many(Call& c, std::string_view op_type, std::vector<V> inputs, size_t outputs,
                        Attributes attributes = {});

// ReduceSum, ReduceMax...; no axes: over all of them.
V reduce(Call& c, std::string_view op_type, V x, const std::vector<int64_t>& axes, bool keepdim);

// A value broadcast to the shape observed for the call's first output.
V filled(Call& c, V value);
V filled(Call& c, double value);  // in the dtype observed for it

// Marks all arguments as read except those that are named.
void ignore_all_but(Call& c, std::initializer_list<std::string_view> names);

}  // namespace modelexport::lowering
