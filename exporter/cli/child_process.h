// Work in forked children: what one does, or how it dies, does not touch the others or the parent.
// The parent must have no threads of its own when it forks.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace modelexport::cli {

// How a child ended.
struct ChildEnd {
  std::string output;      // what it wrote
  int status = 0;          // as waitpid has it
  bool timed_out = false;  // and was stopped
  double seconds = 0;
  double memory_peak_mb = 0;
};

class ChildPool {
 public:
  ~ChildPool();  // stops those that still run

  // Forks; `work` returns what the parent is to get. Standard output of the child goes to standard
  // error.
  void start(size_t id, const std::function<std::string()>& work);
  size_t running() const { return children_.size(); }

  // Waits for one to end. A child that takes longer than `timeout` seconds (0: no limit) is
  // stopped: first asked, so that it can remove its unfinished files, then killed.
  std::pair<size_t, ChildEnd> wait(double timeout);

 private:
  struct Child {
    size_t id;
    int pipe;
    double begin;
    double asked_to_stop = 0;  // when; 0: not
    std::string output;
  };

  std::map<pid_t, Child> children_;
};

// Runs a program to its end: its standard output, status, time and peak memory (with its own
// children's).
ChildEnd run_program(const std::vector<std::string>& command);

// "signal 11 (Segmentation fault)", "exit code 3".
std::string describe_status(int status);

}  // namespace modelexport::cli
