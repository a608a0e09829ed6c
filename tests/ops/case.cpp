#include "tests/ops/case.h"

#include <algorithm>

namespace modelexport::ops_test {

std::vector<int64_t> TensorSpec::sizes(size_t set) const {
  std::vector<int64_t> result;
  for (const DimSizes& dim : dims) result.push_back(dim[set]);
  return result;
}

bool TensorSpec::is_dynamic() const {
  return std::any_of(dims.begin(), dims.end(),
                     [](const DimSizes& dim) { return dim[0] != dim[1]; });
}

std::optional<std::string> PerOpset::at(int opset) const {
  for (const auto& [range, text] : qualified)
    if (range.contains(opset)) return text;
  return unqualified;
}

std::optional<std::string> PerOpset::at_or_default(int opset, int default_opset) const {
  for (const auto& [range, text] : qualified)
    if (range.contains(opset)) return text;
  return opset == default_opset ? unqualified : std::nullopt;
}

int Case::default_opset() const {
  return opsets.contains(kDefaultOpset) ? kDefaultOpset : opsets.first;
}

namespace {
bool spec_is_dynamic(const InputSpec& spec) {
  return spec.tensor.is_dynamic() ||
         std::any_of(spec.elements.begin(), spec.elements.end(), spec_is_dynamic);
}
}  // namespace

bool Case::is_dynamic() const {
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const Input& input) { return spec_is_dynamic(input.spec); });
}

Tolerance default_tolerance(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {1e-4, 1e-5};
    case DType::f64:
      return {1e-5, 1e-6};
    case DType::f16:
      return {4e-3, 4e-3};
    case DType::bf16:
      return {3e-2, 3e-2};
    default:
      return {0, 0};
  }
}

std::string_view trim(std::string_view text) {
  const char* blanks = " \t\r";
  size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::vector<std::string> split_top_level(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (trim(text).empty()) return parts;
  int depth = 0;
  bool in_quotes = false;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_quotes = !in_quotes;
    if (in_quotes) continue;
    if (c == separator && depth == 0) {
      parts.emplace_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      --depth;
    }
  }
  parts.emplace_back(trim(text.substr(begin)));
  return parts;
}

}  // namespace modelexport::ops_test
