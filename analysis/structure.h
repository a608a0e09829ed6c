// Does the graph in the file hold together? Asks the file alone, not the live module.
#pragma once

#include <vector>

#include "analysis/file_index.h"
#include "analysis/finding.h"

namespace modelexport::analysis {

// Checks values, order, cycles, orphans, and that no tensor is in the file twice under two names.
std::vector<Finding> check_structure(const FileIndex& index);

// The nodes that lie on cycles, or between two of them; ascending.
std::vector<uint32_t> nodes_on_cycles(const FileIndex& index);

// The nodes none of whose outputs is used; ascending.
std::vector<uint32_t> orphaned_nodes(const FileIndex& index);

}  // namespace modelexport::analysis
