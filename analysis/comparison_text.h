// A comparison in words, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "analysis/comparison.h"
#include "analysis/json_writer.h"

namespace modelexport::analysis {

enum class TextFormat : uint8_t { plain, markdown };

// One difference, as a line.
struct DifferenceLine {
  Change change = Change::changed;
  std::string first, second;  // path or name in each of the models; "" where it is not there
  std::string text;           // the rest: "Linear, 3 modules, 4,160 parameters"
};
struct DifferenceSection {
  std::string title;  // "interface", "modules", "parameters", "operators", "sharing"
  std::vector<DifferenceLine> lines;
};
// In that order, each with one line for each entry of the comparison.
std::vector<DifferenceSection> differences(const ModelSummary& first, const ModelSummary& second,
                                           const Comparison& comparison);

std::string to_text(const ModelSummary& first, const ModelSummary& second,
                    const Comparison& comparison, TextFormat format);

// Its format is compare.schema.json.
void write_comparison(const ModelSummary& first, const ModelSummary& second,
                      const Comparison& comparison, JsonWriter& json);

}  // namespace modelexport::analysis
