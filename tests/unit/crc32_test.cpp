#include "exporter/crc32.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <vector>

namespace modelexport {
namespace {

uint32_t by_zlib(uint32_t crc, std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

TEST(Crc32, IsZlibs) {
  std::mt19937 random(0);
  std::vector<std::byte> bytes(5000);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (size_t size = 0; size < 1000; ++size) {
    const auto part = std::span(bytes).subspan(random() % 64, size);
    const auto crc = static_cast<uint32_t>(random());
    EXPECT_EQ(crc32(crc, part), by_zlib(crc, part)) << size;
  }
  EXPECT_EQ(crc32(0, bytes), by_zlib(0, bytes));
  EXPECT_EQ(crc32(7, {}), 7U);
}

TEST(Crc32, ZerosAreNotLookedAt) {
  for (const size_t count : {0, 1, 2, 3, 4095, 100000}) {
    const std::vector<std::byte> zeros(count + 1);
    EXPECT_EQ(crc32_of_zeros(123, count), by_zlib(123, std::span(zeros).first(count))) << count;
  }
}

}  // namespace
}  // namespace modelexport
