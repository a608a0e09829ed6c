#include "exporter/frontend/inputs_spec.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <string_view>

#include "exporter/error.h"

namespace modelexport::frontend {
namespace {

constexpr std::string_view kForm =
    "NAME:DTYPE[DIM,...], for example input_ids:int64[batch=2,seq=16]=range(0,1000)";

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

class SpecParser {
 public:
  explicit SpecParser(const std::string& text) : text_(text) { spec_.text = text; }

  InputSpec parse() {
    const std::string word = path();
    if (accept(':')) {
      spec_.name = word;
      read_dtype(path());
    } else if (accept('=')) {
      if (word.empty()) fail("a name is missing before '='");
      spec_.name = word;
      if (text_.compare(position_, 6, "range(") == 0) {
        read_range();
      } else {
        spec_.literal = literal();
      }
      finish();
      return std::move(spec_);
    } else if (dtype_from_name(word) != DType::undefined) {
      read_dtype(word);
    } else {
      spec_.name = word;
    }
    if (accept('[')) read_dims();
    if (accept('=')) {
      const bool is_range = text_.compare(position_, 5, "range") == 0;
      if (is_range || spec_.dtype == DType::undefined) {
        read_range();
      } else {
        spec_.literal = literal();
      }
    }
    finish();
    if (spec_.name.empty() && spec_.dtype == DType::undefined) fail("name and dtype are missing");
    return std::move(spec_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::usage,
                fmt::format("input specification '{}': {}; the form is {}", text_, what, kForm));
  }

  void finish() const {
    if (position_ != text_.size()) fail(fmt::format("'{}' is left over", text_.substr(position_)));
  }

  bool accept(char c) {
    skip_spaces();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    skip_spaces();
    return true;
  }

  void expect(char c) {
    if (accept(c)) return;
    const std::string found =
        position_ == text_.size() ? "the end" : fmt::format("'{}'", text_.substr(position_));
    fail(fmt::format("'{}' expected, but found {}", c, found));
  }

  void skip_spaces() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }

  std::string take(bool (*belongs)(char)) {
    skip_spaces();
    const size_t begin = position_;
    while (position_ < text_.size() && belongs(text_[position_])) ++position_;
    return text_.substr(begin, position_ - begin);
  }

  std::string path() {
    return take([](char c) { return is_name_char(c) || c == '.'; });
  }

  int64_t integer(std::string_view what) {
    const std::string word = take([](char c) { return is_name_char(c) || c == '-'; });
    int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) {
      fail(fmt::format("'{}' is no {}", word, what));
    }
    return value;
  }

  void read_dtype(const std::string& word) {
    spec_.dtype = dtype_from_name(word);
    if (spec_.dtype == DType::undefined) {
      fail(
          fmt::format("'{}' is no dtype (float32, float16, bfloat16, float64, int64, int32, int16, "
                      "int8, uint8, bool, ...)",
                      word));
    }
  }

  void read_dims() {
    spec_.dims.emplace();
    if (accept(']')) return;
    do {
      spec_.dims->push_back(read_dim());
    } while (accept(','));
    expect(']');
  }

  DimSpec read_dim() {
    DimSpec dim;
    skip_spaces();
    if (position_ < text_.size() && !std::isdigit(static_cast<unsigned char>(text_[position_])) &&
        text_[position_] != '-') {
      dim.name = take(is_name_char);
      if (dim.name.empty()) fail("a dimension is missing");
      if (!accept('=')) return dim;
    }
    dim.size = integer("size of a dimension");
    if (*dim.size < 0) fail(fmt::format("size {} is negative", *dim.size));
    return dim;
  }

  void read_range() {
    if (take(is_name_char) != "range") fail("after '=' comes range(LO,HI)");
    expect('(');
    const int64_t low = integer("number");
    expect(',');
    const int64_t high = integer("number");
    expect(')');
    if (low >= high) fail(fmt::format("range({},{}) is empty; HI is exclusive", low, high));
    spec_.range = {low, high};
  }

  InputSpec::Literal literal() {
    std::string word = text_.substr(position_);
    position_ = text_.size();
    if (word == "None" || word == "none") return std::monostate{};
    if (word == "True" || word == "true") return true;
    if (word == "False" || word == "false") return false;
    if (word.size() >= 2 && (word.front() == '\'' || word.front() == '"') &&
        word.back() == word.front()) {
      return word.substr(1, word.size() - 2);
    }
    const char* const end = word.data() + word.size();
    int64_t whole = 0;
    if (auto [stop, error] = std::from_chars(word.data(), end, whole);
        error == std::errc() && stop == end) {
      return whole;
    }
    double real = 0;
    if (auto [stop, error] = std::from_chars(word.data(), end, real);
        error == std::errc() && stop == end) {
      return real;
    }
    fail(fmt::format("'{}' is neither a number, True, False, None nor a quoted text", word));
  }

  const std::string& text_;
  size_t position_ = 0;
  InputSpec spec_;
};

}  // namespace

InputSpec parse_input_spec(const std::string& text) { return SpecParser(text).parse(); }

}  // namespace modelexport::frontend
