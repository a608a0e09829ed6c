// What differs between two models, module by module (align_modules.h). Contents of parameters are
// compared by digest, so that neither model's weights are held in memory.
//
//   Comparison comparison = compare_models(before, after, {});
//   if (!comparison.same()) ...
//
// Operators are compared where both models tell theirs in the same terms (ATen's or ONNX's).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/align_modules.h"
#include "analysis/model_summary.h"

namespace modelexport::analysis {

enum class Change : uint8_t {
  added,      // only the second model has it
  removed,    // only the first
  renamed,    // it has another name, or stands elsewhere
  reclassed,  // of a module: another class
  reshaped,   // of a parameter: another shape
  retyped,    // another dtype
  changed,    // of a parameter: other values; otherwise: anything else
};
std::string_view name(Change change);

struct ModuleChange {
  Change change = Change::changed;
  ModuleId first = kNone, second = kNone;
  int64_t modules = 1;     // added and removed: with those below it, which are not listed again
  int64_t parameters = 0;  // the same, elements
};

struct TensorChange {
  Change change = Change::changed;
  TensorId first = kNone, second = kNone;
  int64_t different = 0;          // changed: elements that differ
  std::optional<double> max_abs;  // changed: the largest difference, of floats
};

struct OperatorChange {
  Change change = Change::changed;
  ModuleId first = kNone, second = kNone;  // the module
  std::string op;
  int64_t first_count = 0, second_count = 0;
  std::string first_attributes, second_attributes;  // changed: of one that has others
};

struct SharingChange {
  Change change = Change::changed;
  TensorId first = kNone, second = kNone;
  const SharedParameter* first_sharing = nullptr;  // of the summaries that were compared
  const SharedParameter* second_sharing = nullptr;
};

struct InterfaceChange {  // an input or output of the model, or the opset
  Change change = Change::changed;
  std::string what;  // "input mask"
  std::string first, second;
};

struct CompareOptions {
  bool values = true;         // contents of parameters too
  bool operators = true;      // and sharing, which follows from them
  bool only_holders = false;  // modules that hold no parameters or buffers are left alone
};

struct Comparison {
  Alignment alignment;
  std::vector<ModuleChange> modules;
  std::vector<TensorChange> tensors;
  std::vector<OperatorChange> operators;
  std::vector<SharingChange> sharing;
  std::vector<InterfaceChange> interface;
  std::vector<std::string> notes;  // what was not compared, and why
  size_t modules_aligned = 0, tensors_aligned = 0;

  size_t differences() const {
    return modules.size() + tensors.size() + operators.size() + sharing.size() + interface.size();
  }
  bool same() const { return differences() == 0; }
};

// Both models must outlive the result.
Comparison compare_models(const ModelSummary& first, const ModelSummary& second,
                          const CompareOptions& options);

}  // namespace modelexport::analysis
