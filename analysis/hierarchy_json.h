// hierarchy.json: all that is known of an exported model and of the module it was made from, for
// other programs to read. Its format is hierarchy.schema.json.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "analysis/cross_check.h"
#include "analysis/file_index.h"
#include "analysis/json_writer.h"
#include "analysis/module_dags.h"
#include "analysis/node_times.h"
#include "analysis/unsupported.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

struct HierarchyDocument {
  const FileIndex& index;  // of the file as it was read back
  const Program& program;
  const tagging::Hierarchy& hierarchy;
  const CrossCheck& check;
  DagOptions extraction = {};
  bool include_metadata = true;  // the section operation_metadata
  std::vector<std::pair<std::string, double>> metrics = {};
  NodeTimes times = {};
  Unsupported unsupported = {};
};

// The same document gives the same bytes. Errors (Error): unreadable, if the ONNX file has gone.
void write_hierarchy(const HierarchyDocument& document, const Sink& sink);

}  // namespace modelexport::analysis
