#include "exporter/graph/literal.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace modelexport::graph {
namespace {

// A small IEEE-like format: one sign bit, `exponent` and `mantissa` bits.
struct FloatFormat {
  int exponent;
  int mantissa;
  bool has_infinity;  // float8_e4m3fn has none; its largest exponent holds numbers too
  int bias() const { return (1 << (exponent - 1)) - 1; }
};
constexpr FloatFormat kHalf{5, 10, true};
constexpr FloatFormat kBFloat{8, 7, true};
constexpr FloatFormat kE4M3{4, 3, false};
constexpr FloatFormat kE5M2{5, 2, true};

uint32_t narrow(double value, FloatFormat format) {
  const uint32_t sign = std::signbit(value) ? 1u << (format.exponent + format.mantissa) : 0;
  const uint32_t all_exponent = ((1u << format.exponent) - 1) << format.mantissa;
  const uint32_t not_a_number = all_exponent | ((1u << format.mantissa) - 1);
  // One mantissa pattern of the largest exponent of a format without infinities is NaN.
  const uint32_t overflow = format.has_infinity ? all_exponent : not_a_number;
  const uint32_t quiet =
      format.has_infinity ? all_exponent | (1u << (format.mantissa - 1)) : overflow;
  if (std::isnan(value)) return sign | quiet;
  value = std::abs(value);
  if (std::isinf(value)) return sign | overflow;
  if (value == 0) return sign;

  const int smallest = 1 - format.bias();  // exponent of the smallest normal number
  const int exponent = std::max(std::ilogb(value), smallest);
  // In units of the last place, rounded to nearest even (the default rounding mode).
  const double units = std::nearbyint(std::ldexp(value, format.mantissa - exponent));
  // A carry into the next exponent is right by construction: the fields are adjacent.
  const uint32_t bits = (static_cast<uint32_t>(exponent - smallest) << format.mantissa) +
                        static_cast<uint32_t>(units);
  return sign | (bits < overflow ? bits : overflow);
}

double widen(uint32_t bits, FloatFormat format) {
  const uint32_t magnitude = bits & ((1u << (format.exponent + format.mantissa)) - 1);
  const uint32_t field = magnitude >> format.mantissa;
  const uint32_t fraction = magnitude & ((1u << format.mantissa) - 1);
  const uint32_t largest = (1u << format.exponent) - 1;
  double value = 0;
  if (format.has_infinity && field == largest) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else if (!format.has_infinity &&
             magnitude == ((largest << format.mantissa) | ((1u << format.mantissa) - 1))) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    const uint32_t hidden = field == 0 ? 0 : 1u << format.mantissa;
    const int exponent = static_cast<int>(field == 0 ? 1 : field) - format.bias() - format.mantissa;
    value = std::ldexp(static_cast<double>(fraction | hidden), exponent);
  }
  const bool negative = (bits >> (format.exponent + format.mantissa)) & 1;
  return negative ? -value : value;
}

const FloatFormat* narrow_format(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return &kHalf;
    case DType::bf16:
      return &kBFloat;
    case DType::f8_e4m3fn:
      return &kE4M3;
    case DType::f8_e5m2:
      return &kE5M2;
    default:
      return nullptr;
  }
}

