#include "exporter/archive_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <stdexcept>

#include "exporter/crc32.h"
#include "exporter/error.h"
#include "exporter/onnx/file_data.h"

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
  uint32_t crc = 0;
  std::vector<std::byte> buffer(kChunk);
  const uint64_t end = record.offset + record.size;
  uint64_t at = record.offset;
  while (at < end && !stop.stop_requested()) {
    const onnx::FileRange data = onnx::first_data(file_.descriptor, {at, end});
    crc = crc32_of_zeros(crc, data.begin - at);
    for (at = data.begin; at < data.end && !stop.stop_requested();) {
      const size_t size = std::min<uint64_t>(data.end - at, kChunk);
      const ssize_t got = pread(file_.descriptor, buffer.data(), size, static_cast<off_t>(at));
      if (got <= 0) fail_checksum(record);
      crc = crc32(crc, std::span(buffer).first(static_cast<size_t>(got)));
      at += static_cast<uint64_t>(got);
    }
  }
  if (!stop.stop_requested() && crc != record.crc) fail_checksum(record);
}

void ArchiveCheck::fail_checksum(const frontend::ZipRecord& record) const {
  fail(fmt::format("the checksum of '{}' in it is wrong", record.name));
}

void ArchiveCheck::fail(const std::string& what) const {
  throw Error(ErrorKind::unreadable,
              fmt::format("{}: damaged: {}; copy or save it again", path_, what));
}

}  // namespace modelexport
