#include "exporter/archive_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
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

ArchiveCheck::File::~File() {
  if (descriptor >= 0) close(descriptor);
}

ArchiveCheck::ArchiveCheck(const std::string& path, bool with_weights) : path_(path) {
  file_.descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file_.descriptor < 0 || fstat(file_.descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    return;
  const auto read = [this](uint64_t offset, uint64_t size) {
    return read_at(file_.descriptor, offset, size);
  };
  std::vector<frontend::ZipRecord> records;
  try {
    records = frontend::read_zip_directory(read, static_cast<uint64_t>(status.st_size));
  } catch (const std::out_of_range&) {
    return;
  }
  std::vector<frontend::ZipRecord> weights;
  for (frontend::ZipRecord& record : records) {
    if (is_weight(record.name)) {
      weights.push_back(std::move(record));
      continue;
    }
    try {
      frontend::read_record(read, record);
    } catch (const std::out_of_range& error) {
      fail(error.what());
    }
  }
  if (!with_weights) return;
  thread_ = std::jthread([this, weights = std::move(weights)](std::stop_token stop) {
    try {
      for (const frontend::ZipRecord& record : weights) check_weight(record, stop);
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
}

void ArchiveCheck::finish() {
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(failure_);
}

void ArchiveCheck::check_weight(const frontend::ZipRecord& record, std::stop_token stop) const {
  // torch.jit.save stores weights as they are.
  if (record.method != 0) return;
  uLong crc = 0;
  uint64_t left = record.size;
  for (uint64_t offset = record.offset; left > 0 && !stop.stop_requested();) {
    const std::string bytes = read_at(file_.descriptor, offset, std::min<uint64_t>(left, kChunk));
    if (bytes.empty()) break;
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    offset += bytes.size();
    left -= bytes.size();
  }
  if (stop.stop_requested() || (left == 0 && crc == record.crc)) return;
  fail(fmt::format("the checksum of '{}' in it is wrong", record.name));
}

void ArchiveCheck::fail(const std::string& what) const {
  throw Error(ErrorKind::unreadable,
              fmt::format("{}: damaged: {}; copy or save it again", path_, what));
}

}  // namespace modelexport
