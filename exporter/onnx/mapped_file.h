// A file's bytes, mapped, not read. Errors (Error): unreadable, naming the file and the cause.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace modelexport::onnx {

class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace modelexport::onnx
