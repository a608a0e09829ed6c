// Advanced indices, those of index.Tensor and index_put: None, integer tensors and masks, one per
// axis (a mask: for as many as it has), broadcast against each other.
//
// Integer indices may be negative. Indexed axes that stand side by side leave their place to the
// broadcast dimensions of the indices; otherwise these come first.
#pragma once

#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

struct AdvancedIndex {
  std::vector<int64_t> axes;  // of the indexed tensor, ascending; empty: nothing is indexed
  int64_t rank = 0;           // of the indices, broadcast
  V positions;  // int64 [broadcast dimensions..., axes.size()]: for GatherND, ScatterND
  std::optional<Shape> shape;  // of the indices, broadcast, if known

  bool is_adjacent() const { return axes.back() - axes.front() + 1 == std::ssize(axes); }
  // Where the broadcast dimensions stand in the result.
  int64_t place() const { return is_adjacent() ? axes.front() : 0; }
};

bool is_mask(Call& c, V index);

// The only index that is not None, and its axis; kOmitted if there are several or none.
struct SingleIndex {
  V index;
  int64_t axis = 0;
};
SingleIndex single_index(const std::vector<V>& indices);

AdvancedIndex advanced_index(Call& c, const std::vector<V>& indices);

}  // namespace modelexport::lowering
