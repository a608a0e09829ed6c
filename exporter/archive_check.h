// Is the checkpoint as it was saved? Compares the records of the zip archive with their checksums:
// code and structure at once, before anything reads them, the weights in a thread of its own while
// the export goes on. Throws Error{unreadable} naming the file and the record.
#pragma once

#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "exporter/frontend/zip_directory.h"

namespace modelexport {

class ArchiveCheck {
 public:
  // What is no zip archive at all is left to the loader, which says what it is.
  ArchiveCheck(const std::string& path, bool with_weights);
  ~ArchiveCheck();
  ArchiveCheck(const ArchiveCheck&) = delete;
  ArchiveCheck& operator=(const ArchiveCheck&) = delete;

  void finish();  // waits for the weights

 private:
  void check_weight(const frontend::ZipRecord& record, std::stop_token stop) const;
  [[noreturn]] void fail_checksum(const frontend::ZipRecord& record) const;
  [[noreturn]] void fail(const std::string& what) const;

  struct File {
    int descriptor = -1;
    ~File();
  };

  std::string path_;
  File file_;
  std::exception_ptr failure_;
  std::jthread thread_;  // last, so that it is joined before the rest is gone
};

}  // namespace modelexport
