// Loops that a lowering needs, whatever the program itself loops over.
//
//   Round end = repeat(c, c.constant_int(10), {x}, [&](V round, const std::vector<Expr>& carried) {
//     return Round{{carried[0] * 2.0}, {}};
//   });
#pragma once

#include <functional>
#include <vector>

#include "exporter/lowering/expression.h"

namespace modelexport::lowering {

// A Loop of `count` (rank-0 int64) rounds. Each gives the values to carry on, of unchanged types,
// and values to collect along a new first axis.
struct Round {
  std::vector<V> carried, collected;
};
Round repeat(Call& c, V count, const std::vector<V>& carried,
             const std::function<Round(V index, const std::vector<Expr>& carried)>& body);
}  // namespace modelexport::lowering
