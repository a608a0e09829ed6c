// The page that report/ makes, with "{{DATA}}" where the data is to stand. Made by the build.
#pragma once

#include <string_view>

namespace modelexport::analysis {

std::string_view report_page();

}  // namespace modelexport::analysis
