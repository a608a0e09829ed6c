// report.html: one page with everything that is known of a model, or of two and what differs. It
// needs nothing else: styles, scripts and data (as JSON) are within. Its sources are in report/.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "analysis/comparison.h"
#include "analysis/cross_check.h"
#include "analysis/json_writer.h"
#include "analysis/model_summary.h"
#include "analysis/node_times.h"
#include "analysis/numeric.h"
#include "analysis/unsupported.h"

namespace modelexport::analysis {

struct ReportContents {
  std::vector<const ModelSummary*> models;  // one, or the two of the comparison
  const Comparison* comparison = nullptr;
  const CrossCheck* check = nullptr;  // of the first model's file against the live module
  struct Run {
    std::string inputs;
    const std::vector<Difference>* outputs = nullptr;
  };
  std::vector<Run> numbers;
  Unsupported unsupported = {};  // what the first model's file lacks
  NodeTimes times = {};          // of the first model's file
  std::vector<std::pair<std::string, double>> metrics;
  std::vector<std::string> notes;  // what the user should know
};

// The same contents give the same bytes.
void write_report(const ReportContents& contents, const Sink& sink);

}  // namespace modelexport::analysis
