// Which module of one model is which of another: by class, structure and contents, so that a module
// that was renamed, inserted or taken out leaves all others where they belong. Names only decide
// between what is otherwise alike.
//
//   Alignment alignment = align_modules(a, b, {});
//   alignment.second[id]   // the module of b that `id` of a is; kNone: there is none
//
// The trees are aligned from their roots down: the children of two modules that correspond are
// matched in order, by the assignment of highest total likeness. A module that was put around
// another one, and a subtree that moved elsewhere, are found after that.
#pragma once

#include <vector>

#include "analysis/content_hash.h"
#include "analysis/model_summary.h"

namespace modelexport::analysis {

struct AlignOptions {
  // Modules that hold no parameters or buffers, themselves or below, are left alone.
  bool only_holders = false;
  // Digests of the tensors' contents, by TensorId; empty: contents are not looked at.
  std::vector<ContentDigest> first_contents, second_contents;
};

struct Alignment {
  std::vector<ModuleId> second;  // by module of the first
  std::vector<ModuleId> first;   // by module of the second
};

Alignment align_modules(const ModelSummary& first, const ModelSummary& second,
                        const AlignOptions& options);

// Of all parameters and buffers; reads them once, and keeps nothing of them.
std::vector<ContentDigest> digest_contents(const Program& program);

// The name that a module itself has for a tensor: "weight".
std::string local_name(const Module& module, const Tensor& tensor);

// Does either not tell its class, or do they agree but for the package?
bool same_class(const Module& a, const Module& b);

}  // namespace modelexport::analysis
