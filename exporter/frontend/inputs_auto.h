// Finds sizes other than the given ones at which a module runs, by running it. The module's state
// is as it was afterwards. `find_dynamic_dims` of examples.h is the third user of this.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <string>
#include <vector>

#include "exporter/frontend/examples.h"

namespace modelexport::frontend {

struct DimRef {  // of a flattened input
  size_t input = 0;
  size_t axis = 0;
  friend auto operator<=>(const DimRef&, const DimRef&) = default;
};

// Adds an example to `given` (which has one) in which each named dimension has another size, unlike
// all other sizes, so that no two can be mistaken for each other. Throws Error{usage} if the module
// runs at none.
Examples add_example_at_other_sizes(const torch::jit::Module& module, Examples given,
                                    const std::map<std::string, std::vector<DimRef>>& named,
                                    uint64_t seed, const QuickTrial& quick_trial);

// `given` holds two examples of different sizes. Adds a third in which dimensions that agree in the
// two only by chance differ, if the module runs at it.
Examples add_example_that_separates(const torch::jit::Module& module, Examples given, uint64_t seed,
                                    const QuickTrial& quick_trial);

}  // namespace modelexport::frontend
