#include "exporter/onnx/pending_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <vector>

#include "exporter/error.h"
#include "exporter/onnx/file_data.h"

namespace modelexport::onnx {
namespace {

// The temporary names, where a signal handler can reach them without locks or allocation.
// The owner is a process, so that a forked child leaves its parent's files alone.
struct Slot {
  std::atomic<pid_t> owner = 0;  // 0: free; -1: being filled in
  char path[PATH_MAX];
};
std::array<Slot, 64> slots;

int enter(const std::string& path) {
  for (size_t i = 0; i < slots.size(); ++i) {
    pid_t expected = 0;
    if (!slots[i].owner.compare_exchange_strong(expected, -1)) continue;
    std::memcpy(slots[i].path, path.c_str(), path.size() + 1);
    slots[i].owner = getpid();
    return static_cast<int>(i);
  }
  throw Error(ErrorKind::internal, "too many output files are being written at once");
}

void leave(int slot) { slots[slot].owner = 0; }

std::string temporary_name(const std::string& path) {
  static std::atomic<int> counter = 0;
  const std::filesystem::path target(path);
  // Cut, because the file's own name may already be as long as the file system allows.
  const std::string name =
      fmt::format(".{:.200}.{}-{}.tmp", target.filename().native(), getpid(), counter++);
  return (target.parent_path() / name).native();
}

const char* advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "; free some space there, or write somewhere else";
    case ENOENT:
      return "; create the folder first";
    default:
      return "; write somewhere else";
  }
}

bool kernel_cannot_copy(int error) {
  return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP ||
         error == EPERM || error == EBADF || error == ETXTBSY;
}

// Beyond the end of the file, nothing is read.
void read_at(int fd, uint64_t offset, std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t got = pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::fill(to.begin(), to.end(), std::byte{});
    to = to.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

void on_signal(int signal_number) {
  remove_pending_files();
  std::signal(signal_number, SIG_DFL);
  raise(signal_number);
}

}  // namespace

PendingFile::PendingFile(std::string path) : path_(std::move(path)) {
  struct stat status;
  if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    fail(S_ISDIR(status.st_mode) ? EISDIR : EEXIST);  // renaming would replace a device or a pipe
  }
  temporary_ = temporary_name(path_);
  if (temporary_.size() >= PATH_MAX) fail(ENAMETOOLONG);
  slot_ = enter(temporary_);
  fd_ = open(temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    const int error = errno;
    leave(slot_);
    fail(error);
  }
}

PendingFile::~PendingFile() {
  if (fd_ >= 0) close(fd_);
  if (slot_ < 0) return;
  unlink(temporary_.c_str());
  leave(slot_);
}

void PendingFile::fail(int error) const {
  const char* cause = error == EEXIST ? "it exists and is not a regular file" : strerror(error);
  throw Error(ErrorKind::unwritable,
              fmt::format("cannot write {}: {}{}", path_, cause, advice(error)));
}

void PendingFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
    size_ = std::max(size_, offset);
  }
}

void PendingFile::append(std::string_view bytes) {
  write_at(size_, std::as_bytes(std::span(bytes)));
}

void PendingFile::copy_at(uint64_t offset, int source_fd, uint64_t source_offset,
                          std::span<const std::byte> bytes) {
  off_t from = static_cast<off_t>(source_offset);
  off_t to = static_cast<off_t>(offset);
  while (source_fd >= 0 && !bytes.empty()) {
    const auto begin = static_cast<uint64_t>(from);
    const FileRange data = first_data(source_fd, {begin, begin + bytes.size()});
    const uint64_t hole = data.begin - begin;  // becomes one here too
    from += static_cast<off_t>(hole);
    to += static_cast<off_t>(hole);
    bytes = bytes.subspan(hole);
    size_ = std::max(size_, static_cast<uint64_t>(to));
    if (bytes.empty()) return;
    const ssize_t copied = copy_file_range(source_fd, &from, fd_, &to, data.size(), 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && !kernel_cannot_copy(errno)) fail(errno);
    if (copied <= 0) break;  // the rest from memory
    bytes = bytes.subspan(static_cast<size_t>(copied));
    size_ = std::max(size_, static_cast<uint64_t>(to));
  }
  write_at(static_cast<uint64_t>(to), bytes);
}

void PendingFile::check_at(uint64_t offset, int source_fd, uint64_t source_offset,
                           std::span<const std::byte> bytes) const {
  constexpr size_t kPiece = size_t{128} << 10;  // two of them stay in the processor's cache
  std::vector<std::byte> expected(kPiece), found(kPiece);
  size_t at = 0, until = source_fd < 0 ? bytes.size() : 0;
  while (at < bytes.size()) {
    if (at == until) {  // where both files have a hole, both read as zeros
      const FileRange here = first_data(fd_, {offset + at, offset + bytes.size()});
      const FileRange there =
          first_data(source_fd, {source_offset + at, source_offset + bytes.size()});
      const bool here_first = here.begin - offset <= there.begin - source_offset;
      at = here_first ? here.begin - offset : there.begin - source_offset;
      until = here_first ? here.end - offset : there.end - source_offset;
      continue;
    }
    const auto piece = bytes.subspan(at, std::min(kPiece, until - at));
    const std::byte* wanted = piece.data();
    if (source_fd >= 0) {
      read_at(source_fd, source_offset + at, std::span(expected).first(piece.size()));
      wanted = expected.data();
    }
    read_at(fd_, offset + at, std::span(found).first(piece.size()));
    if (std::memcmp(wanted, found.data(), piece.size()) != 0) {
      throw Error(
          ErrorKind::unwritable,
          fmt::format("{}: what is read back at {} is not what was written; is the disk all "
                      "right?",
                      path_, offset + at));
    }
    at += piece.size();
  }
}

void PendingFile::commit() {
  // It may end in a hole.
  if (ftruncate(fd_, static_cast<off_t>(size_)) != 0) fail(errno);
  // Some file systems report a failed write only here.
  const int closed = close(fd_);
  fd_ = -1;
  if (closed != 0) fail(errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno);
  leave(slot_);
  slot_ = -1;
}

void write_file(const std::string& path, std::string_view contents) {
  PendingFile file(path);
  file.append(contents);
  file.commit();
}

void remove_pending_files() noexcept {
  const pid_t self = getpid();
  for (Slot& slot : slots) {
    if (slot.owner == self) unlink(slot.path);
  }
}

void remove_pending_files_on_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before;
    sigaction(signal_number, nullptr, &before);
    // nohup and background shells ignore some of them: that stays so.
    if (before.sa_handler != SIG_IGN) sigaction(signal_number, &action, nullptr);
  }
}

}  // namespace modelexport::onnx
