// Tags and the module tree, on programs made by hand.
#include <gtest/gtest.h>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"
#include "tagging/python_list.h"
#include "tagging/tags.h"
#include "tagging/tree.h"
#include "tests/unit/net_model.h"

namespace modelexport::tagging {
namespace {

// ---- Python lists -------------------------------------------------------------------------------

TEST(PythonList, QuotesAsPythonDoes) {
  EXPECT_EQ(python_repr("plain"), "'plain'");
  EXPECT_EQ(python_repr(""), "''");
  EXPECT_EQ(python_repr("it's"), "\"it's\"");
  EXPECT_EQ(python_repr("say \"hi\""), "'say \"hi\"'");
  EXPECT_EQ(python_repr("it's \"both\""), "'it\\'s \"both\"'");
  EXPECT_EQ(python_repr("a\\b"), "'a\\\\b'");
  EXPECT_EQ(python_repr("a\n\r\tb\x01\x7f"), "'a\\n\\r\\tb\\x01\\x7f'");
  EXPECT_EQ(python_repr("größe π 層"), "'größe π 層'");
  EXPECT_EQ(python_repr("\u00a0\u200b\ufeff"), "'\\xa0\\u200b\\ufeff'");
  EXPECT_EQ(python_repr("\xff"), "'\\xff'");
}

TEST(PythonList, ReadsBackWhatItWrote) {
  const std::vector<std::string> items = {
      "",     "blocks.0", "it's",  "\"q\"",        "it's \"both\"",
      "a\\b", "\n\t\r",   "größe", "\u00a0\u200b", "a, 'b'"};
  EXPECT_EQ(parse_python_list(python_list(items)), items);
  EXPECT_EQ(python_list({"", "blocks.0"}), "['', 'blocks.0']");
  EXPECT_EQ(python_list({}), "[]");
  EXPECT_EQ(parse_python_list("[]"), std::vector<std::string>{});
}

TEST(PythonList, RejectsWhatIsNoListOfStrings) {
  for (const char* text : {"", "[", "'a'", "['a'", "['a' 'b']", "['a',]", "[a]", "['a\\q']", "[1]",
                           "['a', ]", "['\\x4']", "['a'] "})
    EXPECT_EQ(parse_python_list(text), std::nullopt) << text;
}

std::string value(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, text] : metadata)
    if (name == key) return text;
  return "(no " + std::string(key) + ")";
}

// ---- tags
// -----------------------------------------------------------------------------------------

TEST(Tags, HaveDynamosFormat) {
  NetModel b;
  const graph::Node node = b.node(b.lin1, "aten::linear", "linear", 0);
  const Hierarchy hierarchy(b.program, {});
  const Metadata metadata = Tagger(b.program, hierarchy).node(node);
  EXPECT_EQ(value(metadata, kNamespace),
            ": pkg.Net/blocks.1: pkg.Block/blocks.1.lin: torch.nn.modules.linear.Linear/"
            "linear: aten::linear");
  EXPECT_EQ(value(metadata, kClassHierarchy),
            "['pkg.Net', 'pkg.Block', 'torch.nn.modules.linear.Linear', 'aten::linear']");
  EXPECT_EQ(value(metadata, kNameScopes), "['', 'blocks.1', 'blocks.1.lin', 'linear']");
  EXPECT_EQ(value(metadata, kStackTrace),
            "File \"net.py\", line 17, in forward\n  File \"linear.py\", line 134, in forward");
  EXPECT_EQ(value(metadata, kHierarchyTag), "/Net/Block.1");
}

TEST(Tags, OfFunctionsGoOnFromTheirCalls) {
  NetModel b;
  const Hierarchy hierarchy(b.program, {});
  const Tagger tagger(b.program, hierarchy);
  b.program.scopes[b.block1].callers = 1;
  const graph::Function function{.domain = "pkg", .name = "Block", .scope = b.block1};
  graph::Node call = b.node(b.block1, "aten::linear", "linear", 0);
  call.call = b.block1;
  const graph::Node inner = b.node(b.lin1, "aten::linear", "linear", 0);
  EXPECT_EQ(value(tagger.node(call), kNamespace), ": pkg.Net/blocks.1: pkg.Block");
  EXPECT_EQ(value(tagger.node(inner, &function), kNamespace),
            ": pkg.Block/lin: torch.nn.modules.linear.Linear/linear: aten::linear");
  EXPECT_EQ(value(tagger.node(inner, &function), kHierarchyTag), "/Block");
  EXPECT_EQ(nested_tags(tagger.node(call), tagger.node(inner, &function), false),
            tagger.node(inner));
}

