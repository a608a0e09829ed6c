// What the files on quantised tensors share.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>

#include <memory>
#include <string>
#include <vector>

#include "exporter/frontend/value.h"

namespace modelexport::frontend {

// The quantised tensors among the values and in their lists and tuples.
std::vector<std::shared_ptr<TensorCell>> quantized_cells(const std::vector<Val>& vals);

// Whether two quantised tensors have the same scheme, scales and zero points.
bool look_alike(const at::Tensor& a, const at::Tensor& b);

// Of the operator "aten::add.Tensor", which LibTorch has.
const c10::FunctionSchema& schema_of(const std::string& key);

}  // namespace modelexport::frontend
