// A text that is equal for bodies of functions that are the same: in what they compute, and in the
// tags of their nodes relative to the call.
#pragma once

#include <string>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// `call`: the module call that `body` was made of.
std::string body_key(const Graph& body, const Program& program, ScopeId call);

}  // namespace modelexport::graph
