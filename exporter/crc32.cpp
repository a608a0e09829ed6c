#include "exporter/crc32.h"

#include <zlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace modelexport {
namespace {

uint32_t with_zlib(uint32_t crc, std::span<const std::byte> bytes) {
  if (bytes.empty()) return crc;  // zlib begins anew where there is no address
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  return static_cast<uint32_t>(crc32_z(crc, data, bytes.size()));
}

#if defined(__x86_64__)

constexpr size_t kBlock = 64;

// Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction": four
// remainders of 128 bits are folded over each block of 64 bytes, then into one of 32 bits. The
// constants are powers of x modulo the polynomial, bits reversed. `bytes`: one block or more.
__attribute__((target("pclmul,sse4.1"))) uint32_t with_pclmul(uint32_t crc,
                                                              std::span<const std::byte> bytes) {
  const auto* at = reinterpret_cast<const __m128i*>(bytes.data());
  const __m128i* end = at + bytes.size() / kBlock * 4;
  const auto fold =
      [](__m128i x, __m128i by, __m128i next) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_xor_si128(
        _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
  };
  __m128i x[4];
  for (int i = 0; i < 4; ++i) x[i] = _mm_loadu_si128(at++);
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(~crc)));
  const __m128i by_block = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  while (at < end) {
    for (int i = 0; i < 4; ++i) x[i] = fold(x[i], by_block, _mm_loadu_si128(at++));
  }
  const __m128i by_lane = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
  for (int i = 1; i < 4; ++i) x[i] = fold(x[i - 1], by_lane, x[i]);

  // 128 bits to 64, and to 32 (Barrett's reduction).
  const __m128i low = _mm_set_epi32(0, -1, 0, -1);
  __m128i rest = _mm_xor_si128(_mm_srli_si128(x[3], 8), _mm_clmulepi64_si128(x[3], by_lane, 0x10));
  rest = _mm_xor_si128(
      _mm_srli_si128(rest, 4),
      _mm_clmulepi64_si128(_mm_and_si128(rest, low), _mm_set_epi64x(0, 0x0163cd6124), 0x00));
  const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(rest, low), polynomial, 0x10);
  quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low), polynomial, 0x00);
  return ~static_cast<uint32_t>(_mm_extract_epi32(_mm_xor_si128(rest, quotient), 1));
}

#endif

}  // namespace

uint32_t crc32(uint32_t crc, std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  if (fast && bytes.size() >= kBlock) {
    crc = with_pclmul(crc, bytes);
    bytes = bytes.last(bytes.size() % kBlock);
  }
#endif
  return with_zlib(crc, bytes);
}

uint32_t crc32_of_zeros(uint32_t crc, uint64_t count) {
  // By doubling: the checksum of 2^i zeros is that of 2^(i-1) of them twice.
  const std::byte zero{};
  uint32_t zeros = with_zlib(0, {&zero, 1});
  for (uint64_t length = 1; count > 0; count /= 2, length *= 2) {
    const auto bytes = static_cast<z_off_t>(length);
    if (count % 2 == 1) crc = static_cast<uint32_t>(crc32_combine(crc, zeros, bytes));
    zeros = static_cast<uint32_t>(crc32_combine(zeros, zeros, bytes));
  }
  return crc;
}

}  // namespace modelexport
