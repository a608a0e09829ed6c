// What the numbers of a module that quantises may differ by. Where a real number lies in the middle
// between two steps of a scale, LibTorch and ONNX Runtime may take different ones.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "analysis/numeric.h"
#include "exporter/program/host_tensor.h"
#include "exporter/program/program.h"

namespace modelexport {

class QuantizationSteps {
 public:
  // `program` must outlive this.
  explicit QuantizationSteps(const Program& program) : program_(program) { visit(program.body); }

  // If the program quantises and they do not match: compares the two again, and allows one step. Of
  // a float that is of the scale that `value` was dequantised by, or else that of 7 bits for the
  // range of `expected`; of what is quantised it is 1.
  void allow(analysis::Difference& difference, ValueId value, const HostTensor& expected,
             const HostTensor& found) const;

  // Of all values that are known: allows those that are quantised one step more than what they were
  // computed from is off by already.
  void allow_more(std::map<ValueId, analysis::Difference>& differences) const;

 private:
  struct Step {
    double size = 0;  // 0: none
    std::string reason;
  };
  Step of(ValueId value, const HostTensor& expected) const;
  using Inherited = std::unordered_map<ValueId, double>;
  double steps_before(ValueId value, const std::map<ValueId, analysis::Difference>& differences,
                      Inherited& inherited) const;
  void visit(const Block& block);

  const Program& program_;
  bool quantizes_ = false;
  std::unordered_set<ValueId> integers_;  // quantised
  std::unordered_map<ValueId, std::vector<ValueId>> operands_;
  std::unordered_map<ValueId, double> scales_;  // of what is dequantised by a known one
};

}  // namespace modelexport
