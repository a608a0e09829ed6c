// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace modelexport::tagging {

std::string with_commas(int64_t number);                    // "1,234,567"
std::string readable_bytes(int64_t bytes);                  // "17.5 MB" (10^6 bytes)
std::string counted(int64_t count, std::string_view noun);  // "1 module", "2,000 modules"

}  // namespace modelexport::tagging
