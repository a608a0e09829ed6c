// The tags of an ONNX file by themselves: read with the data flow that retagging needs, and written
// into a file that is otherwise left as it is.
#pragma once

#include <string>

#include "tagging/retag.h"

namespace modelexport::onnx {

// Calls of local functions are nodes like any other. Errors (Error): unreadable.
tagging::FlowGraph read_flow(const std::string& path);

// Writes `path`, of which `graph` was read, to `output` with the tags that are in
// `graph`. External data stays where it is, and is referred to from the new file's folder.
// Errors (Error): unreadable; unwritable; usage if the external data is not in that folder or
// below.
void write_tags(const std::string& path, const std::string& output,
                const tagging::FlowGraph& graph);

}  // namespace modelexport::onnx
