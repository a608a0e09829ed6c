#include "exporter/archive_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <stdexcept>

#include "exporter/error.h"

namespace modelexport {
namespace {

constexpr size_t kChunk = 1 << 18;  // stays in the cache

std::string read_at(int file, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t n = pread(file, bytes.data() + got, size - got, static_cast<off_t>(offset + got));
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

// NAME/data/0, NAME/constants/0: the bytes of tensors.
bool is_weight(const std::string& record) {
  const size_t slash = record.rfind('/');
  if (slash == std::string::npos) return false;
  const std::string folder = record.substr(0, slash);
  return folder.ends_with("/data") || folder.ends_with("/constants");
}

}  // namespace

ArchiveCheck::ArchiveCheck(const std::string& path, bool with_weights) : path_(path) {
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file_ < 0 || fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) return;
  std::vector<frontend::ZipRecord> weights;
  try {
    const auto read = [this](uint64_t offset, uint64_t size) {
      return read_at(file_, offset, size);
    };
    for (auto& record : frontend::read_zip_directory(read, static_cast<uint64_t>(status.st_size))) {
      if (is_weight(record.name)) {
        weights.push_back(std::move(record));
      } else {
        check(record, {});
      }
    }
  } catch (const std::out_of_range&) {
    return;
  }
  if (!with_weights) return;
  thread_ = std::jthread([this, weights = std::move(weights)](std::stop_token stop) {
    try {
      for (const frontend::ZipRecord& record : weights) check(record, stop);
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
}

ArchiveCheck::~ArchiveCheck() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  if (file_ >= 0) close(file_);
}

void ArchiveCheck::finish() {
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(failure_);
}

void ArchiveCheck::check(const frontend::ZipRecord& record, std::stop_token stop) const {
  // Checkpoints hold stored records only; a writer may leave checksums out.
  if (record.method != 0 || record.crc == 0) return;
  uLong crc = 0;
  uint64_t left = record.size;
  for (uint64_t offset = record.offset; left > 0 && !stop.stop_requested();) {
    const std::string bytes = read_at(file_, offset, std::min<uint64_t>(left, kChunk));
    if (bytes.empty()) break;
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    offset += bytes.size();
    left -= bytes.size();
  }
  if (stop.stop_requested() || (left == 0 && crc == record.crc)) return;
  throw Error(ErrorKind::unreadable,
              fmt::format("{}: damaged: the checksum of '{}' in it is wrong; copy or save it again",
                          path_, record.name));
}

}  // namespace modelexport
