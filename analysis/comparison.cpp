#include "analysis/comparison.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "analysis/value_difference.h"

namespace modelexport::analysis {
namespace {

class Comparer {
 public:
  Comparer(const ModelSummary& first, const ModelSummary& second, const CompareOptions& options)
      : a_(first), b_(second), options_(options) {
    AlignOptions align{.only_holders = options.only_holders};
    if (options.values) {
      align.first_contents = digest_contents(a_.tree);
      align.second_contents = digest_contents(b_.tree);
    }
    out_.alignment = align_modules(a_, b_, align);
    first_contents_ = std::move(align.first_contents);
    second_contents_ = std::move(align.second_contents);
  }

  Comparison run() {
    find_holders();
    compare_interface();
    compare_modules();
    compare_tensors();
    if (options_.operators) {
      compare_operators();
      compare_sharing();
    }
    return std::move(out_);
  }

 private:
  // ---- modules ----------------------------------------------------------------------------------

  static std::vector<char> holders(const ModelSummary& model) {
    std::vector<char> holds(model.tree.modules.size(), 0);
    for (ModuleId id = holds.size(); id-- > 0;) {
      const Module& module = model.tree.modules[id];
      holds[id] = holds[id] || !module.parameters.empty() || !module.buffers.empty();
      if (holds[id] && module.parent != kNone) holds[module.parent] = 1;
    }
    return holds;
  }
  void find_holders() {
    holds_a_ = holders(a_);
    holds_b_ = holders(b_);
  }
  bool counts(const std::vector<char>& holds, ModuleId id) const {
    return !options_.only_holders || holds[id];
  }

  void compare_modules() {
    for (ModuleId id = 0; id < a_.tree.modules.size(); ++id) {
      const ModuleId other = out_.alignment.second[id];
      if (other == kNone) continue;
      ++out_.modules_aligned;
      const Module& a = a_.tree.modules[id];
      const Module& b = b_.tree.modules[other];
      if (!same_class(a, b))
        out_.modules.push_back({.change = Change::reclassed, .first = id, .second = other});
      else if (moved(a, b))
        out_.modules.push_back({.change = Change::renamed, .first = id, .second = other});
    }
    add_unmatched(a_, out_.alignment.second, holds_a_, Change::removed);
    add_unmatched(b_, out_.alignment.first, holds_b_, Change::added);
  }

  // Another name, or below another module. (The root may stand within a module put around it.)
  bool moved(const Module& a, const Module& b) const {
    if (a.parent == kNone || b.parent == kNone) return false;
    return tagging::last_element(a.path) != tagging::last_element(b.path) ||
           out_.alignment.second[a.parent] != b.parent;
  }

  // Only the topmost of those that were added or removed together.
  void add_unmatched(const ModelSummary& model, const std::vector<ModuleId>& other,
                     const std::vector<char>& holds, Change change) {
    const std::vector<Module>& modules = model.tree.modules;
    std::vector<ModuleChange> below(modules.size());
    std::vector<std::set<TensorId>> tensors(modules.size());
    for (ModuleId id = modules.size(); id-- > 0;) {
      if (other[id] != kNone || !counts(holds, id)) continue;
      for (TensorId tensor : modules[id].parameters) tensors[id].insert(tensor);
      for (TensorId tensor : tensors[id])
        below[id].parameters += model.tree.tensors[tensor].element_count();
      const ModuleId parent = modules[id].parent;
      if (parent == kNone || other[parent] != kNone) continue;
      below[parent].modules += below[id].modules;
      tensors[parent].merge(tensors[id]);
    }
    for (ModuleId id = 0; id < modules.size(); ++id) {
      const ModuleId parent = modules[id].parent;
      const bool is_topmost = parent == kNone || other[parent] != kNone;
      if (other[id] != kNone || !is_topmost || !counts(holds, id)) continue;
      ModuleChange& added = out_.modules.emplace_back(below[id]);
      added.change = change;
      (change == Change::added ? added.second : added.first) = id;
    }
  }

  // ---- parameters and buffers -------------------------------------------------------------------

  static std::map<std::string, TensorId> by_local_name(const ModelSummary& model, ModuleId id) {
    std::map<std::string, TensorId> tensors;
    for (TensorId tensor : own_tensors(model.tree.modules[id]))
      tensors[local_name(model.tree.modules[id], model.tree.tensors[tensor])] = tensor;
    return tensors;
  }

