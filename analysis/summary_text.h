// A model's tree, sizes, sharing and operators, for people and for programs.
#pragma once

#include <string>

#include "analysis/comparison_text.h"
#include "analysis/json_writer.h"
#include "analysis/model_summary.h"
#include "tagging/tree.h"

namespace modelexport::analysis {

std::string to_text(const ModelSummary& model, const tagging::TreeOptions& tree, TextFormat format);

// Its format is analyze.schema.json.
void write_summary(const ModelSummary& model, JsonWriter& json);

}  // namespace modelexport::analysis
