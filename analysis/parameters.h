// The weights in the file against the live module's: by name, shape, dtype and each byte.
//
// Bytes are compared with those that the program holds in memory, not with a digest of them: that
// is as fast as reading, and exact. A tensor that the file takes from the checkpoint itself
// (WeightMode::in_place) needs no comparison, only the right place; nor does one whose bytes were
// compared while they were being written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analysis/file_index.h"
#include "analysis/finding.h"
#include "exporter/onnx/data_layout.h"
#include "exporter/program/program.h"

namespace modelexport::analysis {

// A tensor that the file must have.
struct RequiredTensor {
  TensorId tensor = kNone;
  std::string name;  // in the file; empty: its state-dict name or an alias of it
};

// How a tensor is known in the file: by its name, or also by its contents, as they are or
// transposed (other exporters rename weights, and transpose those of linear layers).
enum class FindBy : uint8_t { name, name_or_value };

// Parts of a data file whose bytes were compared when they were written: what is there needs only
// be in the right place.
struct CheckedData {
  std::string location;  // relative to the ONNX file
  std::vector<onnx::DataLayout::Region> regions;
};

struct ParameterCheck {
  TensorId tensor = kNone;
  std::string name;            // state-dict name; of a constant, its name in the file
  std::string found_as;        // its name in the file; empty: not there
  bool transposed = false;     // found_shape and contents are those of its transpose
  bool required = true;        // the file must have it
  bool shape_matches = false;  // the rest is meaningful only if it was found
  bool dtype_matches = false;
  bool value_matches = false;
  std::vector<int64_t> shape, found_shape;
  DType dtype = DType::undefined;
  DType found_dtype = DType::undefined;

  bool found() const { return !found_as.empty(); }
  bool holds() const {
    return found() ? shape_matches && dtype_matches && value_matches : !required;
  }
};

struct ParameterReport {
  std::vector<ParameterCheck> parameters;  // all of the module's, and required constants
  std::vector<Finding> findings;
  uint64_t bytes_compared = 0;
};

ParameterReport check_parameters(const FileIndex& index, const Program& program,
                                 std::span<const RequiredTensor> required, FindBy find_by,
                                 const CheckedData& checked);

}  // namespace modelexport::analysis
