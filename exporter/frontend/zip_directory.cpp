#include "exporter/frontend/zip_directory.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace modelexport::frontend {
namespace {

constexpr uint64_t kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20, kEntrySize = 46;
constexpr uint64_t kLocalSize = 30;
constexpr uint64_t kLongestComment = 65535;

[[noreturn]] void fail() { throw std::out_of_range("its zip directory is damaged or cut short"); }

template <typename T>
T number(std::string_view bytes, size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) fail();
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

bool begins_with(std::string_view bytes, size_t offset, std::string_view signature) {
  return offset <= bytes.size() && bytes.substr(offset, signature.size()) == signature;
}

struct Directory {
  uint64_t offset, size, records;
};

Directory find_directory(const ReadBytes& read, uint64_t archive_size) {
  const uint64_t tail_size = std::min(archive_size, kLocator64Size + kEndSize + kLongestComment);
  const std::string tail = read(archive_size - tail_size, tail_size);
  const size_t end = tail.rfind("PK\x05\x06");
  if (end == std::string::npos) fail();
  Directory found{number<uint32_t>(tail, end + 16), number<uint32_t>(tail, end + 12),
                  number<uint16_t>(tail, end + 10)};
  // Archives over 4 GB have a second, wider end record.
  if (end >= kLocator64Size && begins_with(tail, end - kLocator64Size, "PK\x06\x07")) {
    const std::string wide = read(number<uint64_t>(tail, end - kLocator64Size + 8), kEnd64Size);
    if (!begins_with(wide, 0, "PK\x06\x06")) fail();
    found = {number<uint64_t>(wide, 48), number<uint64_t>(wide, 40), number<uint64_t>(wide, 32)};
  }
  if (found.offset > archive_size || found.size > archive_size - found.offset) fail();
  return found;
}

// Replaces what did not fit into 32 bits by what stands in the extra field.
void widen(ZipRecord& record, std::string_view extra) {
  for (size_t at = 0; at + 4 <= extra.size(); at += 4 + number<uint16_t>(extra, at + 2)) {
    if (number<uint16_t>(extra, at) != 1) continue;
    size_t next = at + 4;
    for (uint64_t* value : {&record.size, &record.stored, &record.offset}) {
      if (*value != UINT32_MAX) continue;
      *value = number<uint64_t>(extra, next);
      next += 8;
    }
  }
}

std::string inflated(const std::string& data, const ZipRecord& record) {
  // More than a thousand times smaller does not happen; a damaged size must not ask for all memory.
  constexpr uint64_t kBestRatio = 1032;
  if (record.size / kBestRatio > data.size()) return "";
  std::string out(record.size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return "";
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  inflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  return out;
}

}  // namespace

std::vector<ZipRecord> read_zip_directory(const ReadBytes& read, uint64_t archive_size) {
  const Directory directory = find_directory(read, archive_size);
  const std::string entries = read(directory.offset, directory.size);
  std::vector<ZipRecord> records;
  size_t at = 0;
  for (uint64_t left = directory.records; left > 0; --left) {
    if (!begins_with(entries, at, "PK\x01\x02")) fail();
    ZipRecord record;
    record.method = number<uint16_t>(entries, at + 10);
    record.crc = number<uint32_t>(entries, at + 16);
    record.stored = number<uint32_t>(entries, at + 20);
    record.size = number<uint32_t>(entries, at + 24);
    record.offset = number<uint32_t>(entries, at + 42);
    const size_t name_size = number<uint16_t>(entries, at + 28);
    const size_t extra_size = number<uint16_t>(entries, at + 30);
    const size_t comment_size = number<uint16_t>(entries, at + 32);
    if (at + kEntrySize + name_size + extra_size > entries.size()) fail();
    record.name = entries.substr(at + kEntrySize, name_size);
    widen(record, std::string_view(entries).substr(at + kEntrySize + name_size, extra_size));
    at += kEntrySize + name_size + extra_size + comment_size;

    const std::string local = read(record.offset, kLocalSize);
    if (!begins_with(local, 0, "PK\x03\x04")) fail();
    record.offset += kLocalSize + number<uint16_t>(local, 26) + number<uint16_t>(local, 28);
    if (record.offset > archive_size || record.stored > archive_size - record.offset) fail();
    records.push_back(std::move(record));
  }
  return records;
}

std::string read_record(const ReadBytes& read, const ZipRecord& record) {
  if (record.method != 0 && record.method != 8) {
    throw std::out_of_range(fmt::format("'{}' in it is compressed in an unknown way", record.name));
  }
  std::string data = read(record.offset, record.stored);
  if (record.method == 8) data = inflated(data, record);
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
  if (data.size() != record.size || crc != record.crc) {
    throw std::out_of_range(fmt::format("the checksum of '{}' in it is wrong", record.name));
  }
  return data;
}

}  // namespace modelexport::frontend
