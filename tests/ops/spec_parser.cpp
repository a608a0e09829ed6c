#include <charconv>
#include <cmath>
#include <limits>

#include "exporter/error.h"
#include "tests/ops/case.h"

namespace modelexport::ops_test {
namespace {

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::usage, message); }

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

DType parse_dtype(std::string_view text) {
  static constexpr std::pair<std::string_view, DType> kNames[] = {
      {"bool", DType::boolean}, {"u8", DType::u8},   {"u16", DType::u16},  {"u32", DType::u32},
      {"u64", DType::u64},      {"i8", DType::i8},   {"i16", DType::i16},  {"i32", DType::i32},
      {"i64", DType::i64},      {"f16", DType::f16}, {"f32", DType::f32},  {"f64", DType::f64},
      {"bf16", DType::bf16},    {"c64", DType::c64}, {"c128", DType::c128}};
  for (auto [dtype_name, dtype] : kNames)
    if (dtype_name == text) return dtype;
  fail("unknown dtype " + quoted(text));
}

int64_t parse_size(std::string_view text) {
  int64_t size = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || size < 0)
    fail("a size is expected, not " + quoted(text));
  return size;
}

double parse_number(std::string_view text) {
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "True") return 1;
  if (text == "False") return 0;
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    fail("a number is expected, not " + quoted(text));
  return number;
}

// "4", "b", "b=2|3" or "b=2|3|8".
DimSizes parse_dim(std::string_view text, NamedDims& dims) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    for (const auto& [name, sizes] : dims)
      if (name == text) return sizes;
    int64_t size = parse_size(text);
    return {size, size, size};
  }
  std::string name(trim(text.substr(0, equals)));
  std::vector<std::string> sizes = split_top_level(text.substr(equals + 1), '|');
  if (sizes.size() < 2 || sizes.size() > kSizeSets)
    fail("dimension '" + name + "' needs two or three sizes: " + name + "=2|3");
  DimSizes result{parse_size(sizes[0]), parse_size(sizes[1]), 0};
  result[2] = sizes.size() == 3 ? parse_size(sizes[2]) : 2 * result[1] - result[0];
  if (result[0] == result[1] || result[2] < 0)
    fail("dimension '" + name + "' needs sizes that differ");
  dims.emplace_back(std::move(name), result);
  return result;
}

void parse_values(std::string_view text, TensorSpec& spec) {
  if (text == "distinct") {
    spec.fill = Fill::distinct;
  } else if (text.starts_with("range(") && text.ends_with(")")) {
    std::vector<std::string> limits = split_top_level(text.substr(6, text.size() - 7), ',');
    if (limits.size() != 2) fail("range needs two limits: range(0, 10)");
    spec.fill = Fill::range;
    spec.low = parse_number(limits[0]);
    spec.high = parse_number(limits[1]);
    if (!(spec.low < spec.high)) fail("range is empty: " + quoted(text));
  } else if (text.starts_with("[") && text.ends_with("]")) {
    spec.fill = Fill::values;
    for (const std::string& value : split_top_level(text.substr(1, text.size() - 2), ','))
      spec.values.push_back(parse_number(value));
    if (spec.values.empty()) fail("at least one value is expected");
  } else {
    fail("values are range(LO, HI), distinct, or [1, 2, ...], not " + quoted(text));
  }
}

TensorSpec parse_tensor(std::string_view text, NamedDims& dims) {
  size_t open = text.find('['), close = text.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    fail("an input is DTYPE[DIMS], not " + quoted(text));
  TensorSpec spec;
  spec.dtype = parse_dtype(trim(text.substr(0, open)));
  for (const std::string& dim : split_top_level(text.substr(open + 1, close - open - 1), ','))
    spec.dims.push_back(parse_dim(dim, dims));
  std::string_view rest = trim(text.substr(close + 1));
  if (rest.empty()) return spec;
  if (rest[0] != '=') fail("'= VALUES' is expected, not " + quoted(rest));
  parse_values(trim(rest.substr(1)), spec);
  return spec;
}

}  // namespace

InputSpec parse_spec(std::string_view text, NamedDims& dims) {
  text = trim(text);
  InputSpec spec;
  auto is_bracketed = [&](char open, char close) {
    return text.size() >= 2 && text.front() == open && text.back() == close;
  };
  if (is_bracketed('[', ']')) {
    spec.kind = InputSpec::Kind::list;
  } else if (is_bracketed('(', ')')) {
    spec.kind = InputSpec::Kind::tuple;
  } else if (is_bracketed('{', '}')) {
    spec.kind = InputSpec::Kind::dict;
  } else {
    spec.tensor = parse_tensor(text, dims);
    return spec;
  }
  for (std::string_view element : split_top_level(text.substr(1, text.size() - 2), ',')) {
    if (spec.kind == InputSpec::Kind::dict) {
      size_t colon = element.find(':');
      if (colon == std::string_view::npos) fail("KEY: SPEC is expected, not " + quoted(element));
      spec.keys.emplace_back(trim(element.substr(0, colon)));
      element = element.substr(colon + 1);
    }
    spec.elements.push_back(parse_spec(element, dims));
  }
  return spec;
}

}  // namespace modelexport::ops_test
