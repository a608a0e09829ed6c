// What an exported file lacks (--on-unsupported skip, approximate), for hierarchy.json and the
// report.
#pragma once

#include <string>
#include <vector>

#include "analysis/json_writer.h"

namespace modelexport::analysis {

// An operator that the file does not have, or only in name.
struct UnsupportedOperator {
  std::string key, reason;
  bool approximated = false;        // a node of another domain stands for it
  std::vector<std::string> places;  // module, class, source line
};

struct Unsupported {
  std::vector<UnsupportedOperator> operators;
  std::vector<std::string> missing_outputs;  // that depend on them
};

// The members `unsupported` and `missing_outputs` of the object being written; none if there are no
// such operators.
void write_unsupported(const Unsupported& unsupported, JsonWriter& json);

}  // namespace modelexport::analysis
