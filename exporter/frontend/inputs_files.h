// Example inputs in files: `torch.save`d .pt (a tensor, a tuple or list, a dict by name), .npz,
// .npy.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>

namespace modelexport::frontend {

// A tensor, or a tuple, list or dict of them as it stands in the file. The arrays of an .npz are a
// dict by name, or, if they have no names (arr_0, arr_1...), a tuple. Throws Error{unreadable}.
c10::IValue read_input_file(const std::string& path);

}  // namespace modelexport::frontend
