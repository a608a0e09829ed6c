// The checksum of zip archives, at memory speed where the processor multiplies without carry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelexport {

// Of what `crc` is the checksum of (0: nothing yet) followed by `bytes`.
uint32_t crc32(uint32_t crc, std::span<const std::byte> bytes);

// The same followed by `count` zeros, without looking at any.
uint32_t crc32_of_zeros(uint32_t crc, uint64_t count);

}  // namespace modelexport
