#include "analysis/sharing_json.h"

namespace modelexport::analysis {

void write_sharing(const Sharing& sharing, JsonWriter& json) {
  json.key("shared_parameters");
  json.begin_object();
  for (const SharedParameter& shared : sharing.parameters) {
    json.key(shared.name);
    json.begin_object();
    json.member("used_by", shared.used_by);
    json.member("share_count", shared.share_count);
    json.member("param_type", shared.param_type);
    json.member("sharing_pattern", name(shared.pattern));
    json.member("aliases", shared.aliases);
    json.member("bytes", shared.bytes);
    json.end_object();
  }
  json.end_object();

  json.key("sharing_analysis");
  json.begin_object();
  for (const SharingPattern pattern :
       {SharingPattern::tied_embeddings, SharingPattern::layer_sharing,
        SharingPattern::attention_sharing, SharingPattern::position_sharing}) {
    json.key(name(pattern));
    json.begin_array();
    for (const SharedParameter& shared : sharing.parameters) {
      if (shared.pattern != pattern) continue;
      json.begin_object();
      json.member("parameter", shared.name);
      json.member("modules", shared.used_by);
      json.end_object();
    }
    json.end_array();
  }
  json.member("total_shared_params", sharing.parameters.size());
  json.member("sharing_percentage", sharing.percentage());
  json.member("bytes_saved", sharing.bytes_saved);
  json.end_object();
}

}  // namespace modelexport::analysis
