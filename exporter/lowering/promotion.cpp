#include "exporter/lowering/promotion.h"

#include <algorithm>
#include <array>
#include <string>
#include <variant>

namespace modelexport::lowering {
namespace {

using enum DType;

const Argument& argument_of(Call& c, std::string_view name) {
  const std::vector<std::string>& names = c.program().schemas[c.op().schema].arguments;
  const auto found = std::ranges::find(names, name);
  return c.op().arguments[static_cast<size_t>(found - names.begin())];
}

const Value* value_of(Call& c, std::string_view name) {
  const ValueRef* ref = std::get_if<ValueRef>(&argument_of(c, name));
  return ref == nullptr ? nullptr : &c.program().values[ref->id];
}

// How strongly each kind of operand counts.
enum Strength { kNumber, kScalarTensor, kTensor };

int category(DType dtype) {
  if (dtype == undefined) return 0;
  if (dtype == boolean) return 1;
  if (is_integral(dtype)) return 2;
  return is_floating(dtype) ? 3 : 4;
}

// A number of a category that the tensors do not reach has PyTorch's default dtype of it.
DType default_dtype(DType dtype) {
  if (dtype == f64) return f32;
  return dtype == c128 ? c64 : dtype;
}

DType stronger(DType higher, DType lower) {
  return category(lower) > category(higher) ? promote(lower, undefined) : higher;
}

}  // namespace

DType promote(DType a, DType b) {
  if (a == b || b == undefined) return a;
  if (a == undefined) return b;
  if (category(a) != category(b)) {
    const DType high = category(a) > category(b) ? a : b;
    const DType low = high == a ? b : a;
    if (is_complex(high) && is_floating(low)) return promote(high, complex_dtype(low));
    return high;
  }
  if (is_integral(a) && is_signed(a) != is_signed(b)) {
    const DType with_sign = is_signed(a) ? a : b;
    const DType without = with_sign == a ? b : a;
    // The next signed type that holds both; PyTorch has it for uint8 only.
    if (byte_size(with_sign) > byte_size(without)) return with_sign;
    return byte_size(without) == 1 ? i16 : byte_size(without) == 2 ? i32 : i64;
  }
  if (byte_size(a) == byte_size(b)) return f32;  // float16 and bfloat16
  return byte_size(a) > byte_size(b) ? a : b;
}

DType number_dtype(Call& c, std::string_view argument) {
  if (const Value* value = value_of(c, argument)) {
    return value->is_complex ? complex_dtype(value->dtype) : value->dtype;
  }
  const Argument& number = argument_of(c, argument);
  if (std::holds_alternative<bool>(number)) return boolean;
  if (std::holds_alternative<int64_t>(number)) return i64;
  return std::holds_alternative<double>(number) ? f64 : c128;
}

DType promoted_dtype(Call& c, std::initializer_list<std::string_view> arguments) {
  std::array<DType, 3> dtypes{undefined, undefined, undefined};
  for (std::string_view argument : arguments) {
    const Value* value = value_of(c, argument);
    const bool number = value == nullptr || value->is_number;
    const bool scalar = !number && value->shape.size() == (value->is_complex ? 1 : 0);
    const Strength strength = number ? kNumber : scalar ? kScalarTensor : kTensor;
    const DType dtype = number_dtype(c, argument);
    dtypes[strength] = promote(dtypes[strength], number ? default_dtype(dtype) : dtype);
  }
  return stronger(dtypes[kTensor], stronger(dtypes[kScalarTensor], dtypes[kNumber]));
}

}  // namespace modelexport::lowering
