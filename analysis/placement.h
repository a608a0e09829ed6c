// Is each node in the module that it says? For files whose graph is not at hand: what node names,
// data flow and the use of parameters tell about it, against the live module.
#pragma once

#include <vector>

#include "analysis/file_index.h"
#include "analysis/finding.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

// The level that each node's name says, for names that begin with the path of calls, as those of
// this exporter and of the TorchScript exporter do: "/encoder/layer.0/attention/self/query/MatMul".
// kNone for other names.
std::vector<tagging::LevelId> levels_by_name(const FileIndex& index,
                                             const tagging::Hierarchy& hierarchy);

// Data does not flow back to a module that is called earlier. `levels`: of each node, or kNone.
std::vector<Finding> check_call_order(const FileIndex& index,
                                      const std::vector<tagging::LevelId>& levels,
                                      const Program& program, const tagging::Hierarchy& hierarchy);

// Nodes that use a parameter are of a call that uses it, or of one around it.
std::vector<Finding> check_parameter_users(const FileIndex& index,
                                           const std::vector<tagging::LevelId>& levels,
                                           const Program& program,
                                           const tagging::Hierarchy& hierarchy);

// Names say the same as tags, and what operator the node is; for files of this exporter.
std::vector<Finding> check_names(const FileIndex& index,
                                 const std::vector<tagging::LevelId>& levels,
                                 const tagging::Hierarchy& hierarchy);

}  // namespace modelexport::analysis
