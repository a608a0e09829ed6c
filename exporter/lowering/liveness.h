// Which operators of a program have to be lowered: those that its outputs depend on, except where a
// result is known or at hand anyway. That is: numbers computed from sizes that equal a dimension of
// an input; and tensors with known contents if they are small (large ones are computed in the
// graph, which keeps the file small) or their operator has no lowering. What is computed from
// parameters is never replaced by its contents: the file is to hold the checkpoint's own
// parameters.
#pragma once

#include <unordered_set>

#include "exporter/lowering/dataflow.h"
#include "exporter/lowering/lowerings.h"
#include "exporter/program/program.h"

namespace modelexport::lowering {

using LiveOperators = std::unordered_set<const Op*>;
LiveOperators live_operators(const Program& program, const Dataflow& flow,
                             const Lowerings& lowerings);

}  // namespace modelexport::lowering
