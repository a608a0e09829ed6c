// Between LibTorch's values and those in memory that the rest of the program sees.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>

#include "exporter/program/host_tensor.h"

namespace modelexport::frontend {

// Complex tensors are pairs of reals, quantised ones their integers, as in the program.
HostValue host_value(const std::string& name, const at::Tensor& tensor);
// Of a tensor, a number or a list of them.
HostValue host_value(const std::string& name, const c10::IValue& value);

// As `like` is: a tensor (complex or not), a number or a list of them.
c10::IValue value_of(const HostValue& host, const c10::IValue& like);

}  // namespace modelexport::frontend
