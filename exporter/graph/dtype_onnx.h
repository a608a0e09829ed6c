// DType to and from onnx::TensorProto::DataType, by number, so that only exporter/onnx needs protobuf.
// Quantised types map to the integer they are stored as. 0 (UNDEFINED) stands for what ONNX lacks,
// DType::undefined for what DType lacks.
#pragma once

#include <cstdint>

#include "exporter/program/dtype.h"

namespace modelexport::graph {

int32_t onnx_number(DType dtype);
DType dtype_from_onnx(int32_t number);

}  // namespace modelexport::graph
