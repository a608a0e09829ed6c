#include "tagging/retag.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "tagging/python_list.h"

namespace modelexport::tagging {
namespace {

using Indexes = std::set<size_t>;  // of nodes of the original, in its order

const std::string* find(const Metadata& metadata, std::string_view key) {
  const auto at = std::find_if(metadata.begin(), metadata.end(),
                               [&](const auto& entry) { return entry.first == key; });
  return at == metadata.end() ? nullptr : &at->second;
}

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (size_t end; (end = text.find(separator)) != std::string_view::npos;) {
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  parts.emplace_back(text);
  return parts;
}

// What the texts have in common, up to a separator; nullopt if one of the nodes has none.
std::optional<std::string> common_prefix(const std::vector<const Metadata*>& all,
                                         std::string_view key, std::string_view separator) {
  std::vector<std::string> common;
  for (const Metadata* metadata : all) {
    const std::string* text = find(*metadata, key);
    if (!text) return std::nullopt;
    std::vector<std::string> parts = split(*text, separator);
    if (metadata == all[0]) {
      common = std::move(parts);
      continue;
    }
    const auto [end, ignored] =
        std::mismatch(common.begin(), common.end(), parts.begin(), parts.end());
    common.erase(end, common.end());
  }
  std::string out;
  for (const std::string& part : common)
    out += (&part == &common[0] ? "" : separator.data()) + part;
  return out;
}

// The modules that all of the nodes are in, and the node itself as the operator.
Metadata common_ancestor(const std::vector<const Metadata*>& all, const FlowNode& node) {
  std::vector<std::pair<std::string, std::string>> common;  // names and classes
  for (const Metadata* metadata : all) {
    const std::string* name_text = find(*metadata, kNameScopes);
    const std::string* class_text = find(*metadata, kClassHierarchy);
    const auto names = name_text ? parse_python_list(*name_text) : std::nullopt;
    const auto classes = class_text ? parse_python_list(*class_text) : std::nullopt;
    if (!names || !classes || names->empty() || names->size() != classes->size()) return {};
    std::vector<std::pair<std::string, std::string>> levels;
    for (size_t i = 0; i + 1 < names->size(); ++i) levels.emplace_back((*names)[i], (*classes)[i]);
    if (metadata == all[0]) {
      common = std::move(levels);
      continue;
    }
    const auto [end, ignored] =
        std::mismatch(common.begin(), common.end(), levels.begin(), levels.end());
    common.erase(end, common.end());
  }
  common.emplace_back(node.op_type,
                      (node.domain.empty() ? "onnx" : node.domain) + "::" + node.op_type);
  std::vector<std::string> names, classes;
  std::string name_space;
  for (const auto& [name, class_name] : common) {
    names.push_back(name);
    classes.push_back(class_name);
    std::string segment = name + ": " + class_name;
    std::replace(segment.begin(), segment.end(), '/', '_');
    name_space += (name_space.empty() ? "" : "/") + segment;
  }
  Metadata out = {{kNamespace, name_space},
                  {kClassHierarchy, python_list(classes)},
                  {kNameScopes, python_list(names)}};
  const auto trace = common_prefix(all, kStackTrace, "\n  ");
  if (trace && !trace->empty()) out.emplace_back(kStackTrace, *trace);
  if (const auto tag = common_prefix(all, kHierarchyTag, "/"))
    out.emplace_back(kHierarchyTag, *tag);
  return out;
}

bool is_tagged(const FlowNode& node) {
  return find(node.tags, kNameScopes) && find(node.tags, kClassHierarchy);
}

class Retagger {
 public:
  Retagger(const FlowGraph& optimised, const FlowGraph& original)
      : optimised_(optimised), original_(original) {
    for (size_t i = 0; i < original.nodes.size(); ++i) {
      names_.emplace(original.nodes[i].name, i);
      for (const std::string& value : original.nodes[i].outputs) producers_.emplace(value, i);
      for (const std::string& value : original.nodes[i].inputs) readers_[value].insert(i);
    }
    present_.insert(optimised.sources.begin(), optimised.sources.end());
    sources_.insert(optimised.sources.begin(), optimised.sources.end());
    for (size_t i = 0; i < optimised.nodes.size(); ++i) {
      for (const std::string& value : optimised.nodes[i].outputs) present_.insert(value);
      for (const std::string& value : optimised.nodes[i].inputs) consumers_[value].push_back(i);
    }
  }

