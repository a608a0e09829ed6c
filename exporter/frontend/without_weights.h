// While one of these lives, checkpoints that its thread loads have zeros in the place of weights of
// 1 MiB and more: the module runs without any of them being read, and the zeros take no memory.
//
//   const WithoutWeights scope;
//   LiveModule module("model.pt", {});
#pragma once

namespace modelexport::frontend {

class WithoutWeights {
 public:
  WithoutWeights();
  ~WithoutWeights();
  WithoutWeights(const WithoutWeights&) = delete;
  WithoutWeights& operator=(const WithoutWeights&) = delete;
};

}  // namespace modelexport::frontend
