// Numeric comparison of what LibTorch computed (expected) with what ONNX Runtime computed (found).
//
//   for (const Difference& d : compare(module.run(inputs), session.run(inputs), {}))
//     fmt::print("{}\n", describe(d));
//
// An element matches if |found - expected| <= atol + rtol * |expected|, if both are the same
// infinity, or if both are NaN. Integers and bools match if equal. Nothing here throws: other
// names, dtypes, shapes or lengths are differences like any other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exporter/program/host_tensor.h"

namespace modelexport::analysis {

// For float32 and wider. Narrower types have at least the tolerance of their own precision (see
// tolerance_for), since their last bits depend on the order of summation.
struct Tolerance {
  double rtol = 1e-3;
  double atol = 1e-4;
};
Tolerance tolerance_for(DType dtype, const Tolerance& wanted);

// One tensor of one output. `max_*` are over the elements that are finite in both; a relative
// difference is to |expected|, and counts only where that is above atol.
struct Difference {
  std::string name;  // "logits"; of a sequence's element: "present[3]"
  bool matches = false;
  std::string reason;  // why it does not match: "shape: expected [2, 3], found [2, 4]"; else empty
  DType dtype = DType::undefined;
  std::vector<int64_t> dims;
  int64_t elements = 0;
  int64_t mismatched = 0;  // elements that do not match
  double max_abs = 0;
  double max_rel = 0;
  std::string allowed;  // what was allowed beyond the tolerance, and why; empty: nothing
};

Difference compare(const HostTensor& expected, const HostTensor& found, const Tolerance& tolerance);

// By position; names are those of `expected`. One entry per tensor, more for missing ones.
std::vector<Difference> compare(const std::vector<HostValue>& expected,
                                const std::vector<HostValue>& found, const Tolerance& tolerance);

bool all_match(const std::vector<Difference>& differences);

// "logits: float32 [2, 16, 30522], max abs 1.2e-06, max rel 3.4e-05", with the reason if it fails.
std::string describe(const Difference& difference);

}  // namespace modelexport::analysis
