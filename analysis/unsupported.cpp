#include "analysis/unsupported.h"

namespace modelexport::analysis {

void write_unsupported(const Unsupported& unsupported, JsonWriter& json) {
  if (unsupported.operators.empty()) return;
  json.key("unsupported");
  json.begin_array();
  for (const UnsupportedOperator& op : unsupported.operators) {
    json.begin_object();
    json.member("operator", op.key);
    json.member("reason", op.reason);
    json.member("approximated", op.approximated);
    json.member("places", op.places);
    json.end_object();
  }
  json.end_array();
  json.member("missing_outputs", unsupported.missing_outputs);
}

}  // namespace modelexport::analysis
