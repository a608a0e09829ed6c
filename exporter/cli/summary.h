// What an export has to say: for people, and for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "exporter/cli/command.h"
#include "exporter/export.h"

namespace modelexport::cli {

// export_checkpoint, which shows what it is at, and warns of what the user should know.
ExportResult export_showing_progress(const Console& console, const std::string& model,
                                     ExportOptions options);

// The metrics, by the names that scripts rely on.
nlohmann::ordered_json metrics_json(const ExportResult& result);
// The whole: model (files), metrics, numbers, diagnostics.
nlohmann::ordered_json result_json(const ExportResult& result);
nlohmann::ordered_json difference_json(const analysis::Difference& difference);
nlohmann::ordered_json numbers_json(const std::vector<NumericRun>& runs);
nlohmann::ordered_json unsupported_json(const ExportResult& result);

// 0, or 3 for a file that is not the whole module (--on-unsupported).
int exit_code_of(const ExportResult& result);

// Module tree, files, tags, checks, time.
void print_summary(const Console& console, const ExportResult& result, int max_depth);
void print_numbers(const Console& console, const std::vector<NumericRun>& runs);

// Throws Error{mismatch} naming the outputs that differ, if any do.
void require_match(const std::vector<NumericRun>& runs);

}  // namespace modelexport::cli
