// Which parameters are shared, by whom, and in what pattern. Identity is the storage and the data
// flow, not the name: the same tensor under several names, views of one storage, one parameter that
// several module calls use (tracing hands a tied weight from one module to another as an argument),
// and modules that are called again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/parameter_uses.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

enum class SharingPattern : uint8_t {
  tied_embeddings,    // looked up by one module, and used by others (or looked up by several)
  position_sharing,   // looked up by positions, by several modules
  attention_sharing,  // within attention, where the rest of the layer is not shared
  layer_sharing,      // all others: a layer that stands, or is called, several times
};
std::string_view name(SharingPattern pattern);

struct SharedParameter {
  TensorId tensor = kNone;
  std::string name;                  // state-dict name
  std::vector<std::string> used_by;  // tags of the modules that use it, in order of first use
  int64_t share_count = 0;           // calls of modules that use it; names, in a program not run
  std::string param_type;            // last element of the name: "weight"
  SharingPattern pattern = SharingPattern::layer_sharing;
  std::vector<std::string> aliases;  // other names, and other parameters that overlap with it
  int64_t bytes = 0;                 // once
};

struct Sharing {
  std::vector<SharedParameter> parameters;  // in the order of the program's tensors
  size_t total_parameters = 0;              // of the module, each once
  int64_t bytes_saved = 0;                  // by not having a copy for each call

  double percentage() const;  // share of all parameters that are shared, 0..1
};

Sharing analyze_sharing(const Program& program, const tagging::Hierarchy& hierarchy);

// The same of parameters whose uses are known. `tags`: of each of the uses' calls.
Sharing analyze_sharing(const Program& program, const ParameterUses& uses,
                        const std::vector<std::string_view>& tags);

}  // namespace modelexport::analysis
