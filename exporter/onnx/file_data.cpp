#include "exporter/onnx/file_data.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace modelexport::onnx {

FileRange first_data(int fd, FileRange range) {
  const off_t data = lseek(fd, static_cast<off_t>(range.begin), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? FileRange{range.end, range.end} : range;
  const uint64_t begin = std::min(static_cast<uint64_t>(data), range.end);
  const off_t hole = lseek(fd, data, SEEK_HOLE);
  if (hole < 0) return {begin, range.end};
  return {begin, std::clamp(static_cast<uint64_t>(hole), begin, range.end)};
}

}  // namespace modelexport::onnx