  void compare_tensors() {
    second_tensor_.assign(a_.tree.tensors.size(), kNone);
    for (ModuleId id = 0; id < a_.tree.modules.size(); ++id)
      if (out_.alignment.second[id] != kNone) compare_tensors(id, out_.alignment.second[id]);
    // Those of modules that have no counterpart are told by the module.
  }

  void compare_tensors(ModuleId first, ModuleId second) {
    std::map<std::string, TensorId> a = by_local_name(a_, first), b = by_local_name(b_, second);
    std::vector<TensorId> removed;
    for (const auto& [name, tensor] : a) {
      const auto at = b.find(name);
      if (at == b.end()) {
        removed.push_back(tensor);
        continue;
      }
      compare(tensor, at->second, Change::changed);
      b.erase(at);
    }
    for (TensorId tensor : removed) {
      const auto at = std::find_if(b.begin(), b.end(), [&](const auto& entry) {
        return same_contents(tensor, entry.second);
      });
      if (at == b.end()) {
        out_.tensors.push_back({.change = Change::removed, .first = tensor});
      } else {
        compare(tensor, at->second, Change::renamed);
        b.erase(at);
      }
    }
    for (const auto& [name, tensor] : b)
      out_.tensors.push_back({.change = Change::added, .second = tensor});
  }

  bool same_type(const Tensor& a, const Tensor& b) const {
    return a.dtype == b.dtype && a.sizes == b.sizes;
  }
  bool same_contents(TensorId a, TensorId b) const {
    return options_.values && same_type(a_.tree.tensors[a], b_.tree.tensors[b]) &&
           first_contents_[a] == second_contents_[b];
  }

  void compare(TensorId first, TensorId second, Change change) {
    if (!compared_.insert({first, second}).second) return;
    second_tensor_[first] = second;
    ++out_.tensors_aligned;
    const Tensor& a = a_.tree.tensors[first];
    const Tensor& b = b_.tree.tensors[second];
    TensorChange found{.change = change, .first = first, .second = second};
    if (a.sizes != b.sizes) {
      found.change = Change::reshaped;
    } else if (a.dtype != b.dtype) {
      found.change = Change::retyped;
    } else if (change == Change::changed) {
      if (!options_.values || first_contents_[first] == second_contents_[second]) return;
      const ValueDifference difference = value_difference(a_.tree, a, b_.tree, b);
      found.different = difference.different;
      found.max_abs = difference.max_abs;
    }
    out_.tensors.push_back(found);
  }

  // ---- operators --------------------------------------------------------------------------------

  // "count and attributes" by operator, of one module's own nodes.
  using Operators = std::map<std::string, std::multiset<std::string>>;

  static std::vector<Operators> operators_by_module(const ModelSummary& model) {
    std::vector<Operators> by_module(model.tree.modules.size());
    for (const ModelNode& node : model.nodes)
      by_module[node.module][node.op].insert(node.attributes);
    return by_module;
  }

  void compare_operators() {
    if (a_.nodes.empty() || b_.nodes.empty() || a_.format != b_.format) return;
    const std::vector<Operators> first = operators_by_module(a_);
    const std::vector<Operators> second = operators_by_module(b_);
    for (ModuleId id = 0; id < first.size(); ++id) {
      const ModuleId other = out_.alignment.second[id];
      if (other != kNone) compare_operators(id, first[id], other, second[other]);
    }
  }

  void compare_operators(ModuleId a, const Operators& first, ModuleId b, const Operators& second) {
    std::set<std::string> names;
    for (const auto* side : {&first, &second})
      for (const auto& [op, attributes] : *side) names.insert(op);
    static const std::multiset<std::string> kNoAttributes;
    for (const std::string& op : names) {
      const auto in_first = first.find(op), in_second = second.find(op);
      const auto& x = in_first == first.end() ? kNoAttributes : in_first->second;
      const auto& y = in_second == second.end() ? kNoAttributes : in_second->second;
      if (x == y) continue;
      OperatorChange change{.first = a, .second = b, .op = op};
      change.first_count = static_cast<int64_t>(x.size());
      change.second_count = static_cast<int64_t>(y.size());
      if (x.empty()) change.change = Change::added;
      if (y.empty()) change.change = Change::removed;
      if (x.size() == y.size()) {
        const auto [at_x, at_y] = std::mismatch(x.begin(), x.end(), y.begin());
        change.first_attributes = *at_x;
        change.second_attributes = *at_y;
      }
      out_.operators.push_back(std::move(change));
    }
  }

