// Writes JSON piece by piece, so that a document need never be in memory as a whole.
//
//   JsonWriter json(sink, 2);
//   json.begin_object();
//   json.member("name", "x");
//   json.key("dims");
//   json.begin_array();
//   ...
//
// Levels up to `open_depth` have a line for each element, what is deeper stands on one line. The
// caller calls begin and end, key and value, in an order that makes sense.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace modelexport::analysis {

using Sink = std::function<void(std::string_view)>;

class JsonWriter {
 public:
  JsonWriter(Sink sink, int open_depth) : sink_(std::move(sink)), open_depth_(open_depth) {}
  ~JsonWriter() { flush(); }
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  void begin_object() { begin('{'); }
  void end_object() { end('}'); }
  void begin_array() { begin('['); }
  void end_array() { end(']'); }
  void key(std::string_view name);

  void value(std::string_view text);  // UTF-8; bytes that are not become U+FFFD
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(const char* text) { value(std::string_view(text)); }
  void value(double number);  // null where JSON has no number for it
  template <typename T>
  requires std::is_integral_v<T>
  void value(T number) {
    if constexpr (std::is_same_v<T, bool>)
      raw(number ? "true" : "false");
    else
      raw(std::to_string(number));
  }
  void null() { raw("null"); }
  // A value that is JSON already.
  void raw(std::string_view json);

  template <typename T>
  void value(const std::vector<T>& items) {
    begin_array();
    for (const T& item : items) value(item);
    end_array();
  }
  template <typename T>
  void member(std::string_view name, const T& item) {
    key(name);
    value(item);
  }

  void flush();

 private:
  void begin(char bracket);
  void end(char bracket);
  void separate();  // what stands before an element: a comma, a new line
  void new_line();
  void write_string(std::string_view text);

  Sink sink_;
  int open_depth_;
  std::string buffer_;
  std::vector<bool> empty_;  // of each open object or array: has it no element yet?
  bool after_key_ = false;
};

}  // namespace modelexport::analysis
