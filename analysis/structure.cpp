#include "analysis/structure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

namespace modelexport::analysis {
namespace {

void check_values(const FileIndex& index, std::vector<Finding>& findings) {
  for (const std::string& name : index.redefined)
    findings.push_back({Check::values, name, "is defined more than once"});
  for (const FileIndex::Value& value : index.values) {
    if (value.is_defined()) continue;
    const std::string name(value.name);
    for (uint32_t node : value.consumers)
      findings.push_back({Check::values, index.node_name(node),
                          fmt::format("uses {}, which nothing defines", name)});
    if (value.is_output)
      findings.push_back({Check::values, name, "is an output, but nothing defines it"});
  }
}

void check_order(const FileIndex& index, std::vector<Finding>& findings) {
  for (uint32_t id = 0; id < index.nodes.size(); ++id) {
    for (uint32_t value : index.nodes[id].inputs) {
      if (value == kNone || index.values[value].producer == kNone) continue;
      const uint32_t producer = index.values[value].producer;
      if (producer >= id)
        findings.push_back({Check::order, index.node_name(id),
                            fmt::format("uses {} before {} defines it", index.values[value].name,
                                        producer == id ? "it" : index.node_name(producer))});
    }
  }
}

bool is_used(const FileIndex::Value& value) { return value.is_output || !value.consumers.empty(); }

void check_orphans(const FileIndex& index, std::vector<Finding>& findings) {
  for (uint32_t id : orphaned_nodes(index))
    findings.push_back({Check::orphans, index.node_name(id), "none of its outputs is used"});
  for (const FileIndex::Initializer& initializer : index.initializers)
    if (!is_used(index.values[initializer.value]))
      findings.push_back({Check::orphans, initializer.view->name, "no node uses this initializer"});
}

void check_cycles(const FileIndex& index, std::vector<Finding>& findings) {
  const std::vector<uint32_t> nodes = nodes_on_cycles(index);
  if (nodes.empty()) return;
  constexpr size_t kShown = 5;
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(nodes.size(), kShown); ++i)
    names.push_back(index.node_name(nodes[i]));
  if (nodes.size() > kShown) names.push_back(fmt::format("{} more", nodes.size() - kShown));
  findings.push_back({Check::cycles, names[0],
                      fmt::format("depends on itself, through {}", fmt::join(names, ", "))});
}

// The same bytes of a data file, seen as the same tensor.
void check_initializers(const FileIndex& index, std::vector<Finding>& findings) {
  std::map<std::tuple<std::string_view, uint64_t, DType, std::vector<int64_t>>, std::string_view>
      seen;
  for (const FileIndex::Initializer& initializer : index.initializers) {
    const onnx::TensorView& view = *initializer.view;
    if (view.location.empty() || view.bytes.empty()) continue;
    const auto [at, is_new] =
        seen.try_emplace({view.location, view.offset, view.dtype, view.dims}, view.name);
    if (!is_new)
      findings.push_back(
          {Check::initializers, view.name, fmt::format("is the same tensor as {}", at->second)});
  }
}

// The nodes that each node waits for, as often as it does: producers of its inputs and, for the
// owner of blocks, of what the blocks hand to it.
template <typename Visit>
void for_each_dependency(const FileIndex& index, uint32_t node, Visit visit) {
  for (const auto* values : {&index.nodes[node].inputs, &index.nodes[node].block_outputs})
    for (uint32_t value : *values)
      if (value != kNone && index.values[value].producer != kNone)
        visit(index.values[value].producer);
}

// Takes away nodes that wait for nothing, again and again (or, backwards, that nothing waits for).
// What remains lies on a cycle, or behind (before) one.
std::vector<char> remainder(const std::vector<std::vector<uint32_t>>& next,
                            const std::vector<std::vector<uint32_t>>& previous) {
  std::vector<size_t> waiting(next.size());
  std::vector<uint32_t> ready;
  for (uint32_t id = 0; id < next.size(); ++id) {
    waiting[id] = previous[id].size();
    if (waiting[id] == 0) ready.push_back(id);
  }
  std::vector<char> remains(next.size(), 1);
  while (!ready.empty()) {
    const uint32_t id = ready.back();
    ready.pop_back();
    remains[id] = 0;
    for (uint32_t other : next[id])
      if (--waiting[other] == 0) ready.push_back(other);
  }
  return remains;
}

}  // namespace

std::vector<uint32_t> orphaned_nodes(const FileIndex& index) {
  std::vector<uint32_t> out;
  for (uint32_t id = 0; id < index.nodes.size(); ++id) {
    const std::vector<uint32_t>& outputs = index.nodes[id].outputs;
    if (std::none_of(outputs.begin(), outputs.end(), [&](uint32_t value) {
          return value != kNone && is_used(index.values[value]);
        }))
      out.push_back(id);
  }
  return out;
}

std::vector<uint32_t> nodes_on_cycles(const FileIndex& index) {
  std::vector<std::vector<uint32_t>> next(index.nodes.size()), previous(index.nodes.size());
  for (uint32_t id = 0; id < index.nodes.size(); ++id) {
    for_each_dependency(index, id, [&](uint32_t producer) {
      next[producer].push_back(id);
      previous[id].push_back(producer);
    });
  }
  const std::vector<char> behind = remainder(next, previous);
  const std::vector<char> before = remainder(previous, next);
  std::vector<uint32_t> out;
  for (uint32_t id = 0; id < index.nodes.size(); ++id)
    if (behind[id] && before[id]) out.push_back(id);
  return out;
}

std::vector<Finding> check_structure(const FileIndex& index) {
  std::vector<Finding> findings;
  check_values(index, findings);
  check_order(index, findings);
  check_cycles(index, findings);
  check_orphans(index, findings);
  check_initializers(index, findings);
  return findings;
}

}  // namespace modelexport::analysis
