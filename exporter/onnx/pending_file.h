// A file that appears whole or not at all: it is written under a temporary name in the folder where
// it is to stand, and renamed by commit(). Without commit() the destructor removes it, and so does
// a signal once remove_pending_files_on_signals() has been called. Errors (Error): unwritable,
// naming the file, the cause and what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace modelexport::onnx {

class PendingFile {
 public:
  explicit PendingFile(std::string path);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  // one past the last byte written so far

  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  void append(std::string_view bytes);

  // Copies bytes.size() bytes from `source_offset` of the open file `source_fd` within the kernel
  // where it can; `bytes` are the same bytes in memory, for where it cannot (or source_fd < 0).
  void copy_at(uint64_t offset, int source_fd, uint64_t source_offset,
               std::span<const std::byte> bytes);

  // Reads back what copy_at wrote, given the same arguments, and throws if it is not the same.
  void check_at(uint64_t offset, int source_fd, uint64_t source_offset,
                std::span<const std::byte> bytes) const;

  void commit();

 private:
  [[noreturn]] void fail(int error) const;

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
  int slot_ = -1;
  uint64_t size_ = 0;
};

// Writes one whole file.
void write_file(const std::string& path, std::string_view contents);

// Removes what this process has pending. Async-signal-safe.
void remove_pending_files() noexcept;

// On SIGINT, SIGTERM and SIGHUP: remove_pending_files(), then what the signal does by default.
void remove_pending_files_on_signals();

}  // namespace modelexport::onnx
