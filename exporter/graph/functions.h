// Module calls as ONNX local functions (export --functions).
//
// Each module call becomes a node that calls a function, whose body is what the call consisted of;
// functions call those of the modules within. Calls whose bodies are the same share one function:
// weights are inputs of functions, and so is all else that comes from outside; small constants are
// nodes of the body. A module call without any node has none.
//
// Domain and name of a function are those of the class: "torch.nn.modules.linear", "Linear"; of
// several bodies of one class "Linear_1"... In a body, scopes of nodes are those of the call that
// it was made of (Function::scope), whichever call is meant.
#pragma once

#include <functional>
#include <string>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

// Of a graph as it was lowered, with sizes_per_call. Runs the passes on it and on each body.
void outline_calls(Graph& graph, const Program& program);

// A node with all functions expanded.
struct ExpandedNode {
  const Node& node;
  std::string
      prefix;    // before the names of the node and what it makes: that of the calls around it
  ScopeId call;  // that the function around it stands for here; kNone: it is in no function
};
// Visits the nodes of the graph, of its blocks and of the functions that it calls, each as often as
// it is called; not the calls themselves. `scope` is where the node belongs.
void for_each_node(const Graph& graph, const Program& program,
                   const std::function<void(const ExpandedNode&, ScopeId scope)>& visit);

// The same for whole bodies: the graph itself, and that of each call.
struct ExpandedBody {
  const Graph& graph;
  std::string prefix;
  ScopeId made_of = kNone;  // the call that the function was made of, and the one that it is here
  ScopeId call = kNone;
};
void for_each_body(const Graph& graph, const Program& program,
                   const std::function<void(const ExpandedBody&)>& visit);

}  // namespace modelexport::graph
