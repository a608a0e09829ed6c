#include "analysis/numeric.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace modelexport::analysis {
namespace {

// ---- reading elements ---------------------------------------------------------------------------

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// A binary floating-point number of less than 32 bits. `Special` says what its highest exponent
// means: infinities and NaNs as in IEEE 754, or numbers except for the all-ones NaN (e4m3fn).
template <typename Bits, int kExponentBits, int kMantissaBits, bool kIeeeSpecials>
struct SmallFloat {
  static double load_as_double(const std::byte* at) {
    constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
    constexpr int kMaxExponent = (1 << kExponentBits) - 1;
    constexpr int kMantissaMask = (1 << kMantissaBits) - 1;
    const Bits bits = load<Bits>(at);
    const int exponent = (bits >> kMantissaBits) & kMaxExponent;
    const int mantissa = bits & kMantissaMask;
    const bool negative = bits >> (kExponentBits + kMantissaBits);
    double magnitude;
    if (exponent == kMaxExponent && kIeeeSpecials) {
      magnitude = mantissa == 0 ? std::numeric_limits<double>::infinity()
                                : std::numeric_limits<double>::quiet_NaN();
    } else if (exponent == kMaxExponent && mantissa == kMantissaMask) {
      magnitude = std::numeric_limits<double>::quiet_NaN();
    } else if (exponent == 0) {
      magnitude = std::ldexp(mantissa, 1 - kBias - kMantissaBits);
    } else {
      magnitude = std::ldexp(mantissa + (1 << kMantissaBits), exponent - kBias - kMantissaBits);
    }
    return negative ? -magnitude : magnitude;
  }
};
using Half = SmallFloat<uint16_t, 5, 10, true>;
using Float8E4M3 = SmallFloat<uint8_t, 4, 3, false>;
using Float8E5M2 = SmallFloat<uint8_t, 5, 2, true>;

struct BFloat16 {
  static double load_as_double(const std::byte* at) {
    return std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(at)) << 16);
  }
};

template <typename T>
struct Plain {
  static double load_as_double(const std::byte* at) { return load<T>(at); }
};

// ---- comparing elements -------------------------------------------------------------------------

template <typename Reader>
void compare_floats(const std::byte* expected, const std::byte* found, size_t width,
                    const Tolerance& tolerance, Difference& out) {
  for (int64_t i = 0; i < out.elements; ++i, expected += width, found += width) {
    const double a = Reader::load_as_double(expected);
    const double b = Reader::load_as_double(found);
    const double difference = std::abs(b - a);
    const double magnitude = std::abs(a);
    if (std::isfinite(difference)) {
      out.max_abs = std::max(out.max_abs, difference);
      if (magnitude > tolerance.atol) out.max_rel = std::max(out.max_rel, difference / magnitude);
      if (difference > tolerance.atol + tolerance.rtol * magnitude) ++out.mismatched;
    } else if (a != b && !(std::isnan(a) && std::isnan(b))) {
      ++out.mismatched;
    }
  }
}

template <typename T>
void compare_integers(const std::byte* expected, const std::byte* found, Difference& out) {
  for (int64_t i = 0; i < out.elements; ++i) {
    const T a = load<T>(expected + i * sizeof(T));
    const T b = load<T>(found + i * sizeof(T));
    if (a == b) continue;
    ++out.mismatched;
    const double difference = std::abs(static_cast<double>(b) - static_cast<double>(a));
    out.max_abs = std::max(out.max_abs, difference);
    if (a != 0) out.max_rel = std::max(out.max_rel, difference / std::abs(static_cast<double>(a)));
  }
}

void compare_elements(const std::byte* a, const std::byte* b, const Tolerance& tolerance,
                      Difference& out) {
  switch (out.dtype) {
    case DType::boolean:
    case DType::u8:
    case DType::qu8:
      return compare_integers<uint8_t>(a, b, out);
    case DType::u16:
      return compare_integers<uint16_t>(a, b, out);
    case DType::u32:
      return compare_integers<uint32_t>(a, b, out);
    case DType::u64:
      return compare_integers<uint64_t>(a, b, out);
    case DType::i8:
    case DType::qi8:
      return compare_integers<int8_t>(a, b, out);
    case DType::i16:
      return compare_integers<int16_t>(a, b, out);
    case DType::i32:
    case DType::qi32:
      return compare_integers<int32_t>(a, b, out);
    case DType::i64:
      return compare_integers<int64_t>(a, b, out);
    case DType::f16:
      return compare_floats<Half>(a, b, 2, tolerance, out);
    case DType::bf16:
      return compare_floats<BFloat16>(a, b, 2, tolerance, out);
    case DType::f32:
      return compare_floats<Plain<float>>(a, b, 4, tolerance, out);
    case DType::f64:
      return compare_floats<Plain<double>>(a, b, 8, tolerance, out);
    case DType::f8_e4m3fn:
      return compare_floats<Float8E4M3>(a, b, 1, tolerance, out);
    case DType::f8_e5m2:
      return compare_floats<Float8E5M2>(a, b, 1, tolerance, out);
    case DType::undefined:
    case DType::c32:
    case DType::c64:
    case DType::c128:
    case DType::string:
      out.reason = "its dtype has no numbers";
      return;
  }
}

