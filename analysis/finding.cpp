#include "analysis/finding.h"

#include <fmt/format.h>

namespace modelexport::analysis {

std::string_view name(Check check) {
  switch (check) {
    case Check::ports:
      return "ports";
    case Check::values:
      return "values";
    case Check::order:
      return "order";
    case Check::cycles:
      return "cycles";
    case Check::orphans:
      return "orphans";
    case Check::initializers:
      return "initializers";
    case Check::parameters:
      return "parameters";
    case Check::tags:
      return "tags";
    case Check::modules:
      return "modules";
  }
  return "";
}

std::string to_string(const Finding& finding) {
  return fmt::format("{}: {}: {}", name(finding.check), finding.subject, finding.text);
}

}  // namespace modelexport::analysis
