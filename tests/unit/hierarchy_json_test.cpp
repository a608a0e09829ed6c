// hierarchy.json: agrees with its schema, and says what is so.
#include "analysis/hierarchy_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/json_schema.h"
#include "tests/unit/written_net.h"

namespace modelexport::analysis {
namespace {

using nlohmann::json;

std::string text_of(const WrittenNet& net, const DagOptions& extraction = {}) {
  const FileIndex index(net.file);
  const CrossCheck check = cross_check(index, net.program, net.hierarchy,
                                       expectation_of(net.graph, net.program, net.hierarchy));
  std::string text;
  write_hierarchy({.index = index,
                   .program = net.program,
                   .hierarchy = net.hierarchy,
                   .check = check,
                   .extraction = extraction,
                   .metrics = {{"load_time", 0.25}, {"total_nodes", 8}}},
                  [&](std::string_view part) { text += part; });
  return text;
}

json document_of(const WrittenNet& net, const DagOptions& extraction = {}) {
  return json::parse(text_of(net, extraction));
}

TEST(HierarchyJson, AgreesWithItsSchema) {
  const JsonSchema schema = JsonSchema::read("hierarchy.schema.json");
  WrittenNet net;
  EXPECT_EQ(schema.errors(document_of(net)), std::vector<std::string>{});
  EXPECT_EQ(schema.errors(document_of(net, {.include_constants = true, .max_depth = 0})),
            std::vector<std::string>{});
  net.node("/blocks.0/Relu").metadata.clear();
  net.weight("blocks.1.lin.weight").dims = {1};
  EXPECT_EQ(schema.errors(document_of(net)), std::vector<std::string>{});
  json wrong = document_of(net);
  wrong["model"]["opset"] = "20";
  wrong["surplus"] = 1;
  wrong.erase("metrics");
  EXPECT_EQ(schema.errors(wrong),
            (std::vector<std::string>{"/model/opset: is not a \"integer\": \"20\"",
                                      "/surplus: is not in the schema",
                                      ": lacks \"metrics\": " + wrong.dump().substr(0, 80)}));
}

TEST(HierarchyJson, IsTheSameFromRunToRun) {
  const WrittenNet net;
  EXPECT_EQ(text_of(net), text_of(net));
}

TEST(HierarchyJson, DescribesNodesAndWeights) {
  const json document = document_of(WrittenNet());
  EXPECT_EQ(document["operation_metadata"]["/blocks.1/lin/Gemm"], json::parse(R"({
    "op_type": "Gemm", "domain": "",
    "inputs": ["/blocks.0/Relu_output_0", "blocks.1.lin.weight", "blocks.1.lin.bias"],
    "outputs": ["/blocks.1/lin/Gemm_output_0"],
    "tags": ["/Net/Block.1"], "hierarchy_tag": "/Net/Block.1",
    "module": "blocks.1.lin", "class": "torch.nn.modules.linear.Linear",
    "source": "File \"net.py\", line 17, in forward\n  File \"linear.py\", line 134, in forward",
    "shape": ["batch", 64], "dtype": "float32"})"));
  EXPECT_EQ(document["operation_metadata"]["blocks.0.lin.weight"], json::parse(R"({
    "op_type": "Initializer", "domain": "", "inputs": [], "outputs": ["blocks.0.lin.weight"],
    "tags": ["/Net/Block.0", "/Net/Head"], "hierarchy_tag": "/Net/Block.0",
    "module": "blocks.0.lin", "class": "torch.nn.modules.linear.Linear",
    "source": "", "shape": [64, 64], "dtype": "float32"})"));
  EXPECT_EQ(document["modules"].size(), 7u);
  EXPECT_EQ(document["modules"][1]["in_onnx"], false);  // the ModuleList is never called
  EXPECT_EQ(document["validation_results"]["success_rate"], 1);
  EXPECT_EQ(document["metrics"], json::parse(R"({"load_time": 0.25, "total_nodes": 8})"));
}

TEST(HierarchyJson, HasADagForEachModule) {
  const json dags = document_of(WrittenNet())["module_dags"];
  EXPECT_EQ(dags["/Net/Block.1"], json::parse(R"({
    "module": "blocks.1", "class": "pkg.Block",
    "nodes": ["/blocks.1/lin/Gemm", "/blocks.1/Relu"],
    "own_nodes": ["/blocks.1/lin/Gemm", "/blocks.1/Relu"],
    "edges": [["/blocks.1/lin/Gemm", "/blocks.1/Relu"]],
    "parameters": ["blocks.1.lin.weight", "blocks.1.lin.bias"],
    "inputs": ["/blocks.0/Relu_output_0"], "outputs": ["/blocks.1/Relu_output_0"]})"));
  const json& root = dags["/Net"];
  EXPECT_EQ(root["nodes"].size(), 8u);
  EXPECT_EQ(root["own_nodes"], json::parse(R"(["/If", "/Neg", "/Identity"])"));
  EXPECT_EQ(root["inputs"], json::parse(R"(["x", "cond"])"));
  EXPECT_EQ(root["outputs"], json::parse(R"(["out"])"));
  EXPECT_EQ(root["edges"].size(), 8u);  // with those into the branches, and from them to the If
  size_t own = 0;
  for (const json& dag : dags) own += dag["own_nodes"].size();
  EXPECT_EQ(own, 8u);
}

TEST(HierarchyJson, LimitsDagsByDepthAndSize) {
  EXPECT_EQ(document_of(WrittenNet(), {.max_depth = 1})["module_dags"].size(), 1u);
  const json by_size = document_of(WrittenNet(), {.min_parameter_count = 4100})["module_dags"];
  EXPECT_TRUE(by_size.contains("/Net/Block.0"));
  EXPECT_FALSE(by_size.contains("/Net/Head"));
}

TEST(JsonWriter, EscapesAndNests) {
  std::string text;
  {
    JsonWriter writer([&](std::string_view part) { text += part; }, 1);
    writer.begin_object();
    writer.member("quote\"\\\n\x01", "größe \xff");
    writer.member("number", 0.1);
    writer.member("infinite", std::numeric_limits<double>::infinity());
    writer.key("list");
    writer.begin_array();
    writer.value(true);
    writer.value(-3);
    writer.value(std::vector<int>{});
    writer.end_array();
    writer.end_object();
  }
  EXPECT_EQ(text,
            "{\n  \"quote\\\"\\\\\\n\\u0001\": \"größe \xef\xbf\xbd\",\n  \"number\": 0.1,\n"
            "  \"infinite\": null,\n  \"list\": [true, -3, []]\n}\n");
  EXPECT_NO_THROW(json::parse(text));
}

}  // namespace
}  // namespace modelexport::analysis
