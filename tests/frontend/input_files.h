// What tests of example inputs share: modules from source, files of inputs, sizes, errors as text.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "exporter/error.h"
#include "exporter/frontend/examples.h"

namespace modelexport::frontend {

inline torch::jit::Module module_of(const std::string& source) {
  torch::jit::Module module("Test");
  module.define(source);
  return module;
}

inline std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline const c10::FunctionSchema& schema_of(const torch::jit::Module& module) {
  return module.get_method("forward").function().getSchema();
}

inline std::string write(const std::string& name, const std::vector<char>& bytes) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / name).string();
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

inline std::string save(const std::string& name, const c10::IValue& value) {
  return write(name, torch::jit::pickle_save(value));
}

using Sizes = std::vector<std::vector<int64_t>>;

inline Sizes sizes_of(const torch::jit::Module& module, const Example& example) {
  Sizes sizes;
  for (const FlatInput& input : flatten(schema_of(module), example)) {
    sizes.push_back(input.tensor.sizes().vec());
  }
  return sizes;
}

}  // namespace modelexport::frontend
