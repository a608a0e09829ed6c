#include "exporter/graph/dtype_onnx.h"

namespace modelexport::graph {

int32_t onnx_number(DType dtype) {
  switch (dtype) {
    case DType::undefined:
    case DType::c32:  // ONNX has none
      return 0;
    case DType::f32:
      return 1;
    case DType::u8:
      return 2;
    case DType::qu8:
      return 2;
    case DType::i8:
      return 3;
    case DType::qi8:
      return 3;
    case DType::u16:
      return 4;
    case DType::i16:
      return 5;
    case DType::i32:
      return 6;
    case DType::qi32:
      return 6;
    case DType::i64:
      return 7;
    case DType::string:
      return 8;
    case DType::boolean:
      return 9;
    case DType::f16:
      return 10;
    case DType::f64:
      return 11;
    case DType::u32:
      return 12;
    case DType::u64:
      return 13;
    case DType::c64:
      return 14;
    case DType::c128:
      return 15;
    case DType::bf16:
      return 16;
    case DType::f8_e4m3fn:
      return 17;
    case DType::f8_e5m2:
      return 19;
  }
  return 0;
}

DType dtype_from_onnx(int32_t number) {
  switch (number) {
    case 1:
      return DType::f32;
    case 2:
      return DType::u8;
    case 3:
      return DType::i8;
    case 4:
      return DType::u16;
    case 5:
      return DType::i16;
    case 6:
      return DType::i32;
    case 7:
      return DType::i64;
    case 8:
      return DType::string;
    case 9:
      return DType::boolean;
    case 10:
      return DType::f16;
    case 11:
      return DType::f64;
    case 12:
      return DType::u32;
    case 13:
      return DType::u64;
    case 14:
      return DType::c64;
    case 15:
      return DType::c128;
    case 16:
      return DType::bf16;
    case 17:
      return DType::f8_e4m3fn;
    case 19:
      return DType::f8_e5m2;
    default:
      return DType::undefined;
  }
}

}  // namespace modelexport::graph