int64_t element_count(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

std::string shape_text(const std::vector<int64_t>& dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

Difference failure(const std::string& name, std::string reason) {
  Difference out;
  out.name = name;
  out.reason = std::move(reason);
  return out;
}

std::string kind_text(const HostValue& value) {
  return value.is_sequence ? fmt::format("a sequence of {}", value.tensors.size())
                           : std::string("a tensor");
}

}  // namespace

Tolerance tolerance_for(DType dtype, const Tolerance& wanted) {
  // About eight units in the last place, relative to values of magnitude one.
  double least = 0;
  if (dtype == DType::f16) least = 8e-3;
  if (dtype == DType::bf16) least = 6e-2;
  if (dtype == DType::f8_e4m3fn || dtype == DType::f8_e5m2) least = 0.25;
  return {.rtol = std::max(wanted.rtol, least), .atol = std::max(wanted.atol, least)};
}

Difference compare(const HostTensor& expected, const HostTensor& found,
                   const Tolerance& tolerance) {
  Difference out;
  out.name = expected.name;
  out.dtype = expected.dtype;
  out.dims = expected.dims;
  out.elements = element_count(expected.dims);
  if (expected.dtype != found.dtype) {
    out.reason =
        fmt::format("dtype: expected {}, found {}", name(expected.dtype), name(found.dtype));
    return out;
  }
  if (expected.dims != found.dims) {
    out.reason = fmt::format("shape: expected {}, found {}", shape_text(expected.dims),
                             shape_text(found.dims));
    return out;
  }
  const size_t bytes = static_cast<size_t>(out.elements) * byte_size(out.dtype);
  if (expected.bytes.size() != bytes || found.bytes.size() != bytes) {
    out.reason = fmt::format("size: {} bytes by dtype and shape, expected has {}, found has {}",
                             bytes, expected.bytes.size(), found.bytes.size());
    return out;
  }
  compare_elements(expected.bytes.data(), found.bytes.data(), tolerance_for(out.dtype, tolerance),
                   out);
  if (out.mismatched > 0)
    out.reason = fmt::format("values: {} of {} elements differ", out.mismatched, out.elements);
  out.matches = out.reason.empty();
  return out;
}

std::vector<Difference> compare(const std::vector<HostValue>& expected,
                                const std::vector<HostValue>& found, const Tolerance& tolerance) {
  std::vector<Difference> out;
  const size_t common = std::min(expected.size(), found.size());
  for (size_t i = 0; i < common; ++i) {
    const HostValue& a = expected[i];
    const HostValue& b = found[i];
    if (a.is_sequence != b.is_sequence || a.tensors.size() != b.tensors.size()) {
      out.push_back(
          failure(a.name, fmt::format("kind: expected {}, found {}", kind_text(a), kind_text(b))));
      continue;
    }
    for (size_t k = 0; k < a.tensors.size(); ++k) {
      out.push_back(compare(a.tensors[k], b.tensors[k], tolerance));
      out.back().name = a.is_sequence ? fmt::format("{}[{}]", a.name, k) : a.name;
    }
  }
  for (size_t i = common; i < expected.size(); ++i)
    out.push_back(failure(expected[i].name, "missing: expected, but not computed"));
  for (size_t i = common; i < found.size(); ++i)
    out.push_back(failure(found[i].name, "surplus: computed, but not expected"));
  return out;
}

bool all_match(const std::vector<Difference>& differences) {
  return std::all_of(differences.begin(), differences.end(),
                     [](const Difference& d) { return d.matches; });
}

std::string describe(const Difference& d) {
  if (d.dtype == DType::undefined) return fmt::format("{}: {}", d.name, d.reason);
  std::string text = fmt::format("{}: {} {}, max abs {:.3g}, max rel {:.3g}", d.name, name(d.dtype),
                                 shape_text(d.dims), d.max_abs, d.max_rel);
  if (!d.matches) text += "; " + d.reason;
  if (!d.allowed.empty()) text += "; allowed: " + d.allowed;
  return text;
}

}  // namespace modelexport::analysis
