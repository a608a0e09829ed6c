// Sampling at the points of a grid, and grids of affine maps. Rows of resize_table().
#pragma once

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

V grid_sampler(Call& c);
V affine_grid_generator(Call& c);

}  // namespace modelexport::lowering
