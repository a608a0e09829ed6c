// Operators that write to their arguments, and the ones that compute the same without.
#pragma once

#include <ATen/core/function_schema.h>

namespace modelexport::frontend {

// The schema of the same operator without side effects: aten::add.Tensor for aten::add_.Tensor and
// for aten::add.out; for one with results of its own, one that gives what would be written after
// them. nullptr if there is none.
const c10::FunctionSchema* functional_twin(const c10::FunctionSchema& schema);

}  // namespace modelexport::frontend
