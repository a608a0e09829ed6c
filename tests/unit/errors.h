// The message of the error that a call throws, whose kind is checked.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "exporter/error.h"

namespace modelexport::test {

inline std::string message(ErrorKind kind, const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

}  // namespace modelexport::test
