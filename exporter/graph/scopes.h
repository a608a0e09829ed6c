// Where a node belongs in the tree of calls. Nodes that stand for several operators (TagKind::merged)
// belong to the innermost call that encloses all of them; root nodes to the model's forward.
#pragma once

#include <string_view>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// `path` without the leading `above` and its dot; `path` itself if it does not lie below.
std::string_view relative_path(std::string_view path, std::string_view above);

// The innermost scope that encloses both.
ScopeId common_scope(const Program& program, ScopeId a, ScopeId b);

// Of a node: its own `scope` if it has one, otherwise that of its origin; the program's entry
// for root nodes.
ScopeId scope_of(const Node& node, const Program& program);

// Makes `kept` also stand for something of `origin` (and `scope`, kNone: that of the origin): if the
// scopes differ it becomes merged and takes the common one.
void merge_origin(Node& kept, const Program& program, OriginId origin, ScopeId scope = kNone);

}  // namespace modelexport::graph