int64_t to_integer(Number number) {
  if (const int64_t* integer = std::get_if<int64_t>(&number)) return *integer;
  const double value = std::get<double>(number);
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (value < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

// Infinities become the largest and smallest number of the type, not of int64.
int64_t saturated(Number number, int64_t lowest, int64_t highest) {
  const double* value = std::get_if<double>(&number);
  if (value && std::isinf(*value)) return *value > 0 ? highest : lowest;
  return to_integer(number);
}

template <typename T>
void append_as(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
void append_integer(std::string& bytes, Number number) {
  using Limits = std::numeric_limits<T>;
  const int64_t highest = static_cast<int64_t>(Limits::max());  // of uint64: all bits set
  append_as(bytes, static_cast<T>(saturated(number, static_cast<int64_t>(Limits::min()), highest)));
}

template <typename T>
T load(std::string_view bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
int64_t load_integer(std::string_view bytes, size_t index) {
  return static_cast<int64_t>(load<T>(bytes, index));
}

static_assert(std::endian::native == std::endian::little);

}  // namespace

double to_double(Number number) {
  return std::visit([](auto value) { return static_cast<double>(value); }, number);
}

void append_element(std::string& bytes, DType dtype, Number value) {
  switch (dtype) {
    case DType::boolean:
      return append_as<uint8_t>(bytes, to_double(value) != 0);
    case DType::u8:
    case DType::qu8:
      return append_integer<uint8_t>(bytes, value);
    case DType::u16:
      return append_integer<uint16_t>(bytes, value);
    case DType::u32:
      return append_integer<uint32_t>(bytes, value);
    case DType::u64:
      return append_integer<uint64_t>(bytes, value);
    case DType::i8:
    case DType::qi8:
      return append_integer<int8_t>(bytes, value);
    case DType::i16:
      return append_integer<int16_t>(bytes, value);
    case DType::i32:
    case DType::qi32:
      return append_integer<int32_t>(bytes, value);
    case DType::i64:
      return append_integer<int64_t>(bytes, value);
    case DType::f16:
    case DType::bf16:
      return append_as(bytes,
                       static_cast<uint16_t>(narrow(to_double(value), *narrow_format(dtype))));
    case DType::f8_e4m3fn:
    case DType::f8_e5m2:
      return append_as(bytes,
                       static_cast<uint8_t>(narrow(to_double(value), *narrow_format(dtype))));
    case DType::f32:
      return append_as(bytes, static_cast<float>(to_double(value)));
    case DType::f64:
      return append_as(bytes, to_double(value));
    case DType::undefined:
    case DType::c32:
    case DType::c64:
    case DType::c128:
    case DType::string:
      return;
  }
}

std::string element_bytes(DType dtype, Number value) {
  std::string bytes;
  append_element(bytes, dtype, value);
  return bytes;
}

Number element_at(std::string_view bytes, DType dtype, size_t index) {
  switch (dtype) {
    case DType::boolean:
    case DType::u8:
    case DType::qu8:
      return load_integer<uint8_t>(bytes, index);
    case DType::u16:
      return load_integer<uint16_t>(bytes, index);
    case DType::u32:
      return load_integer<uint32_t>(bytes, index);
    case DType::u64:
      return load_integer<uint64_t>(bytes, index);
    case DType::i8:
    case DType::qi8:
      return load_integer<int8_t>(bytes, index);
    case DType::i16:
      return load_integer<int16_t>(bytes, index);
    case DType::i32:
    case DType::qi32:
      return load_integer<int32_t>(bytes, index);
    case DType::i64:
      return load_integer<int64_t>(bytes, index);
    case DType::f16:
    case DType::bf16:
      return widen(load<uint16_t>(bytes, index), *narrow_format(dtype));
    case DType::f8_e4m3fn:
    case DType::f8_e5m2:
      return widen(load<uint8_t>(bytes, index), *narrow_format(dtype));
    case DType::f32:
      return static_cast<double>(load<float>(bytes, index));
    case DType::f64:
      return load<double>(bytes, index);
    case DType::undefined:
    case DType::c32:
    case DType::c64:
    case DType::c128:
    case DType::string:
      break;
  }
  return int64_t{0};
}

std::string converted(std::string_view bytes, DType from, DType to) {
  std::string result;
  const size_t count = bytes.size() / byte_size(from);
  result.reserve(count * byte_size(to));
  for (size_t i = 0; i < count; ++i) append_element(result, to, element_at(bytes, from, i));
  return result;
}

std::string contiguous_bytes(const Program& program, const modelexport::Tensor& tensor) {
  const size_t element = byte_size(tensor.dtype);
  const size_t count = static_cast<size_t>(tensor.element_count());
  if (count == 0) return {};
  const auto* base = reinterpret_cast<const char*>(program.storages[tensor.storage].data) +
                     tensor.offset * static_cast<int64_t>(element);
  if (tensor.is_contiguous()) return std::string(base, count * element);

  std::string bytes;
  bytes.reserve(count * element);
  std::vector<int64_t> index(tensor.sizes.size(), 0);
  for (size_t done = 0; done < count; ++done) {
    int64_t position = 0;
    for (size_t axis = 0; axis < index.size(); ++axis)
      position += index[axis] * tensor.strides[axis];
    bytes.append(base + position * static_cast<int64_t>(element), element);
    for (size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < tensor.sizes[axis]) break;
      index[axis] = 0;
    }
  }
  return bytes;
}

int64_t element_count(const TensorData& tensor) {
  int64_t count = 1;
  for (int64_t dim : tensor.dims) count *= dim;
  return count;
}

}  // namespace modelexport::graph
