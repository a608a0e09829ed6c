#include "exporter/graph/passes/dead_code.h"

#include <algorithm>

namespace modelexport::graph {
namespace {

class Sweep {
 public:
  explicit Sweep(Graph& graph) : graph_(graph), needed_(graph.values.size(), false) {}

  void run() {
    sweep(graph_.body);
    std::erase_if(graph_.initializers,
                  [&](const Initializer& initializer) { return !needed_[initializer.value]; });
  }

 private:
  // Backwards: a node comes before those that use it, also before those in nested blocks.
  void sweep(Block& block) {
    for (ValueId id : block.outputs) needed_[id] = true;
    std::vector<bool> live(block.nodes.size());
    for (size_t i = block.nodes.size(); i-- > 0;) {
      Node& node = block.nodes[i];
      live[i] = std::any_of(node.outputs.begin(), node.outputs.end(),
                            [&](ValueId id) { return id != kNone && needed_[id]; });
      if (!live[i]) continue;
      for (ValueId id : node.inputs) {
        if (id != kNone) needed_[id] = true;
      }
      for (Attribute& attribute : node.attributes) {
        if (auto* nested = std::get_if<std::shared_ptr<Block>>(&attribute.value)) sweep(**nested);
      }
    }
    size_t index = 0;
    std::erase_if(block.nodes, [&](const Node&) { return !live[index++]; });
  }

  Graph& graph_;
  std::vector<bool> needed_;  // by value
};

}  // namespace

void remove_dead_code(Graph& graph) { Sweep(graph).run(); }

}  // namespace modelexport::graph
