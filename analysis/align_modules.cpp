#include "analysis/align_modules.h"

#include <algorithm>
#include <utility>

#include "analysis/module_shapes.h"
#include "exporter/onnx/tensor_bytes.h"

namespace modelexport::analysis {
namespace {

// Beyond this many pairs of siblings they are matched by name.
constexpr size_t kMostPairs = size_t{16} << 20;

class Aligner {
 public:
  Aligner(const ModelSummary& first, const ModelSummary& second, const AlignOptions& options)
      : first_(first.tree),
        second_(second.tree),
        shapes1_(first, options.first_contents, options.only_holders, interned_),
        shapes2_(second, options.second_contents, options.only_holders, interned_) {
    out_.second.assign(first_.modules.size(), kNone);
    out_.first.assign(second_.modules.size(), kNone);
  }

  Alignment run() {
    align_roots();
    match_moved();
    return std::move(out_);
  }

 private:
  // ---- likeness ---------------------------------------------------------------------------------

  bool same_name(ModuleId a, ModuleId b) const {
    return tagging::last_element(first_.modules[a].path) ==
           tagging::last_element(second_.modules[b].path);
  }
  bool same_contents(ModuleId a, ModuleId b) const {
    return shapes1_.contents[a] >= 0 && shapes1_.contents[a] == shapes2_.contents[b];
  }
  bool same_structure(ModuleId a, ModuleId b) const {
    return shapes1_.structure[a] == shapes2_.structure[b];
  }
  bool may_be(ModuleId a, ModuleId b) const {
    return same_class(first_.modules[a], second_.modules[b]);
  }

  // 0: they are not the same. Contents tell more than a name, and both more than the order.
  int likeness(ModuleId a, ModuleId b) const {
    if (!may_be(a, b)) return same_name(a, b) ? 1 : 0;
    return 8 + 6 * same_contents(a, b) + 4 * same_structure(a, b) + 3 * same_name(a, b);
  }

  // ---- from the roots down ----------------------------------------------------------------------

  // A root of another class may have been put around the other one.
  void align_roots() {
    if (first_.modules.empty() || second_.modules.empty()) return;
    if (may_be(0, 0)) return align(0, 0);
    ModuleId within1 = kNone, within2 = kNone;
    for (ModuleId id = 1; id < first_.modules.size(); ++id)
      if (may_be(id, 0) && named(first_.modules[id]) &&
          (within1 == kNone || shapes1_.size[id] > shapes1_.size[within1]))
        within1 = id;
    for (ModuleId id = 1; id < second_.modules.size(); ++id)
      if (may_be(0, id) && named(second_.modules[id]) &&
          (within2 == kNone || shapes2_.size[id] > shapes2_.size[within2]))
        within2 = id;
    if (within1 != kNone) return align(within1, 0);
    if (within2 != kNone) return align(0, within2);
    align(0, 0);
  }

  static bool named(const Module& module) { return !module.class_name.empty(); }

  void align(ModuleId a, ModuleId b) {
    if (out_.second[a] != kNone || out_.first[b] != kNone) return;
    if (!may_be(a, b)) {
      if (const ModuleId inner = find_like(a, b, shapes2_.children, true); inner != kNone)
        return align(a, inner);
      if (const ModuleId inner = find_like(b, a, shapes1_.children, false); inner != kNone)
        return align(inner, b);
    }
    out_.second[a] = b;
    out_.first[b] = a;
    align_children(shapes1_.children[a], shapes2_.children[b]);
  }

  // The first module below `within` that looks as `wanted` of the other tree does.
  ModuleId find_like(ModuleId wanted, ModuleId within,
                     const std::vector<std::vector<ModuleId>>& children, bool wanted_is_first) {
    for (ModuleId child : children[within]) {
      if (wanted_is_first ? same_structure(wanted, child) && may_be(wanted, child)
                          : same_structure(child, wanted) && may_be(child, wanted))
        return child;
      const ModuleId deeper = find_like(wanted, child, children, wanted_is_first);
      if (deeper != kNone) return deeper;
    }
    return kNone;
  }

