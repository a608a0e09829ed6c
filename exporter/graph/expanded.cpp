// Functions expanded: the nodes that calls of them stand for.
#include <map>
#include <utility>

#include "exporter/graph/functions.h"
#include "exporter/graph/scopes.h"

namespace modelexport::graph {
namespace {

class Expansion {
 public:
  std::function<void(const ExpandedNode&, ScopeId)> visit_node;
  std::function<void(const ExpandedBody&)> visit_body;

  Expansion(const Graph& graph, const Program& program)
      : graph_(graph), program_(program), children_(program.scopes.size()) {
    for (const Function& function : graph.functions)
      functions_[{function.domain, function.name}] = &function;
    for (ScopeId id = 0; id < program.scopes.size(); ++id) {
      if (program.scopes[id].parent != kNone) children_[program.scopes[id].parent].push_back(id);
    }
  }

  void run() { walk({graph_, "", kNone, kNone}); }

 private:
  std::string_view path_within(ScopeId id) const {
    const Scope& scope = program_.scopes[id];
    return relative_path(scope.path, program_.scopes[scope.parent].path);
  }

  void walk(const ExpandedBody& body) {
    if (visit_body) visit_body(body);
    walk(body.graph.body, body);
  }

  void walk(const Block& block, const ExpandedBody& body) {
    for (const Node& node : block.nodes) {
      if (node.call != kNone) {
        const Function& function = *functions_.at({node.domain, node.op_type});
        const ScopeId call = body.call == kNone ? node.call : same_call(node.call, body);
        walk({*function.body, body.prefix + node.name, function.scope, call});
        continue;
      }
      const ScopeId scope = body.call == kNone ? scope_of(node, program_) : body.call;
      if (visit_node) visit_node({node, body.prefix, body.call}, scope);
      for (const Attribute& attribute : node.attributes) {
        const auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (inner) walk(**inner, body);
      }
    }
  }

  // What `id`, a call directly within the one that the body was made of, is in the call it is here.
  ScopeId same_call(ScopeId id, const ExpandedBody& body) const {
    size_t earlier = 0;  // calls of the same module
    for (const ScopeId other : children_[body.made_of]) {
      if (other == id) break;
      earlier += path_within(other) == path_within(id);
    }
    for (const ScopeId other : children_[body.call]) {
      if (path_within(other) == path_within(id) && earlier-- == 0) return other;
    }
    return body.call;
  }

  const Graph& graph_;
  const Program& program_;
  std::vector<std::vector<ScopeId>> children_;
  std::map<std::pair<std::string, std::string>, const Function*> functions_;
};

}  // namespace

void for_each_node(const Graph& graph, const Program& program,
                   const std::function<void(const ExpandedNode&, ScopeId)>& visit) {
  Expansion expansion(graph, program);
  expansion.visit_node = visit;
  expansion.run();
}

void for_each_body(const Graph& graph, const Program& program,
                   const std::function<void(const ExpandedBody&)>& visit) {
  Expansion expansion(graph, program);
  expansion.visit_body = visit;
  expansion.run();
}

}  // namespace modelexport::graph
