// Reads the tags of a file back: which module call each node says it came from.
//
// Understands what this exporter and the dynamo exporter write (see tagging/tags.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/file_index.h"
#include "analysis/finding.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

struct ModuleTags {
  // The module calls that nodes name, and those above them; Level::module is not set. Empty if no
  // node has tags. Level::tag is what the nodes say, or made as the exporter does where they do
  // not.
  std::vector<tagging::Level> levels;
  std::vector<uint32_t> level_of;  // of each node; kNone: it has no tags, or damaged ones
  std::vector<uint32_t> untagged;  // nodes without any tags
  bool has_hierarchy_tags = false;
  std::vector<Finding> findings;  // malformed tags, and ones that contradict each other
  size_t tagged = 0;              // nodes with a level
};

ModuleTags read_module_tags(const FileIndex& index, const tagging::TagOptions& options);

struct TagCheck {
  std::vector<Finding> findings;  // at most one for each level; names a node of it
  std::vector<uint32_t> live;     // for each level: the hierarchy's; kNone: it has none
};

// Each level is one that the program has: the module exists, has that class, and was called from
// the level above; its tag, if the file has any, is what the exporter makes of it.
TagCheck check_tags(const FileIndex& index, const ModuleTags& tags, const Program& program,
                    const tagging::Hierarchy& hierarchy);

}  // namespace modelexport::analysis
