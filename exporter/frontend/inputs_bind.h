// Turns what users give (contents of files, values made up from specifications) into the arguments
// of forward. Errors (usage) name the input, what is expected, what was given, and the signature.
#pragma once

#include <ATen/core/function_schema.h>

#include <string>
#include <utility>
#include <vector>

#include "exporter/frontend/examples.h"

namespace modelexport::frontend {

// `given`: a tensor (the only argument), a tuple or list (by position), or a dict (by argument
// name; dotted names reach into tuples, lists and dicts). `where` is the file, for messages.
Example bind_arguments(const c10::FunctionSchema& forward, const c10::IValue& given,
                       const std::string& where);

// `values` by name, dotted or not; what is not given is as in `fallback` (arguments, or empty),
// otherwise the default.
Example bind_values(const c10::FunctionSchema& forward,
                    const std::vector<std::pair<std::string, c10::IValue>>& values,
                    const std::vector<c10::IValue>& fallback);

// The type of what has a flat name, without Optional: "sizes.1" of List[int] is an int. Null if
// forward takes nothing of the name.
c10::TypePtr type_at(const c10::FunctionSchema& forward, const std::string& name);

}  // namespace modelexport::frontend
