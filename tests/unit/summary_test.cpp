// What a model is made of, told by a program and by the file made from it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "analysis/model_summary.h"
#include "analysis/module_graph.h"
#include "analysis/report_html.h"
#include "analysis/summary_text.h"
#include "tests/unit/json_schema.h"
#include "tests/unit/written_net.h"

namespace modelexport::analysis {
namespace {

std::vector<std::string> paths(const ModelSummary& model) {
  std::vector<std::string> out;
  for (const Module& module : model.tree.modules) out.push_back(module.path);
  return out;
}

TEST(Summary, OfAFileHasTheModulesThatItNames) {
  const WrittenNet net;
  const ModelSummary model = summarize(net.file);
  EXPECT_EQ(model.format, "ONNX");
  EXPECT_EQ(paths(model), (std::vector<std::string>{"", "blocks", "blocks.0", "blocks.0.lin",
                                                    "blocks.1", "blocks.1.lin", "head"}));
  EXPECT_EQ(model.tree.modules[1].class_name, "");  // a list that nothing calls
  EXPECT_EQ(model.tree.modules[2].class_name, "pkg.Block");
  EXPECT_EQ(model.tags[2], "/Net/Block.0");
  EXPECT_EQ(parameter_count(model.tree), 2 * (64 * 64 + 64));
  EXPECT_EQ(nodes_by_module(model), (std::vector<int64_t>{3, 0, 1, 1, 1, 1, 1}));
  EXPECT_EQ(model.inputs[0].type, "float32 [batch, 64]");
  ASSERT_EQ(model.outputs.size(), 1u);
  EXPECT_EQ(model.nodes[model.outputs[0].node].name, "/head/MatMul");
}

TEST(Summary, SharingOfAFileIsThatOfTheProgram) {
  const WrittenNet net;
  const Sharing expected = analyze_sharing(net.program, net.hierarchy);
  const Sharing found = summarize(net.file).sharing;
  ASSERT_EQ(found.parameters.size(), 1u);
  EXPECT_EQ(found.parameters[0].name, expected.parameters[0].name);
  EXPECT_EQ(found.parameters[0].used_by, expected.parameters[0].used_by);
  EXPECT_EQ(found.parameters[0].share_count, 2);
  EXPECT_EQ(found.parameters[0].aliases, std::vector<std::string>{"head.weight"});
  EXPECT_EQ(found.bytes_saved, expected.bytes_saved);
  EXPECT_EQ(found.percentage(), expected.percentage());
}

TEST(Summary, AnOperatorThatStandsTwiceInAModuleIsTwoCalls) {
  WrittenNet net;
  const onnx::NodeView first = net.node("/blocks.1/lin/Gemm");
  net.file.graph.nodes.push_back(first);
  net.file.graph.nodes.back().name += "_1";
  net.file.graph.nodes.back().outputs = {"again"};
  const Sharing sharing = summarize(net.file).sharing;
  ASSERT_EQ(sharing.parameters.size(), 3u);
  EXPECT_EQ(sharing.parameters[1].name, "blocks.1.lin.weight");
  EXPECT_EQ(sharing.parameters[1].share_count, 2);
  EXPECT_EQ(sharing.parameters[1].pattern, SharingPattern::layer_sharing);
}

TEST(Summary, NamesTellTheModulesOfAFileWithoutTags) {
  WrittenNet net;
  for (onnx::NodeView& node : net.file.graph.nodes) {
    node.metadata.clear();
    for (auto& [name, branch] : node.subgraphs)
      for (onnx::NodeView& inner : branch.nodes) inner.metadata.clear();
  }
  const ModelSummary model = summarize(net.file);
  EXPECT_EQ(model.tree.modules[model.nodes[0].module].path, "blocks.0.lin");
  EXPECT_EQ(model.tree.modules[model.nodes[0].module].class_name, "");
}

TEST(Summary, BesideTheLiveModuleItHasAllModules) {
  WrittenNet net;
  net.module("unused", "pkg.Unused");
  const ModelSummary model = summarize(net.file, net.program, net.hierarchy);
  EXPECT_EQ(paths(model).back(), "unused");
  EXPECT_EQ(model.tree.modules[model.nodes[0].module].path, "blocks.0.lin");
  EXPECT_EQ(model.nodes[0].weights, (std::vector<TensorId>{0, 1}));
}

TEST(Summary, JsonAgreesWithItsSchema) {
  const WrittenNet net;
  for (const ModelSummary& model :
       {summarize(net.file), summarize(net.file, net.program, net.hierarchy)}) {
    std::string text;
    {
      JsonWriter json([&](std::string_view part) { text += part; }, 2);
      write_summary(model, json);
    }
    const nlohmann::json document = nlohmann::json::parse(text);
    EXPECT_EQ(JsonSchema::read("analyze.schema.json").errors(document), std::vector<std::string>{});
    EXPECT_EQ(document["modules"][0]["total_operators"], 8);
    EXPECT_EQ(document["operators"]["Gemm"], 2);
  }
}

TEST(ModuleGraph, ModulesBelowAreBoxes) {
  const WrittenNet net;
  const ModelSummary model = summarize(net.file);
  EXPECT_EQ(to_dot(module_graph(model, *find_module(model, "/Net/Block.0"), 1)),
            "digraph {\n  label=\"blocks.0: Block\";\n"
            "  node [shape=box, style=rounded, fontname=\"Helvetica\"];\n"
            "  v0 [label=\"lin: Linear\n1 operator\", shape=box3d, style=filled, "
            "fillcolor=\"#e8eefc\"];\n"
            "  v1 [label=\"Relu\nfloat32 [batch, 64]\"];\n"
            "  v2 [label=\"x\nfloat32 [batch, 64]\", shape=ellipse, style=dashed];\n"
            "  v3 [label=\"blocks.1.lin\nfloat32 [batch, 64]\", shape=ellipse, style=dashed];\n"
            "  v0 -> v1;\n  v1 -> v3;\n  v2 -> v0;\n}\n");
}

TEST(ModuleGraph, OrAreDrawnOpened) {
  const WrittenNet net;
  const ModelSummary model = summarize(net.file);
  EXPECT_EQ(to_mermaid(module_graph(model, *find_module(model, "blocks.0"), 2)),
            "flowchart TD\n"
            "  v1[\"Relu<br/>float32 [batch, 64]\"]\n"
            "  v2([\"x<br/>float32 [batch, 64]\"])\n"
            "  v3([\"blocks.1.lin<br/>float32 [batch, 64]\"])\n"
            "  subgraph g1[\"lin: Linear\"]\n"
            "    v0[\"Gemm<br/>float32 [batch, 64]\"]\n"
            "  end\n"
            "  v0 --> v1\n  v1 --> v3\n  v2 --> v0\n");
  EXPECT_EQ(find_module(model, "nowhere"), std::nullopt);
}

TEST(Report, IsOnePageWithItsDataWithin) {
  const WrittenNet net;
  ModelSummary model = summarize(net.file);
  model.nodes[0].source = "</script><b>";
  std::string page;
  write_report({.models = {&model}, .metrics = {{"load_time", 0.5}}},
               [&](std::string_view part) { page += part; });
  EXPECT_EQ(page.find("{{"), std::string::npos);
  EXPECT_EQ(page.find("</script><b>"), std::string::npos);
  for (const char* outside : {"src=", "@import", "url(http", "fetch(", "<link"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  const std::string begin = "<script id=\"data\" type=\"application/json\">";
  const size_t at = page.find(begin) + begin.size();
  const auto data = nlohmann::json::parse(page.substr(at, page.find("</script>", at) - at));
  EXPECT_EQ(data["models"][0]["nodes"].size(), 8u);
  EXPECT_EQ(data["metrics"]["load_time"], 0.5);
}

}  // namespace
}  // namespace modelexport::analysis
