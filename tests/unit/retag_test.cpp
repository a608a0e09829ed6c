// Tags that come back after an optimiser, on graphs made by hand.
#include "tagging/retag.h"

#include <gtest/gtest.h>

#include "tagging/python_list.h"

namespace modelexport::tagging {
namespace {

// Tags of a node in the modules at these paths, of classes "A", "B"...
Metadata tags(const std::vector<std::string>& paths, const std::string& op,
              const std::string& trace = "File \"net.py\", line 1, in forward") {
  std::vector<std::string> names, classes;
  std::string tag;
  for (size_t i = 0; i < paths.size(); ++i) {
    names.push_back(paths[i]);
    classes.push_back("pkg." + std::string(1, static_cast<char>('A' + i)));
    tag += "/" + classes.back().substr(4) + (paths[i].empty() ? "" : "." + paths[i]);
  }
  names.push_back(op);
  classes.push_back("aten::" + op);
  return {{kClassHierarchy, python_list(classes)},
          {kNameScopes, python_list(names)},
          {kStackTrace, trace},
          {kHierarchyTag, tag}};
}

std::string value(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, text] : metadata)
    if (name == key) return text;
  return "";
}

// x -> MatMul(w) -> Add(b) in `lin`, -> Relu in the root.
FlowGraph original() {
  return {{{"/lin/MatMul", "MatMul", "", {"x", "w"}, {"a"}, tags({"", "lin"}, "linear")},
           {"/lin/Add", "Add", "", {"a", "b"}, {"c"}, tags({"", "lin"}, "linear")},
           {"/Relu", "Relu", "", {"c"}, {"y"}, tags({""}, "relu")}},
          {"x", "w", "b"},
          {}};
}

TEST(Retag, NodesOfTheOriginalGetTheirTags) {
  FlowGraph optimised = original();
  for (FlowNode& node : optimised.nodes) node.tags.clear();
  const FlowGraph from = original();
  const auto nodes = retag(optimised, from);
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(nodes[i].how, Retagged::same);
    EXPECT_EQ(nodes[i].tags, from.nodes[i].tags);
  }
}

TEST(Retag, TagsThatAreThereStay) {
  FlowGraph optimised = original();
  optimised.nodes[2].tags = tags({"", "other"}, "relu");
  const auto nodes = retag(optimised, original());
  EXPECT_EQ(nodes[2].how, Retagged::kept);
  EXPECT_EQ(nodes[2].tags, optimised.nodes[2].tags);
}

TEST(Retag, FusedNodesTakeTheLowestCommonAncestor) {
  FlowGraph optimised{
      {{"fused", "FusedGemm", "com.microsoft", {"x", "w", "b"}, {"y"}, {}}}, {"x", "w", "b"}, {}};
  const auto nodes = retag(optimised, original());
  EXPECT_EQ(nodes[0].how, Retagged::fused);
  EXPECT_EQ(value(nodes[0].tags, kNamespace), ": pkg.A/FusedGemm: com.microsoft::FusedGemm");
  EXPECT_EQ(value(nodes[0].tags, kNameScopes), "['', 'FusedGemm']");
  EXPECT_EQ(value(nodes[0].tags, kClassHierarchy), "['pkg.A', 'com.microsoft::FusedGemm']");
  EXPECT_EQ(value(nodes[0].tags, kHierarchyTag), "/A");
  EXPECT_EQ(value(nodes[0].tags, kStackTrace), "File \"net.py\", line 1, in forward");
}

TEST(Retag, FusedWithinOneModuleStaysInIt) {
  FlowGraph optimised{
      {{"gemm", "Gemm", "", {"x", "w", "b"}, {"c"}, {}}, {"/Relu", "Relu", "", {"c"}, {"y"}, {}}},
      {"x", "w", "b"},
      {}};
  const auto nodes = retag(optimised, original());
  EXPECT_EQ(nodes[0].how, Retagged::fused);
  EXPECT_EQ(value(nodes[0].tags, kNameScopes), "['', 'lin', 'Gemm']");
  EXPECT_EQ(value(nodes[0].tags, kHierarchyTag), "/A/B.lin");
  EXPECT_EQ(nodes[1].how, Retagged::same);
}

TEST(Retag, NewNodesArePlacedByDataFlowAndWeights) {
  // The matrix product is between two reshapes now, whose results are new.
  FlowGraph optimised{{{"r0", "Reshape", "", {"x"}, {"n0"}, {}},
                       {"g", "Gemm", "", {"n0", "w", "b"}, {"n1"}, {}},
                       {"r1", "Reshape", "", {"n1"}, {"n2"}, {}},
                       {"/Relu", "Relu", "", {"n2"}, {"y"}, {}}},
                      {"x", "w", "b"},
                      {}};
  const auto nodes = retag(optimised, original());
  EXPECT_EQ(nodes[0].how, Retagged::by_flow);
  EXPECT_EQ(value(nodes[0].tags, kNameScopes), "['', 'lin', 'Reshape']");
  EXPECT_EQ(value(nodes[2].tags, kNameScopes), "['', 'Reshape']");
  EXPECT_EQ(value(nodes[1].tags, kNameScopes), "['', 'lin', 'Gemm']");
  EXPECT_EQ(nodes[3].how, Retagged::fused);
}

TEST(Retag, WhatLeadsNowhereHasNoTags) {
  FlowGraph optimised{{{"n", "Neg", "", {"z"}, {"other"}, {}}}, {"z"}, {}};
  EXPECT_EQ(retag(optimised, original())[0].how, Retagged::untagged);
}

}  // namespace
}  // namespace modelexport::tagging
