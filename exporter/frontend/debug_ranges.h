// Maps positions in the serialized TorchScript code of a checkpoint back to the Python source they
// were made from. Format of `.debug_pkl`:
// torch/csrc/jit/serialization/source_range_serialization.h.
#pragma once

#include <torch/csrc/jit/frontend/source_range.h>
#include <torch/csrc/jit/serialization/source_range_serialization.h>

#include <memory>
#include <string>

namespace modelexport::frontend {

// `pickle`: the contents of a `.debug_pkl` record; parsed when first asked.
std::shared_ptr<torch::jit::SourceRangeUnpickler> make_debug_ranges(std::string pickle);

}  // namespace modelexport::frontend
