// The one error path. Whatever goes wrong is an Error whose kind is the exit code of the command;
// its text says what failed, where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace modelexport {

// The numeric values are the command's exit codes (see README, "Exit codes").
enum class ErrorKind {
  usage = 1,        // command line, configuration, or inputs the module does not take
  unreadable = 2,   // input file missing, damaged, or not a TorchScript checkpoint
  unsupported = 3,  // operators without a lowering
  mismatch = 4,     // validation or numbers do not hold
  unwritable = 5,   // no space, no permission
  internal = 6,     // a defect of modelexport
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace modelexport
