// What a value holds, by path: "past.0.key", with the index or field of a tuple, the index of a
// list or the key of a dict at each level. These are the names of a model's inputs.
#pragma once

#include <ATen/core/ivalue.h>

#include <functional>
#include <optional>
#include <string>

namespace modelexport::frontend {

// Of a dict's entry; TorchScript's keys are strings or ints where they name something.
std::string key_text(const c10::IValue& key);

// What to put in the place of a value; nullopt: look into it.
using Replace =
    std::function<std::optional<c10::IValue>(const std::string& name, const c10::IValue& value)>;

// A copy of `value`, called `name`, with other values in the places that `replace` gives some for.
c10::IValue rebuild(const c10::IValue& value, const std::string& name, const Replace& replace);

}  // namespace modelexport::frontend
