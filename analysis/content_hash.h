// A 128-bit digest of bytes, for telling tensors apart by content at the speed of memory: two
// tensors with the same digest are taken for equal. Not cryptographic. It does not depend on the
// pieces in which the bytes come.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

namespace modelexport::analysis {

using ContentDigest = std::array<uint64_t, 2>;

class ContentHash {
 public:
  void update(std::span<const std::byte> bytes);
  ContentDigest digest() const;

 private:
  static constexpr size_t kBlock = 32;
  void mix(const std::byte* block);

  std::array<uint64_t, 4> lanes_ = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9,
                                    0x27d4eb2f165667c5};
  std::array<std::byte, kBlock> pending_{};
  uint64_t length_ = 0;
};

}  // namespace modelexport::analysis
