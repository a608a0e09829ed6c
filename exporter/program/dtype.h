// Element types of tensors: the ones LibTorch and ONNX both know, plus those only one of them has.
// Sizes are in bytes. Conversions to and from c10::ScalarType live in the frontend, those to
// onnx::TensorProto::DataType in exporter/graph/dtype_onnx.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace modelexport {

enum class DType : uint8_t {
  undefined,
  boolean,
  u8, u16, u32, u64,
  i8, i16, i32, i64,
  f16, bf16, f32, f64,
  c32, c64, c128,  // complex of two f16, of two f32, of two f64
  f8_e4m3fn, f8_e5m2,
  qi8, qu8, qi32,  // quantised: an integer with scale and zero point
  string,          // ONNX only
};

size_t byte_size(DType dtype);          // of one element; 0 for undefined and string
std::string_view name(DType dtype);     // "float32", "int64", "bool": numpy's and PyTorch's names
DType dtype_from_name(std::string_view name);  // undefined if there is none; also "float", "long", "half"...

bool is_floating(DType dtype);  // f16, bf16, f32, f64, f8
bool is_integral(DType dtype);  // signed and unsigned integers; not bool
bool is_complex(DType dtype);
bool is_signed(DType dtype);
DType part_dtype(DType complex);  // of real and imaginary part; a real dtype as it is
DType complex_dtype(DType part);  // undefined if there is none

// PyTorch's number for a ScalarType, as it appears as an int argument of ATen operators
// (c10/core/ScalarType.h). Returns undefined for numbers without a counterpart.
DType dtype_from_scalar_type(int64_t scalar_type);

}  // namespace modelexport
