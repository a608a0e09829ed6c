// A call with an argument that an ONNX operator must know (an axis, a flag) but that depends on the
// inputs: lowered once for each value that the argument may have, in branches of If.
//
//   catch (const Undecided& undecided) {
//     results = by_cases(builder, program, op, undecided, [&](const Op& decided) { ... });
//   }
#pragma once

#include <functional>
#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// `lower` gets the operator with a known value in place of the argument, and gives its results in
// the observed dtypes; kOmitted for those that nobody uses.
std::vector<V> by_cases(Builder& builder, const Program& program, const Op& op,
                        const Undecided& undecided,
                        const std::function<std::vector<V>(const Op&)>& lower);

}  // namespace modelexport::lowering
