#include "analysis/module_shapes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace modelexport::analysis {
namespace {

int intern(Interned& interned, const std::string& text) {
  return interned.try_emplace(text, static_cast<int>(interned.size())).first->second;
}

}  // namespace

ModuleShapes::ModuleShapes(const ModelSummary& model, const std::vector<ContentDigest>& digests,
                           bool only_holders, Interned& interned)
    : children(model.tree.modules.size()),
      structure(children.size(), 0),
      contents(children.size(), -1),
      size(children.size(), 1) {
  const Program& tree = model.tree;
  std::vector<char> holds(children.size(), 0);
  for (ModuleId id = children.size(); id-- > 0;) {  // children stand after their parents
    const Module& module = tree.modules[id];
    std::reverse(children[id].begin(), children[id].end());
    std::vector<std::string> tensors, values;
    for (TensorId tensor : own_tensors(module)) {
      const Tensor& view = tree.tensors[tensor];
      tensors.push_back(fmt::format("{} {} [{}]", local_name(module, view), name(view.dtype),
                                    fmt::join(view.sizes, ",")));
      if (!digests.empty())
        values.push_back(fmt::format("{:x}{:x}", digests[tensor][0], digests[tensor][1]));
    }
    std::sort(tensors.begin(), tensors.end());
    std::sort(values.begin(), values.end());
    holds[id] = holds[id] || !tensors.empty();
    std::vector<int> inner, inner_contents;
    for (ModuleId child : children[id]) {
      inner.push_back(structure[child]);
      inner_contents.push_back(contents[child]);
      size[id] += size[child];
    }
    structure[id] =
        intern(interned, fmt::format("{}|{}|{}", tagging::short_class_name(module.class_name),
                                     fmt::join(tensors, ";"), fmt::join(inner, ";")));
    if (holds[id] && !digests.empty())
      contents[id] =
          intern(interned, fmt::format("={}|{}|{}", structure[id], fmt::join(values, ";"),
                                       fmt::join(inner_contents, ";")));
    if (module.parent == kNone || (only_holders && !holds[id])) continue;
    holds[module.parent] = holds[module.parent] || holds[id];
    children[module.parent].push_back(id);
  }
}

}  // namespace modelexport::analysis
