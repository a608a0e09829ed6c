// Sliding blocks to columns and back (torch.nn.Unfold and Fold). Rows of resize_table().
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

V im2col(Call& c);
V col2im(Call& c);

}  // namespace modelexport::lowering
