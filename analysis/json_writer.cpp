#include "analysis/json_writer.h"

#include <fmt/format.h>

#include <cmath>

namespace modelexport::analysis {
namespace {

constexpr size_t kBuffer = size_t{1} << 16;

// Length of the UTF-8 sequence at the beginning of `text`; 0 if it is none.
size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  size_t length = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) length = 2;
  if (lead >= 0xe0 && lead < 0xf0) length = 3;
  if (lead >= 0xf0 && lead < 0xf5) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((text[i] & 0xc0) != 0x80) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool no_character = (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
  return overlong || no_character ? 0 : length;
}

}  // namespace

void JsonWriter::flush() {
  if (!buffer_.empty()) sink_(buffer_);
  buffer_.clear();
}

void JsonWriter::key(std::string_view name) {
  separate();
  write_string(name);
  buffer_ += ": ";
  after_key_ = true;
}

void JsonWriter::value(std::string_view text) {
  separate();
  write_string(text);
}

void JsonWriter::value(double number) {
  raw(std::isfinite(number) ? fmt::format("{}", number) : "null");
}

void JsonWriter::raw(std::string_view json) {
  separate();
  buffer_ += json;
}

void JsonWriter::begin(char bracket) {
  separate();
  buffer_ += bracket;
  empty_.push_back(true);
}

void JsonWriter::end(char bracket) {
  const bool empty = empty_.back();
  const bool open = static_cast<int>(empty_.size()) <= open_depth_;
  empty_.pop_back();
  if (open && !empty) new_line();
  buffer_ += bracket;
  if (empty_.empty()) {
    buffer_ += '\n';
    flush();
  }
}

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (empty_.empty()) return;
  if (buffer_.size() >= kBuffer) flush();
  const bool first = empty_.back();
  empty_.back() = false;
  if (!first) buffer_ += ',';
  if (static_cast<int>(empty_.size()) <= open_depth_)
    new_line();
  else if (!first)
    buffer_ += ' ';
}

void JsonWriter::new_line() {
  buffer_ += '\n';
  buffer_.append(2 * empty_.size(), ' ');
}

void JsonWriter::write_string(std::string_view text) {
  buffer_ += '"';
  while (!text.empty()) {
    const char c = text[0];
    const size_t length = sequence_length(text);
    if (c == '"' || c == '\\') {
      buffer_ += '\\';
      buffer_ += c;
    } else if (c == '\n') {
      buffer_ += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      buffer_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else if (length == 0) {
      buffer_ += "\xef\xbf\xbd";
    } else {
      buffer_ += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  buffer_ += '"';
}

}  // namespace modelexport::analysis
