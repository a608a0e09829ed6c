#include "exporter/onnx/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "exporter/error.h"

namespace modelexport::onnx {

MappedFile::MappedFile(const std::string& path) {
  const auto fail = [&](const char* cause) {
    throw Error(ErrorKind::unreadable, fmt::format("cannot read {}: {}", path, cause));
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(strerror(errno));
  struct stat status;
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  void* data = nullptr;
  if (regular && status.st_size > 0) {
    data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int error = errno;
  close(fd);
  if (!regular) fail("it is not a regular file");
  if (data == MAP_FAILED) fail(strerror(error));
  if (data) bytes_ = {static_cast<const std::byte*>(data), static_cast<size_t>(status.st_size)};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace modelexport::onnx
