// Removes nodes and initializers whose values nothing needs. Inputs of the model stay.
#pragma once

#include "exporter/graph/graph.h"

namespace modelexport::graph {

void remove_dead_code(Graph& graph);

}  // namespace modelexport::graph