  std::vector<RetaggedNode> run() {
    made_of_.resize(optimised_.nodes.size());
    for (size_t i = 0; i < optimised_.nodes.size(); ++i) {
      for (const std::string& value : optimised_.nodes[i].outputs) add_cone(value, made_of_[i]);
    }
    std::vector<RetaggedNode> out;
    for (size_t i = 0; i < optimised_.nodes.size(); ++i) out.push_back(tag(i));
    return out;
  }

 private:
  // The original's nodes that make `value` out of what is still there.
  void add_cone(const std::string& value, Indexes& cone) const {
    const auto producer = producers_.find(value);
    if (value.empty() || producer == producers_.end()) return;
    if (!cone.insert(producer->second).second) return;
    for (const std::string& input : original_.nodes[producer->second].inputs) {
      if (!present_.contains(input)) add_cone(input, cone);
    }
  }

  RetaggedNode tag(size_t index) const {
    const FlowNode& node = optimised_.nodes[index];
    if (is_tagged(node)) return {Retagged::kept, node.tags};
    if (!made_of_[index].empty()) return tag_as(made_of_[index], node, Retagged::fused);
    const auto same_name = names_.find(node.name);
    if (!node.name.empty() && same_name != names_.end() &&
        original_.nodes[same_name->second].op_type == node.op_type) {
      return tag_as({same_name->second}, node, Retagged::same);
    }
    return tag_as(on_the_way(index), node, Retagged::by_flow);
  }

  RetaggedNode tag_as(const Indexes& nodes, const FlowNode& node, Retagged how) const {
    std::vector<const Metadata*> tags;
    for (const size_t index : nodes) {
      if (is_tagged(original_.nodes[index])) tags.push_back(&original_.nodes[index].tags);
    }
    if (tags.empty()) return {};
    const bool is_one = nodes.size() == 1 && how != Retagged::by_flow;
    if (is_one && original_.nodes[*nodes.begin()].op_type == node.op_type)
      return {Retagged::same, *tags[0]};
    return {how, is_one ? *tags[0] : common_ancestor(tags, node)};
  }

  // What the next values that the original has were made of; where the node reads an input or a
  // weight, only what reads that too.
  Indexes on_the_way(size_t index) const {
    Indexes all;
    std::vector<size_t> pending = {index};
    std::unordered_set<size_t> seen = {index};
    while (!pending.empty()) {
      const size_t at = pending.back();
      pending.pop_back();
      all.insert(made_of_[at].begin(), made_of_[at].end());
      if (!made_of_[at].empty()) continue;
      for (const std::string& value : optimised_.nodes[at].outputs) {
        const auto consumers = consumers_.find(value);
        if (value.empty() || consumers == consumers_.end()) continue;
        for (const size_t next : consumers->second) {
          if (seen.insert(next).second) pending.push_back(next);
        }
      }
    }
    Indexes reading;
    for (const std::string& value : optimised_.nodes[index].inputs) {
      const auto readers = readers_.find(value);
      if (readers == readers_.end() || !sources_.contains(value)) continue;
      std::set_intersection(readers->second.begin(), readers->second.end(), all.begin(), all.end(),
                            std::inserter(reading, reading.end()));
    }
    return reading.empty() ? all : reading;
  }

  const FlowGraph& optimised_;
  const FlowGraph& original_;
  std::unordered_map<std::string, size_t> producers_, names_;       // of the original
  std::unordered_map<std::string, Indexes> readers_;                // the same
  std::unordered_set<std::string> sources_;                         // of the optimised graph
  std::unordered_set<std::string> present_;                         // values of the optimised graph
  std::unordered_map<std::string, std::vector<size_t>> consumers_;  // in it
  std::vector<Indexes> made_of_;  // by node of it: what it stands for
};

}  // namespace

std::vector<RetaggedNode> retag(const FlowGraph& optimised, const FlowGraph& original) {
  return Retagger(optimised, original).run();
}

}  // namespace modelexport::tagging