  void align_children(const std::vector<ModuleId>& a, const std::vector<ModuleId>& b) {
    const int best = 8 + 4 + 3;  // alike in all but perhaps contents
    const auto is_best = [&](ModuleId x, ModuleId y) {
      return likeness(x, y) == best + (shapes1_.contents[x] >= 0 ? 6 : 0);
    };
    size_t head = 0, tail = 0;
    while (head < a.size() && head < b.size() && is_best(a[head], b[head])) ++head;
    while (head + tail < a.size() && head + tail < b.size() &&
           is_best(a[a.size() - 1 - tail], b[b.size() - 1 - tail]))
      ++tail;
    for (size_t i = 0; i < head; ++i) align(a[i], b[i]);
    const std::vector<ModuleId> inner_a(a.begin() + head, a.end() - tail);
    const std::vector<ModuleId> inner_b(b.begin() + head, b.end() - tail);
    if (!inner_a.empty() && inner_a.size() * inner_b.size() <= kMostPairs)
      align_in_order(inner_a, inner_b);
    align_by_name(inner_a, inner_b);
    for (size_t i = tail; i > 0; --i) align(a[a.size() - i], b[b.size() - i]);
  }

  // The pairs, in the order of both, whose likenesses have the highest sum.
  void align_in_order(const std::vector<ModuleId>& a, const std::vector<ModuleId>& b) {
    const size_t width = b.size() + 1;
    std::vector<int> sums((a.size() + 1) * width, 0);  // of what follows i in a and j in b
    for (size_t i = a.size(); i-- > 0;)
      for (size_t j = b.size(); j-- > 0;) {
        const int pair = likeness(a[i], b[j]);
        sums[i * width + j] = std::max({sums[(i + 1) * width + j], sums[i * width + j + 1],
                                        pair > 0 ? pair + sums[(i + 1) * width + j + 1] : 0});
      }
    for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
      const int pair = likeness(a[i], b[j]);
      if (pair > 0 && sums[i * width + j] == pair + sums[(i + 1) * width + j + 1])
        align(a[i++], b[j++]);
      else if (sums[i * width + j] == sums[(i + 1) * width + j])
        ++i;
      else
        ++j;
    }
  }

  // Those left over: siblings whose order changed.
  void align_by_name(const std::vector<ModuleId>& a, const std::vector<ModuleId>& b) {
    std::map<std::string_view, ModuleId> by_name;
    for (ModuleId y : b)
      if (out_.first[y] == kNone) by_name[tagging::last_element(second_.modules[y].path)] = y;
    for (ModuleId x : a) {
      if (out_.second[x] != kNone) continue;
      const auto at = by_name.find(tagging::last_element(first_.modules[x].path));
      if (at != by_name.end() && may_be(x, at->second)) align(x, at->second);
    }
  }

  // Subtrees that are elsewhere, but hold the very same.
  void match_moved() {
    std::multimap<int, ModuleId> left;  // by contents
    for (ModuleId y = 0; y < second_.modules.size(); ++y)
      if (out_.first[y] == kNone && shapes2_.contents[y] >= 0)
        left.emplace(shapes2_.contents[y], y);
    for (ModuleId x = 0; x < first_.modules.size(); ++x) {
      if (out_.second[x] != kNone || shapes1_.contents[x] < 0) continue;
      const auto [begin, end] = left.equal_range(shapes1_.contents[x]);
      const auto at = std::find_if(
          begin, end, [&](const auto& entry) { return out_.first[entry.second] == kNone; });
      if (at != end) align(x, at->second);
    }
  }

  const Program& first_;
  const Program& second_;
  Interned interned_;
  ModuleShapes shapes1_, shapes2_;
  Alignment out_;
};

}  // namespace

Alignment align_modules(const ModelSummary& first, const ModelSummary& second,
                        const AlignOptions& options) {
  return Aligner(first, second, options).run();
}

std::vector<ContentDigest> digest_contents(const Program& program) {
  std::vector<ContentDigest> digests(program.tensors.size());
  for (TensorId id = 0; id < program.tensors.size(); ++id) {
    if (program.tensors[id].role == Role::constant) continue;
    ContentHash hash;
    onnx::for_each_block(program, program.tensors[id],
                         [&](std::span<const std::byte> block) { hash.update(block); });
    digests[id] = hash.digest();
  }
  return digests;
}

std::string local_name(const Module& module, const Tensor& tensor) {
  const std::string prefix = module.path.empty() ? "" : module.path + ".";
  const auto is_own = [&](const std::string& name) {
    return name.starts_with(prefix) && name.find('.', prefix.size()) == std::string::npos;
  };
  if (is_own(tensor.name)) return tensor.name.substr(prefix.size());
  for (const std::string& alias : tensor.aliases)
    if (is_own(alias)) return alias.substr(prefix.size());
  return tensor.name;
}

bool same_class(const Module& a, const Module& b) {
  return a.class_name.empty() || b.class_name.empty() ||
         tagging::short_class_name(a.class_name) == tagging::short_class_name(b.class_name);
}

}  // namespace modelexport::analysis
