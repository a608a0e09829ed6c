#include "exporter/frontend/worlds.h"

#include <algorithm>

#include "exporter/error.h"

namespace modelexport::frontend {

WorldId WorldTree::add_root() {
  const auto id = static_cast<WorldId>(nodes_.size());
  nodes_.push_back({id, WorldKind::real});
  return id;
}

WorldId WorldTree::add_child(WorldId parent, WorldKind kind) {
  nodes_.push_back({parent, std::max(kind, nodes_[parent].kind)});
  return static_cast<WorldId>(nodes_.size() - 1);
}

bool WorldTree::descends(WorldId id, WorldId ancestor) const {
  while (id != ancestor && nodes_[id].parent != id) id = nodes_[id].parent;
  return id == ancestor;
}

size_t WorldTree::lane(const WorldSet& worlds, WorldId id) const {
  for (WorldId at = id;; at = nodes_[at].parent) {
    const auto found = std::find(worlds.ids.begin(), worlds.ids.end(), at);
    if (found != worlds.ids.end()) return static_cast<size_t>(found - worlds.ids.begin());
    if (nodes_[at].parent == at) break;
  }
  for (size_t lane = 0; lane < worlds.ids.size(); ++lane) {
    if (descends(worlds.ids[lane], id)) return lane;
  }
  throw Error(ErrorKind::internal,
              "a value is not observed in any world related to the current one");
}

}  // namespace modelexport::frontend
