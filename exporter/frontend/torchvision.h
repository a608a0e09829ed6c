// Operators of torchvision, so that checkpoints that call them load and run without its library:
// nms, roi_align. Nothing is registered where that library has been loaded.
#pragma once

namespace modelexport::frontend {

void register_torchvision();

}  // namespace modelexport::frontend
