// Operator cases as data: what README.md beside this file describes, parsed. No torch.
//
//   std::vector<Case> cases = parse_cases("unary", text);
//
// One Case per combination of `for` values. Errors (Error, usage) begin with "unary.cases:LINE: ".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/program/dtype.h"

namespace modelexport::ops_test {

inline constexpr int kLowestOpset = 17;
inline constexpr int kHighestOpset = 23;
inline constexpr int kDefaultOpset = 20;

// Sizes of one dimension in the first example, the second example, and the run at sizes seen in
// neither.
inline constexpr size_t kSizeSets = 3;
using DimSizes = std::array<int64_t, kSizeSets>;

enum class Fill : uint8_t { natural, range, distinct, values };

struct TensorSpec {
  DType dtype = DType::undefined;
  std::vector<DimSizes> dims;
  Fill fill = Fill::natural;
  double low = 0, high = 0;    // Fill::range
  std::vector<double> values;  // Fill::values

  std::vector<int64_t> sizes(size_t set) const;
  bool is_dynamic() const;
};

struct InputSpec {
  enum class Kind : uint8_t { tensor, list, tuple, dict };
  Kind kind = Kind::tensor;
  TensorSpec tensor;
  std::vector<InputSpec> elements;
  std::vector<std::string> keys;  // of a dict, one per element
};

struct Input {
  std::string name;
  InputSpec spec;
};

struct Weight {
  std::string name;
  TensorSpec spec;
  bool is_parameter = true;
};

struct OpsetRange {
  int first = kLowestOpset, last = kHighestOpset;
  bool contains(int opset) const { return first <= opset && opset <= last; }
};

// A line that may be given for certain opsets: the text that holds at one.
struct PerOpset {
  std::optional<std::string> unqualified;
  std::vector<std::pair<OpsetRange, std::string>> qualified;

  std::optional<std::string> at(int opset) const;  // qualified first
  std::optional<std::string> at_or_default(int opset, int default_opset) const;
};

struct Tolerance {
  double relative = 0, absolute = 0;
};

struct Case {
  std::string family, name;  // name: "gelu/mode=tanh,dtype=f16"
  int line = 0;
  std::vector<Weight> weights;
  std::vector<Input> inputs;
  std::string source;  // the whole class body
  OpsetRange opsets;
  PerOpset emits, contains, lacks, refuses, xfail;
  std::optional<Tolerance> tolerance;

  int default_opset() const;
  bool is_dynamic() const;
};

std::vector<Case> parse_cases(std::string_view family, std::string_view text);

// "f32[b=2|3, 5] = range(0, 1)" and the collections of such. `dims` holds the dimensions named so
// far.
using NamedDims = std::vector<std::pair<std::string, DimSizes>>;
InputSpec parse_spec(std::string_view text, NamedDims& dims);

// Splits at `separator` outside of brackets and quotes, and trims.
std::vector<std::string> split_top_level(std::string_view text, char separator);
std::string_view trim(std::string_view text);

// The default for results of `dtype`; 0, 0 for integers.
Tolerance default_tolerance(DType dtype);

}  // namespace modelexport::ops_test
