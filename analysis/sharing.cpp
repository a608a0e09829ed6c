#include "analysis/sharing.h"

#include <algorithm>
#include <set>

#include "analysis/parameter_uses.h"

namespace modelexport::analysis {
namespace {

std::set<uint32_t> calls_of(const std::vector<ParameterUse>& uses) {
  std::set<uint32_t> calls;
  for (const ParameterUse& use : uses) calls.insert(use.call);
  return calls;
}

class SharingAnalysis {
 public:
  SharingAnalysis(const Program& program, const ParameterUses& uses,
                  const std::vector<std::string_view>& tags)
      : program_(program), uses_(uses), tags_(tags) {
    for (TensorId id = 0; id < program.tensors.size(); ++id)
      is_shared_.push_back(program.tensors[id].role != Role::constant &&
                           (!program.tensors[id].aliases.empty() || !uses_.overlaps[id].empty() ||
                            calls_of(uses_.uses[id]).size() > 1));
  }

  Sharing run() {
    Sharing out;
    for (TensorId id = 0; id < program_.tensors.size(); ++id) {
      if (program_.tensors[id].role == Role::parameter) ++out.total_parameters;
      if (!is_shared_[id]) continue;
      out.parameters.push_back(describe(id));
      out.bytes_saved += out.parameters.back().bytes * (out.parameters.back().share_count - 1);
    }
    return out;
  }

 private:
  SharedParameter describe(TensorId id) const {
    const Tensor& tensor = program_.tensors[id];
    SharedParameter out{.tensor = id, .name = tensor.name};
    out.param_type = tagging::last_element(tensor.name);
    out.bytes = tensor.element_count() * static_cast<int64_t>(byte_size(tensor.dtype));
    out.aliases = tensor.aliases;
    for (TensorId other : uses_.overlaps[id]) out.aliases.push_back(program_.tensors[other].name);
    for (const ParameterUse& use : uses_.uses[id]) {
      const std::string_view tag = tags_[use.call];
      if (std::find(out.used_by.begin(), out.used_by.end(), tag) == out.used_by.end())
        out.used_by.emplace_back(tag);
    }
    const size_t calls = calls_of(uses_.uses[id]).size();
    const bool was_run = std::any_of(uses_.uses.begin(), uses_.uses.end(),
                                     [](const auto& list) { return !list.empty(); });
    out.share_count =
        static_cast<int64_t>(std::max<size_t>(1, was_run ? calls : 1 + tensor.aliases.size()));
    out.pattern = pattern_of(id);
    return out;
  }

  SharingPattern pattern_of(TensorId id) const {
    const std::vector<ParameterUse>& uses = uses_.uses[id];
    const auto is_lookup = [](const ParameterUse& use) { return use.is_lookup; };
    if (std::any_of(uses.begin(), uses.end(), is_lookup)) {
      const bool by_position = std::all_of(uses.begin(), uses.end(),
                                           [](const ParameterUse& use) { return use.by_position; });
      // Positions may be computed from the inputs (where padding is left out): only names tell.
      const bool named = std::all_of(uses.begin(), uses.end(), is_lookup) &&
                         program_.tensors[id].name.find("position") != std::string::npos;
      return by_position || named ? SharingPattern::position_sharing
                                  : SharingPattern::tied_embeddings;
    }
    const bool attends =
        !uses.empty() && std::all_of(uses.begin(), uses.end(),
                                     [](const ParameterUse& use) { return use.in_attention; });
    if (attends && std::any_of(uses.begin(), uses.end(), [&](const ParameterUse& use) {
          return layer_has_own_parameters(use.attention);
        }))
      return SharingPattern::attention_sharing;
    return SharingPattern::layer_sharing;
  }

  // Does the call around this call of attention use parameters that are not shared?
  bool layer_has_own_parameters(uint32_t attention) const {
    uint32_t layer = uses_.calls[attention].parent;
    if (layer == kNone) layer = attention;
    for (TensorId id = 0; id < program_.tensors.size(); ++id) {
      if (program_.tensors[id].role != Role::parameter || is_shared_[id]) continue;
      for (const ParameterUse& use : uses_.uses[id])
        if (is_within(use.call, layer)) return true;
    }
    return false;
  }

  bool is_within(uint32_t call, uint32_t above) const {
    while (call != kNone && call != above) call = uses_.calls[call].parent;
    return call != kNone;
  }

  const Program& program_;
  const ParameterUses& uses_;
  const std::vector<std::string_view>& tags_;
  std::vector<char> is_shared_;  // by tensor
};

}  // namespace

std::string_view name(SharingPattern pattern) {
  switch (pattern) {
    case SharingPattern::tied_embeddings:
      return "tied_embeddings";
    case SharingPattern::position_sharing:
      return "position_sharing";
    case SharingPattern::attention_sharing:
      return "attention_sharing";
    case SharingPattern::layer_sharing:
      return "layer_sharing";
  }
  return "";
}

double Sharing::percentage() const {
  if (total_parameters == 0) return 0;
  return static_cast<double>(parameters.size()) / static_cast<double>(total_parameters);
}

Sharing analyze_sharing(const Program& program, const tagging::Hierarchy& hierarchy) {
  const ParameterUses uses = find_parameter_uses(program);
  std::vector<std::string_view> tags;
  for (ScopeId id = 0; id < program.scopes.size(); ++id)
    tags.push_back(hierarchy.levels()[hierarchy.level_of(id)].tag);
  return analyze_sharing(program, uses, tags);
}

Sharing analyze_sharing(const Program& program, const ParameterUses& uses,
                        const std::vector<std::string_view>& tags) {
  return SharingAnalysis(program, uses, tags).run();
}

}  // namespace modelexport::analysis
