// Tags of nodes in functions, joined with those of the calls.
#include <algorithm>
#include <optional>

#include "tagging/python_list.h"
#include "tagging/tags.h"

namespace modelexport::tagging {
namespace {

const std::string* find(const Metadata& metadata, std::string_view key) {
  const auto at = std::find_if(metadata.begin(), metadata.end(),
                               [&](const auto& entry) { return entry.first == key; });
  return at == metadata.end() ? nullptr : &at->second;
}

std::optional<std::vector<std::string>> list_of(const Metadata& metadata, std::string_view key) {
  const std::string* text = find(metadata, key);
  if (!text) return std::nullopt;
  auto items = parse_python_list(*text);
  return items && !items->empty() ? items : std::nullopt;
}

std::string joined_path(const std::string& above, const std::string& path) {
  return above.empty() ? path : above + "." + path;
}

std::string namespace_of(const std::vector<std::string>& names,
                         const std::vector<std::string>& classes) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), classes.size()); ++i) {
    std::string segment = names[i] + ": " + classes[i];
    std::replace(segment.begin(), segment.end(), '/', '_');
    out += (i > 0 ? "/" : "") + segment;
  }
  return out;
}

}  // namespace

Metadata nested_tags(const Metadata& call, const Metadata& inner, bool inner_is_call) {
  auto names = list_of(call, kNameScopes), classes = list_of(call, kClassHierarchy);
  const auto inner_names = list_of(inner, kNameScopes);
  const auto inner_classes = list_of(inner, kClassHierarchy);
  if (!names || !classes) return inner.empty() ? call : inner;
  // The first one inside is the module of the function itself, the last one the operator.
  const bool goes_on = inner_names && inner_classes &&
                       inner_names->size() == inner_classes->size() &&
                       inner_names->front().empty() && inner_classes->front() == classes->back();
  if (!goes_on) return call;
  const std::string above = names->back();
  for (size_t i = 1; i < inner_names->size(); ++i) {
    const bool is_operator = i + 1 == inner_names->size() && !inner_is_call;
    const std::string& name = (*inner_names)[i];
    names->push_back(is_operator ? name : joined_path(above, name));
    classes->push_back((*inner_classes)[i]);
  }
  Metadata out = {{kNamespace, namespace_of(*names, *classes)},
                  {kClassHierarchy, python_list(*classes)},
                  {kNameScopes, python_list(*names)}};
  std::string trace;
  for (const Metadata* metadata : {&call, &inner}) {
    const std::string* text = find(*metadata, kStackTrace);
    if (text) trace += (trace.empty() ? "" : "\n  ") + *text;
  }
  if (!trace.empty()) out.emplace_back(kStackTrace, std::move(trace));
  const std::string* outer_tag = find(call, kHierarchyTag);
  const std::string* inner_tag = find(inner, kHierarchyTag);
  if (outer_tag && inner_tag) {
    const size_t below = inner_tag->find('/', 1);
    out.emplace_back(kHierarchyTag,
                     *outer_tag + (below == std::string::npos ? "" : inner_tag->substr(below)));
  }
  return out;
}

}  // namespace modelexport::tagging
