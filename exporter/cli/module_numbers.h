// What `verify --per-module` has to say: for people, and for programs.
//
//   module                  class          max abs   max rel
//   BertModel                                                  2 outputs...
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "exporter/cli/command.h"
#include "exporter/compare_modules.h"

namespace modelexport::cli {

// {"modules": [...], "first_difference": {...} or null}
nlohmann::ordered_json modules_json(const ModuleNumbers& numbers, const Program& program);

// A row for each module call, in the order of the calls: its largest differences.
void print_modules(const Console& console, const ModuleNumbers& numbers, const Program& program);

// Throws Error{mismatch} that says where LibTorch and ONNX Runtime part first, if they do.
void require_match(const ModuleNumbers& numbers, const Program& program);

}  // namespace modelexport::cli
