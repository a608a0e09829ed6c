// Python's repr() of a list of strings, and the way back: the value format of two of the tags.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace modelexport::tagging {

// repr(text), character for character as CPython 3 writes it: "it's" with double quotes, all others
// with single ones; backslashes, control and other unprintable characters escaped. `text` is UTF-8;
// a byte that is not becomes \xNN.
std::string python_repr(std::string_view text);

// repr(items): "['', 'blocks.0']".
std::string python_list(const std::vector<std::string>& items);

// The items of a list that python_list or Python itself wrote; nullopt if it is not one.
std::optional<std::vector<std::string>> parse_python_list(std::string_view text);

}  // namespace modelexport::tagging
