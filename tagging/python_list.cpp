#include "tagging/python_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace modelexport::tagging {
namespace {

// What str.isprintable() rejects above ASCII: separators, format characters, surrogates, private
// use.
constexpr std::array<std::pair<uint32_t, uint32_t>, 17> kUnprintable = {{
    {0x7f, 0xa0},
    {0xad, 0xad},
    {0x600, 0x605},
    {0x61c, 0x61c},
    {0x6dd, 0x6dd},
    {0x70f, 0x70f},
    {0x1680, 0x1680},
    {0x180e, 0x180e},
    {0x2000, 0x200f},
    {0x2028, 0x202f},
    {0x205f, 0x206f},
    {0x3000, 0x3000},
    {0xd800, 0xf8ff},
    {0xfeff, 0xfeff},
    {0xfff0, 0xfffb},
    {0xfffe, 0xffff},
    {0xe0000, 0x10ffff},
}};

bool is_printable(uint32_t code_point) {
  return std::none_of(kUnprintable.begin(), kUnprintable.end(), [&](const auto& range) {
    return code_point >= range.first && code_point <= range.second;
  });
}

// Length of the UTF-8 sequence at the beginning of `text`, with its code point; {0, 0} if it is
// none.
std::pair<size_t, uint32_t> decode(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  size_t length = 0;
  uint32_t code_point = 0;
  if (lead >= 0xc2 && lead < 0xe0) {
    length = 2;
    code_point = lead & 0x1f;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    length = 3;
    code_point = lead & 0x0f;
  } else if (lead >= 0xf0 && lead < 0xf5) {
    length = 4;
    code_point = lead & 0x07;
  }
  if (length == 0 || text.size() < length) return {0, 0};
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return {0, 0};
    code_point = code_point << 6 | (next & 0x3f);
  }
  return {length, code_point};
}

void append_code_point(std::string& out, uint32_t code_point) {
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += static_cast<char>(0xc0 | code_point >> 6);
    out += static_cast<char>(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    out += static_cast<char>(0xe0 | code_point >> 12);
    out += static_cast<char>(0x80 | (code_point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code_point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code_point >> 18);
    out += static_cast<char>(0x80 | (code_point >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code_point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code_point & 0x3f));
  }
}

void append_escaped(std::string& out, uint32_t code_point) {
  if (code_point < 0x100)
    out += fmt::format("\\x{:02x}", code_point);
  else if (code_point < 0x10000)
    out += fmt::format("\\u{:04x}", code_point);
  else
    out += fmt::format("\\U{:08x}", code_point);
}

// Reads one escape sequence after its backslash; advances `text` past it. False if it is not one.
bool read_escape(std::string_view& text, std::string& out) {
  if (text.empty()) return false;
  const char kind = text[0];
  text.remove_prefix(1);
  size_t digits = 0;
  switch (kind) {
    case 'n':
      out += '\n';
      return true;
    case 'r':
      out += '\r';
      return true;
    case 't':
      out += '\t';
      return true;
    case '\\':
    case '\'':
    case '"':
      out += kind;
      return true;
    case 'x':
      digits = 2;
      break;
    case 'u':
      digits = 4;
      break;
    case 'U':
      digits = 8;
      break;
    default:
      return false;
  }
  if (text.size() < digits) return false;
  uint32_t code_point = 0;
  for (char c : text.substr(0, digits)) {
    const std::string_view hex = "0123456789abcdef";
    const size_t digit = hex.find(c);
    if (digit == std::string_view::npos) return false;
    code_point = code_point << 4 | static_cast<uint32_t>(digit);
  }
  append_code_point(out, code_point);
  text.remove_prefix(digits);
  return true;
}

void skip_spaces(std::string_view& text) {
  while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
}

}  // namespace

std::string python_repr(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  while (!text.empty()) {
    const char c = text[0];
    size_t length = 1;
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      append_escaped(out, static_cast<uint8_t>(c));
    } else if (static_cast<uint8_t>(c) < 0x7f) {
      out += c;
    } else {
      const auto [sequence, code_point] = decode(text);
      length = std::max<size_t>(sequence, 1);
      if (sequence == 0)
        append_escaped(out, static_cast<uint8_t>(c));
      else if (is_printable(code_point))
        out += text.substr(0, sequence);
      else
        append_escaped(out, code_point);
    }
    text.remove_prefix(length);
  }
  out += quote;
  return out;
}

std::string python_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ", ";
    out += python_repr(item);
  }
  out += ']';
  return out;
}

std::optional<std::vector<std::string>> parse_python_list(std::string_view text) {
  std::vector<std::string> items;
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  skip_spaces(text);
  while (!text.empty()) {
    const char quote = text[0];
    if (quote != '\'' && quote != '"') return std::nullopt;
    text.remove_prefix(1);
    std::string item;
    while (!text.empty() && text[0] != quote) {
      const char c = text[0];
      text.remove_prefix(1);
      if (c != '\\')
        item += c;
      else if (!read_escape(text, item))
        return std::nullopt;
    }
    if (text.empty()) return std::nullopt;
    text.remove_prefix(1);
    items.push_back(std::move(item));
    skip_spaces(text);
    if (text.empty()) break;
    if (text[0] != ',') return std::nullopt;
    text.remove_prefix(1);
    skip_spaces(text);
    if (text.empty()) return std::nullopt;
  }
  return items;
}

}  // namespace modelexport::tagging