TEST(Tags, IncludeTorchNnWhereAskedFor) {
  NetModel b;
  const graph::Node node = b.node(b.lin1, "aten::linear", "linear");
  const Hierarchy hierarchy(b.program, {.include_torch_nn = true});
  EXPECT_EQ(value(Tagger(b.program, hierarchy).node(node), kHierarchyTag), "/Net/Block.1/Linear");
}

TEST(Tags, OtherMethodsAndRepeatedCallsAreTheSameLevel) {
  NetModel b;
  const ScopeId helper = b.call(b.block0, "blocks.0", "helper");
  const ScopeId inner = b.call(helper, "blocks.0.lin");
  const ScopeId again = b.call(b.root, "blocks.0");
  b.program.scopes.push_back({again, kNone, "", "", "relu"});  // a free function
  const ScopeId function = b.program.scopes.size() - 1;
  const Hierarchy hierarchy(b.program, {});
  EXPECT_EQ(hierarchy.levels().size(), 6u);
  EXPECT_EQ(hierarchy.level_of(helper), hierarchy.level_of(b.block0));
  EXPECT_EQ(hierarchy.level_of(inner), hierarchy.level_of(b.lin0));
  EXPECT_EQ(hierarchy.level_of(function), hierarchy.level_of(b.block0));
}

TEST(Tags, NamesAreAddedOnlyWhereSiblingsShareAClass) {
  ProgramBuilder b;
  b.module("", "pkg.Net");
  for (const char* list : {"down", "up"}) {
    b.module(list, kModuleList);
    for (const char* index : {".0", ".1"}) b.module(list + std::string(index), "pkg.Block");
  }
  b.module("head", "other.Head");
  b.module("experts", kModuleList);
  b.module("experts.0", "pkg.Expert");
  b.module("experts.1", "pkg.Expert");  // never called
  b.module("seq", kSequential);
  b.module("seq.0", "pkg.Inner");
  const ScopeId root = b.call(kNone, "");
  std::vector<ScopeId> scopes;
  for (const char* path : {"down.0", "down.1", "up.0", "up.1", "head", "experts.0"})
    scopes.push_back(b.call(root, path));
  scopes.push_back(b.call(b.call(root, "seq"), "seq.0"));
  const Hierarchy hierarchy(b.program, {});
  std::vector<std::string> tags;
  for (ScopeId scope : scopes) tags.push_back(hierarchy.levels()[hierarchy.level_of(scope)].tag);
  EXPECT_EQ(tags, (std::vector<std::string>{"/Net/Block.down.0", "/Net/Block.down.1",
                                            "/Net/Block.up.0", "/Net/Block.up.1", "/Net/Head",
                                            "/Net/Expert.0", "/Net/Inner"}));
}

TEST(Tags, KeepARootOfTorchNn) {
  ProgramBuilder b;
  b.module("", kSequential);
  b.module("0", kLinear);
  const ScopeId linear = b.call(b.call(kNone, ""), "0");
  const Hierarchy hierarchy(b.program, {});
  EXPECT_EQ(hierarchy.levels()[hierarchy.level_of(linear)].tag, "/Sequential");
}

TEST(Tags, SlashesInNamesDoNotMakeLevels) {
  ProgramBuilder b;
  b.module("", "pkg.Net");
  b.module("a/b", "pkg.Block");
  b.module("c/d", "pkg.Block");
  const ScopeId scope = b.call(b.call(kNone, ""), "a/b");
  const graph::Node node = b.node(scope, "aten::add", "add");
  const Hierarchy hierarchy(b.program, {});
  const Metadata metadata = Tagger(b.program, hierarchy).node(node);
  EXPECT_EQ(value(metadata, kNamespace), ": pkg.Net/a_b: pkg.Block/add: aten::add");
  EXPECT_EQ(value(metadata, kHierarchyTag), "/Net/Block.a_b");
  EXPECT_EQ(value(metadata, kNameScopes), "['', 'a/b', 'add']");
}

TEST(Tags, MergedNodesTakeTheirCommonScopeAndRootNodesTheModel) {
  NetModel b;
  graph::Node merged = b.node(b.lin1, "aten::linear", "linear");
  merged.tag = graph::TagKind::merged;
  merged.scope = b.root;
  const graph::Node root{.op_type = "Cast", .tag = graph::TagKind::root, .name = "/Cast_1"};
  const Hierarchy hierarchy(b.program, {});
  const Tagger tagger(b.program, hierarchy);
  EXPECT_EQ(value(tagger.node(merged), kNameScopes), "['', 'linear']");
  EXPECT_EQ(value(tagger.node(root), kNamespace), ": pkg.Net/Cast_1: onnx::Cast");
  EXPECT_EQ(value(tagger.node(root), kHierarchyTag), "/Net");
}

