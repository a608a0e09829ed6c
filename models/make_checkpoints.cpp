// make_checkpoints DIR: writes each checkpoint of checkpoints.h to DIR, with its inputs.
// Deterministic.
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

#include "models/checkpoints.h"

namespace modelexport::models {
namespace {

using torch::jit::Module;

at::ScalarType scalar_type(const std::string& dtype) {
  static const std::map<std::string, at::ScalarType> types = {
      {"float16", at::kHalf}, {"bfloat16", at::kBFloat16}, {"float64", at::kDouble},
      {"int8", at::kChar},    {"uint8", at::kByte},        {"int16", at::kShort},
      {"int32", at::kInt},    {"int64", at::kLong},        {"bool", at::kBool},
      {"float32", at::kFloat}};
  return types.at(dtype);
}

at::Tensor random_tensor(const std::string& dtype, const std::vector<int64_t>& sizes) {
  if (dtype == "positive") return at::rand(sizes).add(0.5);
  at::ScalarType type = scalar_type(dtype);
  if (at::isFloatingType(type)) return at::randn(sizes).to(type);
  return at::randint(0, 2, sizes).to(type);
}

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

std::pair<std::string, std::string> split_path(const std::string& path) {
  size_t dot = path.rfind('.');
  if (dot == std::string::npos) return {"", path};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

// All tensors by full name; those that share are the same object or a view of it.
std::map<std::string, at::Tensor> make_tensors(const CheckpointSpec& spec) {
  std::map<std::string, at::Tensor> tensors;
  for (const ModuleSpec& module : spec.modules) {
    for (const TensorSpec& t : module.tensors) {
      at::Tensor& tensor = tensors[join(module.path, t.name)];
      if (t.same_as.empty()) {
        tensor = random_tensor(t.dtype, t.sizes);
      } else if (t.strides.empty()) {
        tensor = tensors.at(t.same_as);
      } else {
        tensor = at::as_strided(tensors.at(t.same_as), t.sizes, t.strides, t.offset);
      }
    }
  }
  return tensors;
}

// Children are complete before their parents' code is compiled: it calls them.
Module make_module(const CheckpointSpec& spec) {
  const std::map<std::string, at::Tensor> tensors = make_tensors(spec);
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  std::map<std::string, Module> modules;
  for (auto it = spec.modules.rbegin(); it != spec.modules.rend(); ++it) {
    if (!it->same_as.empty()) continue;
    Module module("__torch__." + it->class_name, unit, /*shouldMangle=*/true);
    for (const TensorSpec& t : it->tensors) {
      const at::Tensor& tensor = tensors.at(join(it->path, t.name));
      if (t.is_parameter) {
        module.register_parameter(t.name, tensor, /*is_buffer=*/false);
      } else {
        module.register_buffer(t.name, tensor);
      }
    }
    for (const ModuleSpec& child : spec.modules) {
      auto [parent, name] = split_path(child.path);
      if (child.path.empty() || parent != it->path) continue;
      module.register_module(name, modules.at(child.same_as.empty() ? child.path : child.same_as));
    }
    if (!it->code.empty()) module.define(it->code);
    modules.emplace(it->path, module);
  }
  Module root = modules.at("");
  root.eval();
  return spec.frozen ? torch::jit::freeze(root) : root;
}

void save_inputs(const CheckpointSpec& spec, bool other, const std::filesystem::path& path) {
  c10::Dict<std::string, at::Tensor> inputs;
  for (const InputSpec& input : spec.inputs) {
    inputs.insert(input.name, random_tensor(input.dtype, other ? input.other_sizes : input.sizes));
  }
  std::vector<char> bytes = torch::jit::pickle_save(inputs);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

void make_all(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const CheckpointSpec& spec : checkpoints()) {
    at::manual_seed(0);
    make_module(spec).save((folder / (spec.name + ".pt")).string());
    save_inputs(spec, false, folder / (spec.name + ".inputs.pt"));
    save_inputs(spec, true, folder / (spec.name + ".inputs2.pt"));
    std::printf("%-18s %s\n", spec.name.c_str(), spec.what.c_str());
  }
}

}  // namespace
}  // namespace modelexport::models

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_checkpoints DIR\n");
    return 1;
  }
  try {
    modelexport::models::make_all(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_checkpoints: %s\n", error.what());
    return 1;
  }
  return 0;
}
