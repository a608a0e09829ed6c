// Module calls as local functions, on a graph made by hand.
#include "exporter/graph/functions.h"

#include <gtest/gtest.h>

#include <set>

#include "exporter/graph/naming.h"
#include "tests/unit/net_model.h"

namespace modelexport::graph {
namespace {

// The model of net_model.h before names are given: two equal blocks and a head.
struct Outlined : NetModel {
  Outlined() {
    graph.of_program.assign(program.values.size(), kNone);
    outline_calls(graph, program);
  }
};

TEST(Functions, EqualBodiesShareOne) {
  const Outlined m;
  std::vector<std::string> names;
  for (const Function& function : m.graph.functions) names.push_back(function.name);
  EXPECT_EQ(names, (std::vector<std::string>{"Linear", "Block", "Head"}));
  EXPECT_EQ(m.graph.functions[0].domain, "torch.nn.modules.linear");
  std::vector<std::string> calls;
  for (const Node& node : m.graph.body.nodes) calls.push_back(node.op_type);
  EXPECT_EQ(calls, (std::vector<std::string>{"Block", "Block", "If", "Head"}));
}

TEST(Functions, WeightsAreInputs) {
  const Outlined m;
  const Function& block = m.graph.functions[1];
  EXPECT_EQ(block.inputs, (std::vector<std::string>{"input", "lin.weight", "lin.bias"}));
  EXPECT_TRUE(block.body->initializers.empty());
  EXPECT_EQ(block.body->body.nodes[0].domain, "torch.nn.modules.linear");
  EXPECT_EQ(m.graph.body.nodes[1].inputs.size(), 3u);
}

TEST(Functions, OtherBodiesHaveOtherNames) {
  NetModel m;
  m.graph.of_program.assign(m.program.values.size(), kNone);
  m.graph.body.nodes[3].op_type = "Tanh";  // of the second block
  m.program.scopes[m.head].class_name = "pkg.Block_1";
  outline_calls(m.graph, m.program);
  std::set<std::string> names;
  for (const Function& function : m.graph.functions) names.insert(function.name);
  EXPECT_EQ(names, (std::set<std::string>{"Linear", "Block", "Block_1", "Block_1_1"}));
}

TEST(Functions, ExpandToTheNodesOfTheModel) {
  Outlined m;
  assign_names(m.graph, m.program);
  std::vector<std::string> names;
  std::vector<std::string> paths;
  for_each_node(m.graph, m.program, [&](const ExpandedNode& node, ScopeId scope) {
    names.push_back(node.prefix + node.node.name);
    paths.push_back(m.program.scopes[scope].path);
  });
  EXPECT_EQ(names, (std::vector<std::string>{"/blocks.0/lin/Gemm", "/blocks.0/Relu",
                                             "/blocks.1/lin/Gemm", "/blocks.1/Relu", "/If", "/Neg",
                                             "/Identity", "/head/MatMul"}));
  EXPECT_EQ(paths, (std::vector<std::string>{"blocks.0.lin", "blocks.0", "blocks.1.lin", "blocks.1",
                                             "", "", "", "head"}));
}

}  // namespace
}  // namespace modelexport::graph