  // ---- sharing ----------------------------------------------------------------------------------

  void compare_sharing() {
    if (a_.nodes.empty() != b_.nodes.empty()) return;  // who uses what is known of one only
    std::map<TensorId, const SharedParameter*> second;
    for (const SharedParameter& shared : b_.sharing.parameters) second[shared.tensor] = &shared;
    for (const SharedParameter& shared : a_.sharing.parameters) {
      const TensorId tensor = second_tensor_[shared.tensor];
      const auto at = second.find(tensor);
      SharingChange change{.change = Change::removed, .first = shared.tensor, .second = tensor};
      change.first_sharing = &shared;
      if (at != second.end()) {
        change.change = Change::changed;
        change.second_sharing = at->second;
        second.erase(at);
        const SharedParameter& other = *change.second_sharing;
        if (shared.share_count == other.share_count && shared.pattern == other.pattern &&
            shared.aliases.size() == other.aliases.size())
          continue;
      }
      out_.sharing.push_back(change);
    }
    for (const auto& [tensor, shared] : second) {
      SharingChange change{.change = Change::added, .second = tensor, .second_sharing = shared};
      const auto at = std::find(second_tensor_.begin(), second_tensor_.end(), tensor);
      if (at != second_tensor_.end()) change.first = at - second_tensor_.begin();
      out_.sharing.push_back(change);
    }
  }

  // ---- inputs, outputs, opset -------------------------------------------------------------------

  void compare_interface() {
    if (a_.format == b_.format && a_.opset != b_.opset)
      out_.interface.push_back(
          {Change::changed, "opset", std::to_string(a_.opset), std::to_string(b_.opset)});
    if (a_.nodes.empty() || b_.nodes.empty()) return;
    compare_ports("input ", a_.inputs, b_.inputs);
    compare_ports("output ", a_.outputs, b_.outputs);
  }

  // Names of dynamic dimensions are not compared: who exports chooses them.
  static std::string without_names(const std::string& type) {
    std::string out;
    bool in_name = false, in_shape = false;
    for (char c : type) {
      in_shape = in_shape || c == '[';
      const bool of_name = in_shape && (std::isalpha(static_cast<unsigned char>(c)) || c == '_' ||
                                        (in_name && c != ',' && c != ']'));
      if (!of_name) out += c;
      if (of_name && !in_name) out += '?';
      in_name = of_name;
    }
    return out;
  }

  void compare_ports(const std::string& kind, const std::vector<ModelPort>& first,
                     const std::vector<ModelPort>& second) {
    std::map<std::string, std::string> others;
    for (const ModelPort& port : second) others[port.name] = port.type;
    for (const ModelPort& port : first) {
      const auto at = others.find(port.name);
      if (at == others.end()) {
        out_.interface.push_back({Change::removed, kind + port.name, port.type, ""});
        continue;
      }
      if (without_names(at->second) != without_names(port.type))
        out_.interface.push_back({Change::changed, kind + port.name, port.type, at->second});
      others.erase(at);
    }
    for (const auto& [name, type] : others)
      out_.interface.push_back({Change::added, kind + name, "", type});
  }

  const ModelSummary& a_;
  const ModelSummary& b_;
  const CompareOptions& options_;
  std::vector<ContentDigest> first_contents_, second_contents_;
  std::vector<char> holds_a_, holds_b_;
  std::vector<TensorId> second_tensor_;  // by tensor of the first
  std::set<std::pair<TensorId, TensorId>> compared_;
  Comparison out_;
};

}  // namespace

std::string_view name(Change change) {
  switch (change) {
    case Change::added:
      return "added";
    case Change::removed:
      return "removed";
    case Change::renamed:
      return "renamed";
    case Change::reclassed:
      return "reclassed";
    case Change::reshaped:
      return "reshaped";
    case Change::retyped:
      return "retyped";
    case Change::changed:
      return "changed";
  }
  return "";
}

Comparison compare_models(const ModelSummary& first, const ModelSummary& second,
                          const CompareOptions& options) {
  return Comparer(first, second, options).run();
}

}  // namespace modelexport::analysis
