#include "exporter/graph/scopes.h"

namespace modelexport::graph {
namespace {

size_t depth(const Program& program, ScopeId scope) {
  size_t depth = 0;
  while (program.scopes[scope].parent != kNone) {
    scope = program.scopes[scope].parent;
    ++depth;
  }
  return depth;
}

}  // namespace

std::string_view relative_path(std::string_view path, std::string_view above) {
  if (above.empty()) return path;
  if (path.size() > above.size() && path.starts_with(above) && path[above.size()] == '.')
    path.remove_prefix(above.size() + 1);
  return path;
}

ScopeId common_scope(const Program& program, ScopeId a, ScopeId b) {
  size_t depth_a = depth(program, a);
  size_t depth_b = depth(program, b);
  for (; depth_a > depth_b; --depth_a) a = program.scopes[a].parent;
  for (; depth_b > depth_a; --depth_b) b = program.scopes[b].parent;
  while (a != b) {  // ends at the root, whose parent is kNone
    a = program.scopes[a].parent;
    b = program.scopes[b].parent;
  }
  return a;
}

ScopeId scope_of(const Node& node, const Program& program) {
  if (node.tag == TagKind::root || node.origin == kNone) return program.entry;
  return node.scope != kNone ? node.scope : program.origins[node.origin].scope;
}

void merge_origin(Node& kept, const Program& program, OriginId origin, ScopeId scope) {
  if (kept.tag == TagKind::root || (kept.origin == origin && scope == kNone)) return;
  if (scope == kNone) scope = program.origins[origin].scope;
  kept.scope = common_scope(program, scope_of(kept, program), scope);
  kept.tag = TagKind::merged;
}

}  // namespace modelexport::graph
