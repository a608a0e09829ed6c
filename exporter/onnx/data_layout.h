// Where tensors lie in OUT.onnx.data: a region for each part of a storage that is in use. Tensors
// that overlap share a region; regions begin at multiples of 4096, so that they can be mapped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport::onnx {

// Bytes [begin, end) of a storage.
struct Extent {
  StorageId storage = kNone;
  uint64_t begin = 0;
  uint64_t end = 0;
};

class DataLayout {
 public:
  struct Region {
    Extent extent;
    uint64_t offset = 0;  // in the data file
  };

  // Adds regions for the extents that none has yet, in order of first appearance; returns the new
  // ones.
  std::vector<Region> add(std::span<const Extent> extents);

  // Offset of the extent's first byte; nullopt if no one region has all of it.
  std::optional<uint64_t> find(const Extent& extent) const;

  // A region for something else.
  uint64_t allocate(uint64_t bytes);

 private:
  std::unordered_map<StorageId, std::map<uint64_t, Region>> regions_;  // by storage, then by begin
  uint64_t end_ = 0;
};

}  // namespace modelexport::onnx
