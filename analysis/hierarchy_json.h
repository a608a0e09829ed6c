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
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

// An operator that the file does not have, or only in name.
struct UnsupportedOperator {
  std::string key, reason;
  bool approximated = false;        // a node of another domain stands for it
  std::vector<std::string> places;  // module, class, source line
};

struct HierarchyDocument {
  const FileIndex& index;  // of the file as it was read back
  const Program& program;
  const tagging::Hierarchy& hierarchy;
  const CrossCheck& check;
  DagOptions extraction = {};
  bool include_metadata = true;  // the section operation_metadata
  std::vector<std::pair<std::string, double>> metrics = {};
  std::vector<UnsupportedOperator> unsupported = {};
  std::vector<std::string> missing_outputs = {};  // that depend on them
};

// The same document gives the same bytes. Errors (Error): unreadable, if the ONNX file has gone.
void write_hierarchy(const HierarchyDocument& document, const Sink& sink);

}  // namespace modelexport::analysis
