// find_parameter_uses of an ONNX file.
#include <algorithm>
#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "analysis/operator_kinds.h"
#include "analysis/parameter_uses.h"
#include "tagging/python_list.h"
#include "tagging/tags.h"

namespace modelexport::analysis {
namespace {

// A node's name within its call, as its tags have it: "linear_1".
std::string name_in_call(const onnx::NodeView& node) {
  const std::string* text = find(node.metadata, tagging::kNameScopes);
  const auto items = text ? tagging::parse_python_list(*text) : std::nullopt;
  return items && !items->empty() ? items->back() : node.op_type;
}

class FileUseFinder {
 public:
  FileUseFinder(const FileIndex& index, const ModuleTags& tags,
                const std::vector<TensorId>& tensor_of, const Program& tree)
      : index_(index), tags_(tags), tensor_of_(tensor_of) {
    looked_up_.resize(index.values.size());
    softmax_of_.assign(index.values.size(), kNone);
    result_.uses.resize(tree.tensors.size());
    result_.overlaps.resize(tree.tensors.size());
    for (uint32_t id = 0; id < tags.levels.size(); ++id)
      result_.calls.push_back({tags.levels[id].parent, id});
    by_position_.assign(index.values.size(), true);
    weights_in_.resize(index.values.size());
    attends_.assign(tags.levels.size(), false);
  }

  ParameterUses run() {
    find_overlaps();
    for (const FileIndex::Value& value : index_.values) {
      const size_t id = &value - index_.values.data();
      if (value.initializer != kNone && tensor_of_[value.initializer] != kNone)
        weights_in_[id] = {tensor_of_[value.initializer]};
      if (value.is_input) by_position_[id] = false;
    }
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) look_at(id);
    for (uint32_t id = 0; id < index_.nodes.size(); ++id) {
      add_uses(id);
      follow(id);
    }
    return std::move(result_);
  }

