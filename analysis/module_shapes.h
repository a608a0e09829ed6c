// What the modules of a tree look like, in numbers that are equal for what is alike: made for
// aligning two trees.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "analysis/align_modules.h"

namespace modelexport::analysis {

// One numbering of texts; both trees share it.
using Interned = std::map<std::string, int>;

struct ModuleShapes {
  std::vector<std::vector<ModuleId>> children;
  std::vector<int> structure;  // by module: class, tensors' names and types, children's structure
  std::vector<int> contents;   // the same and what the tensors hold; -1: holds none
  std::vector<int> size;       // modules, with itself

  ModuleShapes(const ModelSummary& model, const std::vector<ContentDigest>& contents,
               bool only_holders, Interned& interned);
};

}  // namespace modelexport::analysis
