#include "exporter/graph/passes/replacements.h"

#include "exporter/graph/scopes.h"

namespace modelexport::graph {

void absorb_origin(Node& kept, const Node& other, const Program& program) {
  if (kept.origin == other.origin && kept.scope == other.scope && kept.tag == other.tag) return;
  merge_origin(kept, program, other.origin, scope_of(other, program));
}

}  // namespace modelexport::graph
