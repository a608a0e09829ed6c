// Moving blocks of pixels between channels and space, and interleaving channels. Rows of
// resize_table().
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

V pixel_shuffle(Call& c);
V pixel_unshuffle(Call& c);
V channel_shuffle(Call& c);

}  // namespace modelexport::lowering
