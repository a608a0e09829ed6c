#include "analysis/content_hash.h"

#include <algorithm>
#include <cstring>

namespace modelexport::analysis {
namespace {

// Both halves of the product: each bit of either number reaches the whole result.
uint64_t multiply_fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr std::array<uint64_t, 4> kSecret = {0xa0761d6478bd642f, 0xe7037ed1a0b428db,
                                             0x8ebc6af09c88c6e3, 0x589965cc75374cc3};

}  // namespace

void ContentHash::mix(const std::byte* block) {
  for (size_t i = 0; i < 4; ++i) {
    uint64_t word;
    std::memcpy(&word, block + 8 * i, 8);
    lanes_[i] = multiply_fold(lanes_[i] ^ word, kSecret[i]) + word;
  }
}

void ContentHash::update(std::span<const std::byte> bytes) {
  const size_t held = length_ % kBlock;
  length_ += bytes.size();
  if (held > 0) {
    const size_t taken = std::min(kBlock - held, bytes.size());
    std::copy_n(bytes.begin(), taken, pending_.begin() + held);
    bytes = bytes.subspan(taken);
    if (held + taken < kBlock) return;
    mix(pending_.data());
  }
  for (; bytes.size() >= kBlock; bytes = bytes.subspan(kBlock)) mix(bytes.data());
  std::copy(bytes.begin(), bytes.end(), pending_.begin());
}

ContentDigest ContentHash::digest() const {
  ContentHash last = *this;
  const size_t held = length_ % kBlock;
  std::fill(last.pending_.begin() + held, last.pending_.end(), std::byte{0});
  last.mix(last.pending_.data());
  const auto& lane = last.lanes_;
  const uint64_t low = multiply_fold(lane[0] ^ kSecret[1], lane[1] ^ length_);
  const uint64_t high = multiply_fold(lane[2] ^ kSecret[3], lane[3] ^ low);
  return {multiply_fold(low ^ kSecret[2], high ^ kSecret[0]),
          multiply_fold(high ^ length_, low ^ kSecret[3])};
}

}  // namespace modelexport::analysis
