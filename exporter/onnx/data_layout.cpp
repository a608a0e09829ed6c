#include "exporter/onnx/data_layout.h"

#include <algorithm>

namespace modelexport::onnx {
namespace {

constexpr uint64_t kAlignment = 4096;

}  // namespace

std::vector<DataLayout::Region> DataLayout::add(std::span<const Extent> extents) {
  // Sorted by storage and begin, overlapping ones follow each other and become one.
  std::vector<Extent> merged;
  for (const Extent& extent : extents) {
    if (!find(extent)) merged.push_back(extent);
  }
  std::sort(merged.begin(), merged.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.storage, a.begin) < std::tie(b.storage, b.begin);
  });
  size_t count = 0;
  for (const Extent& extent : merged) {
    Extent* last = count > 0 ? &merged[count - 1] : nullptr;
    if (last && last->storage == extent.storage && extent.begin < last->end) {
      last->end = std::max(last->end, extent.end);
    } else {
      merged[count++] = extent;
    }
  }
  merged.resize(count);

  std::vector<Region> added;
  for (const Extent& extent : extents) {
    if (find(extent)) continue;
    auto after = std::upper_bound(
        merged.begin(), merged.end(), extent, [](const Extent& a, const Extent& b) {
          return std::tie(a.storage, a.begin) < std::tie(b.storage, b.begin);
        });
    const Extent& whole = *std::prev(after);
    added.push_back({whole, allocate(whole.end - whole.begin)});
    regions_[whole.storage].insert_or_assign(whole.begin, added.back());
  }
  return added;
}

std::optional<uint64_t> DataLayout::find(const Extent& extent) const {
  const auto storage = regions_.find(extent.storage);
  if (storage == regions_.end()) return std::nullopt;
  auto after = storage->second.upper_bound(extent.begin);
  if (after == storage->second.begin()) return std::nullopt;
  const Region& region = std::prev(after)->second;
  if (extent.end > region.extent.end) return std::nullopt;
  return region.offset + (extent.begin - region.extent.begin);
}

uint64_t DataLayout::allocate(uint64_t bytes) {
  const uint64_t offset = (end_ + kAlignment - 1) / kAlignment * kAlignment;
  end_ = offset + bytes;
  return offset;
}

}  // namespace modelexport::onnx
