// The graph of each module: its nodes, what connects them, and where data comes in and goes out.
//
// There is one DAG for each hierarchy tag, down to a depth and a size; modules beyond those are
// part of the DAG above them. A DAG has all nodes of its module and of what lies below it; each
// node is one of exactly one DAG's own nodes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "analysis/file_index.h"
#include "analysis/module_tags.h"

namespace modelexport::analysis {

struct DagOptions {
  bool include_constants = false;    // also weights that are no parameters or buffers
  int64_t min_parameter_count = 10;  // elements, with those below; smaller modules have no DAG...
  int max_depth = 5;                 // elements of the tag; deeper modules neither. 0: no limit
};

struct ModuleDag {
  std::string tag;   // "/Net/Block.0"
  std::string path;  // "blocks.0"
  std::string class_name;
  uint32_t parent = kNone;                           // the DAG above
  std::vector<uint32_t> nodes;                       // all, in the order of the file
  std::vector<uint32_t> own_nodes;                   // those not in a DAG below
  std::vector<std::pair<uint32_t, uint32_t>> edges;  // from node to node, both in `nodes`
  std::vector<uint32_t> parameters;                  // initializers that nodes use
  std::vector<uint32_t> inputs;   // values from outside that nodes use, other than initializers
  std::vector<uint32_t> outputs;  // values of nodes that are used outside
};

// [0] is the root's, which is always there; others after those above them. Nodes without tags are
// the root's own.
std::vector<ModuleDag> module_dags(const FileIndex& index, const ModuleTags& tags,
                                   const DagOptions& options);

// Is this initializer a parameter, buffer or constant tensor of the module, rather than a constant
// that an exporter made?
bool is_weight(const FileIndex& index, uint32_t initializer);

}  // namespace modelexport::analysis
