// The two sections of JSON documents that tell of sharing: shared_parameters and sharing_analysis.
#pragma once

#include "analysis/json_writer.h"
#include "analysis/sharing.h"

namespace modelexport::analysis {

void write_sharing(const Sharing& sharing, JsonWriter& json);

}  // namespace modelexport::analysis
