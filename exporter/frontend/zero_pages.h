// Zeros that take no memory: pages that nobody writes to are all the same one.
#pragma once

#include <c10/core/Allocator.h>

#include <cstddef>

namespace modelexport::frontend {

at::DataPtr zero_pages(size_t size);

}  // namespace modelexport::frontend
