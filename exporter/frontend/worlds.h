// Lanes are worlds: ways in which the module may run. There is one per example, to which others are
// added where examples alone do not show what may vary:
// - the iterations of a loop, while its body is recorded,
// - what-ifs: the other branch of an If, another number of iterations, one row less found by
// nonzero. A what-if makes sizes differ that would be the same in all examples by chance, and so
// dynamic. It may contradict itself later on; then it is dropped.
//
// A value created in other worlds than the current ones is taken over: the lane of each current
// world is that of the world itself, or of its nearest ancestor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace modelexport::frontend {

using WorldId = uint32_t;

enum class WorldKind : uint8_t {
  real,        // happens in an example
  other_path,  // what if: another branch, another number of iterations
  found_less,  // what if: operators that look for something in data found one less
};

struct WorldSet {
  std::vector<WorldId> ids;  // in lane order
};
using Worlds = std::shared_ptr<const WorldSet>;

class WorldTree {
 public:
  WorldId add_root();
  WorldId add_child(WorldId parent, WorldKind kind);

  // Of the world and of all it descends from, the furthest from real.
  WorldKind kind(WorldId id) const { return nodes_[id].kind; }

  // Where in `worlds` the lane of `id` is: its own, its nearest ancestor's, else its first
  // descendant's.
  size_t lane(const WorldSet& worlds, WorldId id) const;

 private:
  struct Node {
    WorldId parent;
    WorldKind kind;
  };
  bool descends(WorldId id, WorldId ancestor) const;

  std::vector<Node> nodes_;
};

}  // namespace modelexport::frontend
