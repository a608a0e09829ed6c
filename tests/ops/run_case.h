// Takes a case through the whole pipeline: LibTorch compiles and traces it, the lowerings make a
// graph of it, ONNX Runtime runs that, and the numbers are compared.
//
//   Trial trial(one, folder);            // compiled and traced; throws what goes wrong
//   std::string failure = trial.at_opset(20);   // "" if all is as the case expects
#pragma once

#include <memory>
#include <set>
#include <string>

#include "tests/ops/case.h"

namespace modelexport::ops_test {

class Trial {
 public:
  // Files go to `folder`, which must outlive this.
  Trial(const Case& one, std::string folder);
  ~Trial();

  // What is not as the case expects, xfail included.
  std::string at_opset(int opset) const;

  // Keys of the operators in the traced program.
  std::set<std::string> operators() const;

 private:
  struct Traced;

  std::string failure(int opset) const;

  const Case& case_;
  std::string folder_;
  std::unique_ptr<Traced> traced_;
  std::string trace_error_;  // why there is no traced program; empty if there is one
};

}  // namespace modelexport::ops_test
