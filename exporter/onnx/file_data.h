// Where in a file there is data. What lies between is a hole: it reads as zeros, takes no room, and
// need not be read or copied.
#pragma once

#include <cstdint>

namespace modelexport::onnx {

struct FileRange {
  uint64_t begin = 0, end = 0;
  uint64_t size() const { return end - begin; }
};

// The first part with data within `range`; an empty one at its end if there is none. All of `range`
// for file systems that cannot tell.
FileRange first_data(int fd, FileRange range);

}  // namespace modelexport::onnx
