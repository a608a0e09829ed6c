#include "exporter/graph/passes/common_subexpressions.h"

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "exporter/graph/content_key.h"
#include "exporter/graph/passes/replacements.h"
#include "exporter/graph/scopes.h"

namespace modelexport::graph {
namespace {

constexpr std::string_view kRandom[] = {"Bernoulli",        "Dropout",       "Multinomial",
                                        "RandomNormal",     "RandomUniform", "RandomNormalLike",
                                        "RandomUniformLike"};
constexpr std::string_view kCommutative[] = {"Add",       "Mul",        "And",       "Or",
                                             "Xor",       "Equal",      "Max",       "Min",
                                             "BitwiseOr", "BitwiseAnd", "BitwiseXor"};

template <size_t kCount>
bool contains(const std::string_view (&names)[kCount], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

class Merger {
 public:
  Merger(Graph& graph, const Program& program)
      : graph_(graph), program_(program), replacements_(graph.values.size()) {}

  void run() {
    std::unordered_map<std::string, ValueId> seen;
    for (const Initializer& initializer : graph_.initializers) {
      ContentKey key;
      key.add(initializer.tensor);
      const auto [first, is_new] = seen.emplace(key.take(), initializer.value);
      if (!is_new) replacements_.replace(initializer.value, first->second);
    }
    merge(graph_.body);
    replacements_.apply(graph_.of_program);
  }

 private:
  void merge(Block& block) {
    visible_.emplace_back();
    for (Node& node : block.nodes) {
      replacements_.apply(node.inputs);
      bool has_blocks = false;
      for (Attribute& attribute : node.attributes) {
        if (auto* nested = std::get_if<std::shared_ptr<Block>>(&attribute.value)) {
          merge(**nested);
          has_blocks = true;
        }
      }
      if (has_blocks || !node.domain.empty() || contains(kRandom, node.op_type)) continue;
      std::string key = key_of(node);
      if (Node* first = find(key)) {
        merge_into(*first, node);
      } else {
        visible_.back().emplace(std::move(key), &node);
      }
    }
    replacements_.apply(block.outputs);
    visible_.pop_back();
  }

  static std::string key_of(const Node& node) {
    ContentKey key;
    key.add(node.op_type);
    std::vector<ValueId> inputs = node.inputs;
    if (contains(kCommutative, node.op_type)) std::sort(inputs.begin(), inputs.end());
    key.add(inputs);
    for (ValueId output : node.outputs) key.add(output == kNone);
    for (const Attribute& attribute : node.attributes) key.add(attribute);
    return key.take();
  }

  Node* find(const std::string& key) {
    for (const auto& nodes : visible_) {
      const auto found = nodes.find(key);
      if (found != nodes.end()) return found->second;
    }
    return nullptr;
  }

  void merge_into(Node& first, Node& node) {
    absorb_origin(first, node, program_);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNone) continue;
      Value& kept = graph_.values[first.outputs[i]];
      if (!kept.shape) kept.shape = graph_.values[node.outputs[i]].shape;
      replacements_.replace(node.outputs[i], first.outputs[i]);
    }
  }

  Graph& graph_;
  const Program& program_;
  Replacements replacements_;
  // What has been computed so far, in each of the blocks around the current node.
  std::deque<std::unordered_map<std::string, Node*>> visible_;
};

}  // namespace

void merge_common_subexpressions(Graph& graph, const Program& program) {
  Merger(graph, program).run();
}

}  // namespace modelexport::graph
