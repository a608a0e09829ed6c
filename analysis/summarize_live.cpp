// summarize() of an ONNX file beside the live module that it was made from: the operators are the
// file's, the modules and parameters the module's own, with those that never ran.
#include <unordered_map>

#include "analysis/model_summary.h"

namespace modelexport::analysis {

ModelSummary summarize(const onnx::ModelFile& file, const Program& live,
                       const tagging::Hierarchy& hierarchy) {
  ModelSummary out = summarize(file, hierarchy.options());
  std::unordered_map<std::string, ModuleId> modules;
  for (ModuleId id = 0; id < live.modules.size(); ++id) modules[live.modules[id].path] = id;
  std::unordered_map<std::string, TensorId> tensors;
  for (TensorId id = 0; id < live.tensors.size(); ++id) {
    if (live.tensors[id].role == Role::constant) continue;
    tensors[live.tensors[id].name] = id;
    for (const std::string& alias : live.tensors[id].aliases) tensors[alias] = id;
  }
  for (ModelNode& node : out.nodes) {
    const auto module = modules.find(out.tree.modules[node.module].path);
    node.module = module == modules.end() ? 0 : module->second;
    std::vector<TensorId> weights;
    for (TensorId id : node.weights)
      if (const auto at = tensors.find(out.tree.tensors[id].name); at != tensors.end())
        weights.push_back(at->second);
    node.weights = std::move(weights);
  }
  out.tags.assign(live.modules.size(), "");
  for (const tagging::Level& level : hierarchy.levels())
    if (level.module != kNone && out.tags[level.module].empty()) out.tags[level.module] = level.tag;
  out.sharing = analyze_sharing(live, hierarchy);
  out.tree.class_name = live.class_name;
  out.tree.modules = live.modules;
  out.tree.tensors = live.tensors;
  out.tree.storages = live.storages;
  out.tree.owners.insert(out.tree.owners.end(), live.owners.begin(), live.owners.end());
  return out;
}

}  // namespace modelexport::analysis
