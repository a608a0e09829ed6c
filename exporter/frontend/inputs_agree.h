// What examples from different files may differ in: the sizes and values of tensors, and numbers
// and the lengths of lists of numbers, which are inputs of the model then.
#pragma once

#include <ATen/core/function_schema.h>

#include <string>
#include <vector>

#include "exporter/frontend/examples.h"

namespace modelexport::frontend {

// Marks what the examples differ in as inputs, in all of them. `files`: where each
// comes from. Throws Error{usage} where they differ in anything else.
void make_agree(const c10::FunctionSchema& forward, const std::vector<std::string>& files,
                std::vector<Example>& examples);

}  // namespace modelexport::frontend
