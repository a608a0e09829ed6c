#include "exporter/cli/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "exporter/error.h"

namespace modelexport::cli {
namespace {

constexpr double kGrace = 2;  // seconds between asking and killing

double now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorKind::internal, fmt::format("{}: {}", what, std::strerror(errno)));
}

struct Pipe {
  int read = -1, write = -1;
};

Pipe open_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
  return {ends[0], ends[1]};
}

void write_all(int fd, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(fd, text.data() + at, text.size() - at);
    if (written < 0 && errno != EINTR) return;  // the parent is gone
    if (written > 0) at += static_cast<size_t>(written);
  }
}

// Appends what can be read; false at the end.
bool read_some(int fd, std::string& text) {
  char buffer[1 << 16];
  const ssize_t got = read(fd, buffer, sizeof(buffer));
  if (got > 0) text.append(buffer, static_cast<size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

ChildEnd reap(pid_t pid, double begin) {
  ChildEnd end;
  rusage usage{};
  while (wait4(pid, &end.status, 0, &usage) < 0) {
    if (errno != EINTR) fail("wait4");
  }
  end.seconds = now() - begin;
  end.memory_peak_mb = static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
  return end;
}

}  // namespace

ChildPool::~ChildPool() {
  for (const auto& [pid, child] : children_) kill(pid, SIGTERM);
  for (const auto& [pid, child] : children_) {
    close(child.pipe);
    waitpid(pid, nullptr, 0);
  }
}

void ChildPool::start(size_t id, const std::function<std::string()>& work) {
  const Pipe pipe = open_pipe();
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    close(pipe.read);
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // do not outlive the parent
    dup2(STDERR_FILENO, STDOUT_FILENO);
    write_all(pipe.write, work());
    std::fflush(nullptr);
    _exit(0);  // destructors and exit handlers are the parent's
  }
  close(pipe.write);
  children_.emplace(pid, Child{id, pipe.read, now(), 0, {}});
}

std::pair<size_t, ChildEnd> ChildPool::wait(double timeout) {
  for (;;) {
    std::vector<pollfd> fds;
    std::vector<pid_t> pids;
    double wake = std::numeric_limits<double>::infinity();
    for (auto& [pid, child] : children_) {
      fds.push_back({child.pipe, POLLIN, 0});
      pids.push_back(pid);
      if (timeout <= 0) continue;
      if (child.asked_to_stop == 0 && now() >= child.begin + timeout) {
        kill(pid, SIGTERM);
        child.asked_to_stop = now();
      }
      if (child.asked_to_stop > 0 && now() >= child.asked_to_stop + kGrace) kill(pid, SIGKILL);
      wake = std::min(
          wake, child.asked_to_stop > 0 ? child.asked_to_stop + kGrace : child.begin + timeout);
    }
    const double seconds = std::clamp(wake - now(), 0.0, 3600.0);
    if (poll(fds.data(), fds.size(), static_cast<int>(seconds * 1000) + 1) < 0) {
      if (errno == EINTR) continue;
      fail("poll");
    }
    for (size_t i = 0; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      Child& child = children_.at(pids[i]);
      if (read_some(child.pipe, child.output)) continue;
      close(child.pipe);
      ChildEnd end = reap(pids[i], child.begin);
      end.output = std::move(child.output);
      end.timed_out = child.asked_to_stop > 0;
      const size_t id = child.id;
      children_.erase(pids[i]);
      return {id, std::move(end)};
    }
  }
}

ChildEnd run_program(const std::vector<std::string>& command) {
  const Pipe pipe = open_pipe();
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const double begin = now();
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    dup2(pipe.write, STDOUT_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipe.write);
  std::string output;
  while (read_some(pipe.read, output)) {
  }
  close(pipe.read);
  ChildEnd end = reap(pid, begin);
  end.output = std::move(output);
  return end;
}

std::string describe_status(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

}  // namespace modelexport::cli
