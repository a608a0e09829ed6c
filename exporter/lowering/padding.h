// Padding: constant, reflecting, replicating, circular. PyTorch lists (before, after) from the last
// axis on; negative numbers take elements away. Rows of resize_table().
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

V pad(Call& c);
V pad_enum(Call& c);
V constant_pad_nd(Call& c);
V reflection_pad(Call& c);
V replication_pad(Call& c);
V pad_circular(Call& c);

}  // namespace modelexport::lowering
