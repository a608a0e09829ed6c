// Zip archives: what is in them, where, and with which checksum. No torch in here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace modelexport::frontend {

struct ZipRecord {
  std::string name;
  int method = 0;       // 0: stored, 8: deflated
  uint32_t crc = 0;     // of the contents
  uint64_t stored = 0;  // bytes in the archive
  uint64_t size = 0;    // bytes of the contents
  uint64_t offset = 0;  // of the stored bytes
};

// Returns `size` bytes from `offset`, fewer if the archive ends there.
using ReadBytes = std::function<std::string(uint64_t offset, uint64_t size)>;

// In the order of the directory. Throws std::out_of_range, with a phrase, if it is damaged.
std::vector<ZipRecord> read_zip_directory(const ReadBytes& read, uint64_t archive_size);

// The contents of a record, inflated if need be, and compared with the checksum. Throws
// std::out_of_range, with a phrase, if they are damaged.
std::string read_record(const ReadBytes& read, const ZipRecord& record);

}  // namespace modelexport::frontend
