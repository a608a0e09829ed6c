#include "exporter/onnx/pending_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "exporter/error.h"
#include "exporter/onnx/file_data.h"

namespace modelexport::onnx {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

// Four megabytes of which the third has data; the rest is a hole.
class Copying : public testing::Test {
 protected:
  Copying() {
    std::ofstream(source_path_).close();
    source_ = open(source_path_.c_str(), O_RDWR);
    EXPECT_EQ(ftruncate(source_, 4 * kMegabyte), 0);
    EXPECT_EQ(pwrite(source_, data_.data(), data_.size(), 2 * kMegabyte),
              static_cast<ssize_t>(data_.size()));
    std::memcpy(bytes_.data() + 2 * kMegabyte, data_.data(), data_.size());
  }
  ~Copying() override {
    close(source_);
    std::filesystem::remove(source_path_);
    std::filesystem::remove(target_path_);
  }

  std::string contents() const {
    std::ifstream file(target_path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

  std::string folder_ = testing::TempDir() + "pending_file_" + std::to_string(getpid());
  std::string source_path_ = folder_ + ".source", target_path_ = folder_ + ".target";
  std::string data_ = std::string(kMegabyte, 'x');
  std::string bytes_ = std::string(4 * kMegabyte, '\0');  // of the source
  int source_ = -1;
};

TEST_F(Copying, HolesStayHoles) {
  PendingFile file(target_path_);
  file.copy_at(4096, source_, 0, bytes());
  file.check_at(4096, source_, 0, bytes());
  file.commit();
  EXPECT_EQ(contents(), std::string(4096, '\0') + bytes_);
  struct stat status;
  ASSERT_EQ(stat(target_path_.c_str(), &status), 0);
  EXPECT_LT(static_cast<uint64_t>(status.st_blocks) * 512, 2 * kMegabyte);
}

TEST_F(Copying, FromMemory) {
  PendingFile file(target_path_);
  file.copy_at(0, -1, 0, bytes());
  file.check_at(0, -1, 0, bytes());
  file.commit();
  EXPECT_EQ(contents(), bytes_);
}

TEST_F(Copying, WhatIsReadBackIsCompared) {
  for (const uint64_t damaged : {uint64_t{100}, 2 * kMegabyte + 5, 4 * kMegabyte - 1}) {
    PendingFile file(target_path_);
    file.copy_at(0, source_, 0, bytes());
    file.write_at(damaged, std::as_bytes(std::span("?", 1)));
    for (const int source : {source_, -1}) {
      try {
        file.check_at(0, source, 0, bytes());
        ADD_FAILURE() << "not noticed: " << damaged;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::unwritable);
        const std::string what = error.what();
        EXPECT_TRUE(what.starts_with(target_path_ + ": what is read back at ")) << what;
        EXPECT_TRUE(what.ends_with(" is not what was written; is the disk all right?")) << what;
      }
    }
  }
}

TEST_F(Copying, FirstData) {
  const auto range = [&](uint64_t begin, uint64_t end) {
    const FileRange found = first_data(source_, {begin, end});
    return std::pair(found.begin, found.end);
  };
  EXPECT_EQ(range(0, 4 * kMegabyte), std::pair(2 * kMegabyte, 3 * kMegabyte));
  EXPECT_EQ(range(0, kMegabyte), std::pair(kMegabyte, kMegabyte));
  EXPECT_EQ(range(2 * kMegabyte + 1, 2 * kMegabyte + 9),
            std::pair(2 * kMegabyte + 1, 2 * kMegabyte + 9));
  EXPECT_EQ(range(3 * kMegabyte, 4 * kMegabyte), std::pair(4 * kMegabyte, 4 * kMegabyte));
}

}  // namespace
}  // namespace modelexport::onnx
