// LibTorch's part of the runner, and its only file with torch headers: compiles a case's source,
// and saves modules and examples as a user would.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "exporter/program/host_tensor.h"
#include "tests/ops/case.h"

namespace modelexport::ops_test {

// To be called once, first: oneDNN's LSTM of LibTorch 2.13 writes beyond the end of its outputs
// when the hidden size is no multiple of its vectors', which cases are; without oneDNN, LibTorch
// has kernels of its own.
void switch_off_onednn();

// A TorchScript checkpoint of the case's module. LibTorch's errors come as they are.
void save_module(const Case& one, uint64_t seed, const std::string& path);

// A file for --inputs: the tuple of forward's arguments. `values` as make_inputs() gives them.
void save_example(const Case& one, const std::vector<HostValue>& values, const std::string& path);

// "aten::add.Tensor" of every operator that LibTorch has registered.
std::set<std::string> registered_operators();

}  // namespace modelexport::ops_test
