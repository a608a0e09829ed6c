#include "exporter/graph/call_units.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_set>

#include "exporter/graph/uses.h"

namespace modelexport::graph {
namespace {

class UnitMerger {
 public:
  explicit UnitMerger(std::vector<Unit>& units) : units_(units) {}

  void run() {
    for (size_t i = 0; i < units_.size(); ++i) {
      if (units_[i].call == kNone) continue;
      for (size_t j = i + 1; j < units_.size(); ++j) {
        if (units_[j].call != units_[i].call) continue;
        if (const std::optional<size_t> moved = merge(i, j)) {
          i = *moved;
          j = i;
        }
      }
    }
  }

 private:
  using Values = std::unordered_set<ValueId>;

  static bool uses(Unit& unit, const Values& values) {
    bool found = false;
    for (Node& node : unit.nodes) {
      for_each_use(node, [&](ValueId id) { found = found || values.contains(id); });
    }
    return found;
  }

  static void add_definitions(Unit& unit, Values& values) {
    for (Node& node : unit.nodes) values.insert(node.outputs.begin(), node.outputs.end());
  }

  // Makes unit `second` part of `first`; where that is then, or nullopt if it cannot be.
  std::optional<size_t> merge(size_t first, size_t second) {
    Values from_first;
    add_definitions(units_[first], from_first);
    from_first.erase(kNone);
    std::vector<size_t> before, after;  // of those in between
    for (size_t k = first + 1; k < second; ++k) {
      const bool depends = uses(units_[k], from_first);
      if (depends) add_definitions(units_[k], from_first);
      (depends ? after : before).push_back(k);
    }
    Values from_between;
    for (const size_t k : after) add_definitions(units_[k], from_between);
    from_between.erase(kNone);
    if (uses(units_[second], from_between)) return std::nullopt;

    Unit whole = std::move(units_[first]);
    std::move(units_[second].nodes.begin(), units_[second].nodes.end(),
              std::back_inserter(whole.nodes));
    std::vector<Unit> order;
    for (const size_t k : before) order.push_back(std::move(units_[k]));
    order.push_back(std::move(whole));
    for (const size_t k : after) order.push_back(std::move(units_[k]));
    std::move(order.begin(), order.end(), units_.begin() + static_cast<ptrdiff_t>(first));
    units_.erase(units_.begin() + static_cast<ptrdiff_t>(second));
    return first + before.size();
  }

  std::vector<Unit>& units_;
};

}  // namespace

void merge_units(std::vector<Unit>& units) { UnitMerger(units).run(); }

}  // namespace modelexport::graph
