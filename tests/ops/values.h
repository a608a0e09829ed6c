// The contents of a case's inputs and weights: made up from seeds, the same on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exporter/program/host_tensor.h"
#include "tests/ops/case.h"

namespace modelexport::ops_test {

HostTensor make_tensor(const std::string& name, const TensorSpec& spec, size_t size_set,
                       uint64_t seed);

// All inputs, flattened and named as those of the model: "x", "xs.0", "state.key".
std::vector<HostValue> make_inputs(const Case& one, size_t size_set, uint64_t seed);

// Of the case: different cases have different values.
uint64_t seed_of(const Case& one);

}  // namespace modelexport::ops_test
