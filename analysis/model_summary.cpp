#include "analysis/model_summary.h"

#include <algorithm>
#include <map>

namespace modelexport::analysis {

std::vector<OperatorCount> count_operators(const ModelSummary& model) {
  std::map<std::string_view, size_t> by_name;
  for (const ModelNode& node : model.nodes) ++by_name[node.op];
  std::vector<OperatorCount> counts;
  for (const auto& [op, count] : by_name) counts.push_back({std::string(op), count});
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  return counts;
}

std::vector<int64_t> nodes_by_module(const ModelSummary& model) {
  std::vector<int64_t> counts(model.tree.modules.size(), 0);
  for (const ModelNode& node : model.nodes) ++counts[node.module];
  return counts;
}

std::vector<TensorId> own_tensors(const Module& module) {
  std::vector<TensorId> tensors = module.parameters;
  tensors.insert(tensors.end(), module.buffers.begin(), module.buffers.end());
  return tensors;
}

int64_t byte_count(const Tensor& tensor) {
  return tensor.element_count() * static_cast<int64_t>(byte_size(tensor.dtype));
}

int64_t parameter_count(const Program& tree) {
  int64_t elements = 0;
  for (const Tensor& tensor : tree.tensors)
    if (tensor.role == Role::parameter) elements += tensor.element_count();
  return elements;
}

}  // namespace modelexport::analysis
