// Batch normalisation: with running statistics (inference) it is ONNX's BatchNormalization, with
// those of the batch (a module left in training mode) a formula. The update of running statistics
// is not part of an exported model. Rows of normalization_table().
#pragma once

#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

V batch_norm(Call& c);
std::vector<V> native_batch_norm(Call& c);
std::vector<V> native_batch_norm_without_statistics(Call& c);
std::vector<V> native_batch_norm_no_training(Call& c);
std::vector<V> batch_norm_no_update(Call& c);
std::vector<V> batch_norm_impl_index(Call& c);

// Reads input, weight, bias, running_mean, running_var and eps.
V normalize_with_running_statistics(Call& c);

}  // namespace modelexport::lowering
