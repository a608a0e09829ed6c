#include "exporter/program/dtype.h"

#include <array>

namespace modelexport {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  size_t bytes;
};

constexpr std::array kRows = {
    Row{DType::undefined, "undefined", 0},
    Row{DType::boolean, "bool", 1},
    Row{DType::u8, "uint8", 1},
    Row{DType::u16, "uint16", 2},
    Row{DType::u32, "uint32", 4},
    Row{DType::u64, "uint64", 8},
    Row{DType::i8, "int8", 1},
    Row{DType::i16, "int16", 2},
    Row{DType::i32, "int32", 4},
    Row{DType::i64, "int64", 8},
    Row{DType::f16, "float16", 2},
    Row{DType::bf16, "bfloat16", 2},
    Row{DType::f32, "float32", 4},
    Row{DType::f64, "float64", 8},
    Row{DType::c32, "complex32", 4},
    Row{DType::c64, "complex64", 8},
    Row{DType::c128, "complex128", 16},
    Row{DType::f8_e4m3fn, "float8_e4m3fn", 1},
    Row{DType::f8_e5m2, "float8_e5m2", 1},
    Row{DType::qi8, "qint8", 1},
    Row{DType::qu8, "quint8", 1},
    Row{DType::qi32, "qint32", 4},
    Row{DType::string, "string", 0},
};

constexpr bool rows_stand_in_order() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_stand_in_order(), "kRows is indexed by DType");

const Row& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

size_t byte_size(DType dtype) { return row(dtype).bytes; }

std::string_view name(DType dtype) { return row(dtype).name; }

DType dtype_from_name(std::string_view name) {
  struct Alias {
    std::string_view name;
    DType dtype;
  };
  static constexpr std::array kAliases = {
      Alias{"float", DType::f32}, Alias{"double", DType::f64}, Alias{"half", DType::f16},
      Alias{"long", DType::i64},  Alias{"int", DType::i32},    Alias{"short", DType::i16},
      Alias{"char", DType::i8},   Alias{"byte", DType::u8},    Alias{"boolean", DType::boolean},
      Alias{"chalf", DType::c32}, Alias{"cfloat", DType::c64}, Alias{"cdouble", DType::c128},
  };
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  for (const Alias& alias : kAliases) {
    if (alias.name == name) return alias.dtype;
  }
  return DType::undefined;
}

bool is_floating(DType dtype) {
  return (dtype >= DType::f16 && dtype <= DType::f64) || dtype == DType::f8_e4m3fn ||
         dtype == DType::f8_e5m2;
}

bool is_integral(DType dtype) { return dtype >= DType::u8 && dtype <= DType::i64; }

bool is_complex(DType dtype) { return dtype >= DType::c32 && dtype <= DType::c128; }

DType part_dtype(DType complex) {
  switch (complex) {
    case DType::c32:
      return DType::f16;
    case DType::c64:
      return DType::f32;
    case DType::c128:
      return DType::f64;
    default:
      return complex;
  }
}

DType complex_dtype(DType part) {
  for (DType dtype : {DType::c32, DType::c64, DType::c128}) {
    if (part_dtype(dtype) == part) return dtype;
  }
  return DType::undefined;
}

bool is_signed(DType dtype) {
  return (dtype >= DType::i8 && dtype <= DType::i64) || is_floating(dtype) || is_complex(dtype) ||
         dtype == DType::qi8 || dtype == DType::qi32;
}

DType dtype_from_scalar_type(int64_t scalar_type) {
  switch (scalar_type) {
    case 0:
      return DType::u8;
    case 1:
      return DType::i8;
    case 2:
      return DType::i16;
    case 3:
      return DType::i32;
    case 4:
      return DType::i64;
    case 5:
      return DType::f16;
    case 6:
      return DType::f32;
    case 7:
      return DType::f64;
    case 8:
      return DType::c32;
    case 9:
      return DType::c64;
    case 10:
      return DType::c128;
    case 11:
      return DType::boolean;
    case 12:
      return DType::qi8;
    case 13:
      return DType::qu8;
    case 14:
      return DType::qi32;
    case 15:
      return DType::bf16;
    case 23:
      return DType::f8_e5m2;
    case 24:
      return DType::f8_e4m3fn;
    case 27:
      return DType::u16;
    case 28:
      return DType::u32;
    case 29:
      return DType::u64;
    default:
      return DType::undefined;
  }
}

}  // namespace modelexport