 private:
  // Weights that lie in the same bytes of one file.
  void find_overlaps() {
    std::vector<std::pair<const onnx::TensorView*, TensorId>> placed;
    for (size_t i = 0; i < tensor_of_.size(); ++i)
      if (tensor_of_[i] != kNone && !index_.initializers[i].view->bytes.empty())
        placed.emplace_back(index_.initializers[i].view, tensor_of_[i]);
    std::sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) {
      return a.first->bytes.data() < b.first->bytes.data();
    });
    for (size_t i = 0; i < placed.size(); ++i) {
      const std::byte* end = placed[i].first->bytes.data() + placed[i].first->bytes.size();
      for (size_t j = i + 1; j < placed.size() && placed[j].first->bytes.data() < end; ++j) {
        result_.overlaps[placed[i].second].push_back(placed[j].second);
        result_.overlaps[placed[j].second].push_back(placed[i].second);
      }
    }
  }

  void look_at(uint32_t id) {
    const FileIndex::Node& node = index_.nodes[id];
    find_attention(id);
    bool by_position = node.block_outputs.empty();
    bool is_made_of_weights = node.block_outputs.empty() && !is_lookup(node.view->op_type);
    std::vector<TensorId> weights;
    for (uint32_t value : node.inputs) {
      if (value == kNone) continue;
      by_position = by_position && by_position_[value];
      const bool is_constant = index_.values[value].initializer != kNone;
      if (weights_in_[value].empty() && !is_constant) is_made_of_weights = false;
      weights.insert(weights.end(), weights_in_[value].begin(), weights_in_[value].end());
    }
    by_position = by_position || reads_shape_only(node.view->op_type);
    for (uint32_t value : node.outputs) {
      if (value == kNone) continue;
      by_position_[value] = by_position;
      if (is_made_of_weights) weights_in_[value] = weights;
    }
  }

  void add_uses(uint32_t id) {
    const FileIndex::Node& node = index_.nodes[id];
    const uint32_t level = tags_.level_of[id];
    if (level == kNone) return;
    const bool hands_on = std::any_of(node.outputs.begin(), node.outputs.end(), [&](uint32_t v) {
      return v != kNone && !weights_in_[v].empty();
    });
    if (hands_on) return;  // a transpose or a cast of weights: whoever uses it uses them
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      for (TensorId tensor : weights_in_[node.inputs[i]]) add_use(id, i, level, tensor);
    }
  }

  void add_use(uint32_t id, size_t input, uint32_t level, TensorId tensor) {
    const FileIndex::Node& node = index_.nodes[id];
    const uint32_t seen = seen_[{
        tensor, level,
        name_in_call(*node.view) + " " + node.view->op_type + " " + std::to_string(input)}]++;
    ParameterUse use{.call = call_of(level, seen)};
    use.is_lookup = input == 0 && is_lookup(node.view->op_type);
    use.by_position = use.is_lookup && looks_up_by_position(node);
    use.attention = attention_of(level);
    use.in_attention = use.attention != kNone;
    result_.uses[tensor].push_back(use);
  }

  // A softmax that is multiplied with something is attention.
  void find_attention(uint32_t id) {
    const FileIndex::Node& node = index_.nodes[id];
    const uint32_t level = tags_.level_of[id];
    const std::string& op = node.view->op_type;
    if (level != kNone && attends(op)) attends_[level] = true;
    uint32_t softmax = normalizes(op) ? level : kNone;
    for (uint32_t value : node.inputs) {
      if (value == kNone || softmax_of_[value] == kNone) continue;
      if (multiplies(op)) attends_[softmax_of_[value]] = true;
      if (masks(op)) softmax = softmax_of_[value];
    }
    for (uint32_t value : node.outputs)
      if (value != kNone) softmax_of_[value] = softmax;
  }

  // What attention looks up by positions is still of that parameter where another attention adds it
  // to something.
  void follow(uint32_t id) {
    const FileIndex::Node& node = index_.nodes[id];
    const std::string& op = node.view->op_type;
    const uint32_t level = tags_.level_of[id];
    const uint32_t attention = level == kNone ? kNone : attention_of(level);
    std::set<LookedUp> looked_up;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      if (i == 0 && attention != kNone && looks_up_by_position(node))
        for (TensorId tensor : weights_in_[node.inputs[0]]) looked_up.insert({tensor, attention});
      for (const LookedUp& source : looked_up_[node.inputs[i]]) {
        if (hands_on(op)) looked_up.insert(source);
        if (attention != kNone && attention != source.attention)
          result_.uses[source.tensor].push_back({.call = attention,
                                                 .by_position = true,
                                                 .is_direct = false,
                                                 .in_attention = true,
                                                 .attention = attention});
      }
    }
    for (uint32_t value : node.outputs)
      if (value != kNone) looked_up_[value].assign(looked_up.begin(), looked_up.end());
  }

  bool looks_up_by_position(const FileIndex::Node& node) const {
    return is_lookup(node.view->op_type) && node.inputs.size() > 1 && node.inputs[1] != kNone &&
           by_position_[node.inputs[1]];
  }

  // The module that computes attention: this one, or the one above it.
  uint32_t attention_of(uint32_t level) const {
    if (attends_[level]) return level;
    const uint32_t above = tags_.levels[level].parent;
    return above != kNone && attends_[above] ? above : kNone;
  }

  // The call number `repeat` of a module: the first one is the level itself, the others below it.
  uint32_t call_of(uint32_t level, uint32_t repeat) {
    if (repeat == 0) return level;
    const auto [at, is_new] = repeats_.try_emplace({level, repeat}, result_.calls.size());
    if (is_new) result_.calls.push_back({level, level});
    return at->second;
  }

  struct LookedUp {
    TensorId tensor;
    uint32_t attention;  // the module that did
    auto operator<=>(const LookedUp&) const = default;
  };

  const FileIndex& index_;
  const ModuleTags& tags_;
  const std::vector<TensorId>& tensor_of_;
  std::vector<std::vector<LookedUp>> looked_up_;   // by value
  std::vector<uint32_t> softmax_of_;               // by value: the level whose softmax gave it
  std::vector<bool> by_position_;                  // by value: see ParameterUse
  std::vector<std::vector<TensorId>> weights_in_;  // by value: those that it is made of alone
  std::vector<bool> attends_;                      // by level
  std::map<std::tuple<TensorId, uint32_t, std::string>, uint32_t> seen_;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> repeats_;
  ParameterUses result_;
};

}  // namespace

ParameterUses find_parameter_uses(const FileIndex& index, const ModuleTags& tags,
                                  const std::vector<TensorId>& tensor_of, const Program& tree) {
  return FileUseFinder(index, tags, tensor_of, tree).run();
}

}  // namespace modelexport::analysis
