// The module tree as a table for the terminal:
//
//   module                 class           parameters      bytes   nodes
//   BertModel                               4,385,920    17.5 MB     215
//   ├─ embeddings          BertEmbeddings   3,972,864    15.9 MB      12
//   ├─ encoder             BertEncoder        396,544     1.6 MB     140
//   │  └─ layer.0-1        BertLayer (2x)     396,544     1.6 MB     140
//
// Siblings with consecutive numbers that are alike all the way down are one row, and so are those
// below them: its numbers are the sums of all, so that columns add up. Containers that only hold
// modules (ModuleList) are not rows: their names stand before those of their children.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"

namespace modelexport::tagging {

// Numbers are those of the module and everything below it. A parameter that several modules hold
// counts once in each row above them.
struct TreeRow {
  int depth = 0;           // 0: the root
  bool last = false;       // of its siblings
  std::string name;        // "layer.0-11", relative to the row above it in the tree; root ""
  std::string class_name;  // without its package
  std::string same_as;     // path of the module that it is another name of
  int64_t repeat = 1;      // how many modules the row stands for
  int64_t parameters = 0;
  int64_t bytes = 0;
  int64_t nodes = 0;
  bool executed = true;  // false: no method of it ran
};

struct TreeOptions {
  int max_depth = 0;   // 0: no limit
  bool ascii = false;  // no characters beyond ASCII
};

// In the order of the module tree, each row before its children. `graph` may be null: no nodes.
std::vector<TreeRow> tree_rows(const Program& program, const graph::Graph* graph,
                               const TreeOptions& options);
// The same, given how many nodes each module has without those below it.
std::vector<TreeRow> tree_rows(const Program& program, std::vector<int64_t> nodes,
                               const TreeOptions& options);

// With a heading, one line per row, columns aligned. No column of nodes if all are 0; modules that
// were never called are marked where others were.
std::string format_tree(const std::vector<TreeRow>& rows, const TreeOptions& options);

}  // namespace modelexport::tagging