TEST(Tags, AreCountedByHowTheyCameAbout) {
  NetModel b;
  graph::Graph graph;
  graph.body.nodes = {b.node(b.lin0, "aten::linear", "linear"), b.node(b.root, "aten::add", "add")};
  graph.body.nodes[1].tag = graph::TagKind::merged;
  auto body = std::make_shared<graph::Block>();
  body->nodes = {b.node(b.lin1, "aten::linear", "linear"),
                 {.op_type = "Cast", .tag = graph::TagKind::root},
                 {.op_type = "Lost"}};
  graph.body.nodes[0].attributes.push_back({"then_branch", body});
  const TagCounts counts = count_tags(graph);
  EXPECT_EQ(counts.total, 5u);
  EXPECT_EQ(counts.tagged, 4u);
  EXPECT_EQ(counts.direct, 2u);
  EXPECT_EQ(counts.merged, 1u);
  EXPECT_EQ(counts.root, 1u);
}

TEST(Tags, SayWhatAnInitializerIs) {
  NetModel b;
  b.program.tensors.push_back({.role = Role::buffer, .module = 0});
  const Hierarchy hierarchy(b.program, {});
  const Tagger tagger(b.program, hierarchy);
  const Metadata weight = tagger.initializer({.tensor = {.data = TensorId{0}}});
  EXPECT_EQ(value(weight, kInputKind), "PARAMETER");
  EXPECT_EQ(value(weight, kInputPersistent), "None");
  EXPECT_EQ(value(weight, kModule), "blocks.0.lin");
  EXPECT_EQ(value(weight, kAliases), "['head.weight']");
  const Metadata buffer = tagger.initializer({.tensor = {.data = TensorId{4}}});
  EXPECT_EQ(value(buffer, kInputKind), "BUFFER");
  EXPECT_EQ(value(buffer, kInputPersistent), "True");
  EXPECT_TRUE(tagger.initializer({.tensor = {.data = std::string("\0\0\0\0", 4)}}).empty());
}

// ---- the tree -----------------------------------------------------------------------------

TEST(Tree, CollapsesRepetitionAndOpensContainers) {
  NetModel b;
  b.module("spare", kLinear);
  b.parameter("spare", "weight", {1000});
  const TreeOptions options{.ascii = true};
  EXPECT_EQ(format_tree(tree_rows(b.program, &b.graph, options), options),
            "module         class                parameters    bytes  nodes\n"
            "Net                                      9,320  37.3 kB      8\n"
            "|- blocks.0-1  Block (2x)                8,320  33.3 kB      4\n"
            "|  `- lin      Linear (2x)               8,320  33.3 kB      2\n"
            "|- head        Head                      4,096  16.4 kB      1\n"
            "`- spare       Linear (not called)       1,000   4.0 kB      0\n");
}

TEST(Tree, ShowsSharedModulesAndAnUnexecutedTree) {
  ProgramBuilder b;
  b.module("", "pkg.Net");
  b.module("list", kModuleList);
  b.module("list.0", kLinear);
  b.parameter("list.0", "weight", {2, 2});
  b.module("twin", kLinear);
  b.program.modules[3].parameters = {0};
  b.program.modules[3].same_as = 2;
  EXPECT_EQ(format_tree(tree_rows(b.program, nullptr, {}), {}),
            "module     class               parameters  bytes\n"
            "Net                                     4   16 B\n"
            "├─ list.0  Linear                       4   16 B\n"
            "└─ twin    Linear (is list.0)           4   16 B\n");
}

TEST(Tree, StopsAtTheDepthAskedFor) {
  NetModel b;
  EXPECT_EQ(tree_rows(b.program, nullptr, {.max_depth = 1}).size(), 3u);
}

TEST(Tree, DoesNotCollapseWhatDiffers) {
  NetModel b;
  b.parameter("blocks.1", "scale", {3});
  const std::vector<TreeRow> rows = tree_rows(b.program, nullptr, {});
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[1].name, "blocks.0");
  EXPECT_EQ(rows[3].name, "blocks.1");
}

}  // namespace
}  // namespace modelexport::tagging
