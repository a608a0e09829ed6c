// Numeric comparison, and the cross-check: a good file passes, each kind of damage is found and
// named.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "analysis/cross_check.h"
#include "analysis/numeric.h"
#include "tests/unit/written_net.h"

namespace modelexport::analysis {
namespace {

// ---- numbers ------------------------------------------------------------------------------------

template <typename T>
HostTensor tensor(DType dtype, std::vector<int64_t> dims, std::vector<T> values) {
  HostTensor out{"y", dtype, std::move(dims), std::vector<std::byte>(values.size() * sizeof(T))};
  if (!values.empty()) std::memcpy(out.bytes.data(), values.data(), out.bytes.size());
  return out;
}

HostTensor floats(std::vector<float> values) {
  const auto size = static_cast<int64_t>(values.size());
  return tensor<float>(DType::f32, {size}, std::move(values));
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Numeric, ReportsLargestAbsoluteAndRelativeDifference) {
  const Difference d = compare(floats({1, 10, 0}), floats({1.0005f, 10.002f, 0.00005f}), {});
  EXPECT_TRUE(d.matches);
  EXPECT_NEAR(d.max_abs, 0.002, 1e-5);
  EXPECT_NEAR(d.max_rel, 0.0005, 1e-6);
  EXPECT_EQ(describe(d), "y: float32 [3], max abs 0.002, max rel 0.0005");
}

TEST(Numeric, CountsElementsThatDiffer) {
  const Difference d = compare(floats({1, 2, 3}), floats({1, 2.5f, 4}), {});
  EXPECT_FALSE(d.matches);
  EXPECT_EQ(d.mismatched, 2);
  EXPECT_EQ(describe(d),
            "y: float32 [3], max abs 1, max rel 0.333; values: 2 of 3 elements differ");
}

TEST(Numeric, NanMatchesNanAndInfinityItself) {
  EXPECT_TRUE(compare(floats({kNan, kInf, -kInf}), floats({kNan, kInf, -kInf}), {}).matches);
  EXPECT_EQ(compare(floats({kNan, 1, kInf, kInf}), floats({1, kNan, -kInf, 3}), {}).mismatched, 4);
}

TEST(Numeric, NamesOtherDtypesShapesAndLengths) {
  EXPECT_EQ(compare(floats({1}), tensor<int64_t>(DType::i64, {1}, {1}), {}).reason,
            "dtype: expected float32, found int64");
  EXPECT_EQ(compare(floats({1, 2}), tensor<float>(DType::f32, {2, 1}, {1, 2}), {}).reason,
            "shape: expected [2], found [2, 1]");
  const HostValue sequence{"s", true, {floats({1}), floats({2})}};
  const HostValue shorter{"s", true, {floats({1})}};
  EXPECT_EQ(compare({sequence}, {shorter}, {})[0].reason,
            "kind: expected a sequence of 2, found a sequence of 1");
  EXPECT_EQ(compare({sequence}, {sequence}, {})[1].name, "s[1]");
  EXPECT_EQ(describe(compare({sequence}, {}, {})[0]), "s: missing: expected, but not computed");
  EXPECT_EQ(describe(compare({}, {sequence}, {})[0]), "s: surplus: computed, but not expected");
}

TEST(Numeric, IntegersMustBeEqual) {
  EXPECT_FALSE(compare(tensor<int64_t>(DType::i64, {1}, {1 << 30}),
                       tensor<int64_t>(DType::i64, {1}, {(1 << 30) + 1}), {})
                   .matches);
  EXPECT_FALSE(compare(tensor<uint8_t>(DType::boolean, {1}, {0}),
                       tensor<uint8_t>(DType::boolean, {1}, {1}), {})
                   .matches);
}

TEST(Numeric, NarrowFloatsHaveTheToleranceOfTheirPrecision) {
  // 1 and 1 + 4 units in the last place; 1 and 2; the two infinities.
  const auto half = [](uint16_t a, uint16_t b) {
    return compare(tensor<uint16_t>(DType::f16, {1}, {a}), tensor<uint16_t>(DType::f16, {1}, {b}),
                   {});
  };
  EXPECT_TRUE(half(0x3c00, 0x3c04).matches);
  EXPECT_NEAR(half(0x3c00, 0x3c04).max_abs, 4.0 / 1024, 1e-9);
  EXPECT_FALSE(half(0x3c00, 0x4000).matches);
  EXPECT_FALSE(half(0x7c00, 0xfc00).matches);
  const auto bfloat = compare(tensor<uint16_t>(DType::bf16, {1}, {0x3f80}),
                              tensor<uint16_t>(DType::bf16, {1}, {0x3f82}), {});
  EXPECT_TRUE(bfloat.matches);
  EXPECT_NEAR(bfloat.max_abs, 2.0 / 128, 1e-9);
}

TEST(Numeric, EmptyTensorsMatch) { EXPECT_TRUE(compare(floats({}), floats({}), {}).matches); }

// ---- the cross-check
// ------------------------------------------------------------------------------

TEST(CrossCheck, AWholeFilePasses) {
  for (const auto mode : {onnx::WeightMode::external, onnx::WeightMode::embed}) {
    const WrittenNet net(mode);
    const CrossCheck check = net.check();
    EXPECT_TRUE(check.holds()) << describe(check);
    EXPECT_EQ(check.tags.tagged, 8u);
    EXPECT_EQ(check.parameters.parameters.size(), 4u);
    EXPECT_EQ(check.parameters.bytes_compared, 2u * (64 * 64 + 64) * 4);
    EXPECT_EQ(check.success_rate(), 1.0);
    EXPECT_EQ(check.parameter_coverage(), 1.0);
    EXPECT_EQ(check.module_coverage(), 1.0);
  }
}

struct Mutant {
  const char* name;
  std::function<void(WrittenNet&)> mutate;
  std::vector<std::string> findings;
};

std::vector<std::byte> replacement(64 * 64 * 4);  // other contents for a weight

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> all = {
      {"input that nothing defines",
       [](WrittenNet& net) { net.node("/blocks.0/Relu").inputs[0] = "lost"; },
       {"values: /blocks.0/Relu: uses lost, which nothing defines",
        "orphans: /blocks.0/lin/Gemm: none of its outputs is used"}},
      {"name defined twice",
       [](WrittenNet& net) {
         net.node("/blocks.1/Relu").outputs = net.node("/blocks.0/Relu").outputs;
       },
       {"values: /blocks.0/Relu_output_0: is defined more than once"}},
      {"output that nothing defines",
       [](WrittenNet& net) { net.node("/head/MatMul").outputs[0] = "elsewhere"; },
       {"values: out: is an output, but nothing defines it",
        "orphans: /head/MatMul: none of its outputs is used"}},
      {"node removed",
       [](WrittenNet& net) { net.file.graph.nodes.erase(net.file.graph.nodes.begin() + 1); },
       {"values: /blocks.1/lin/Gemm: uses /blocks.0/Relu_output_0, which nothing defines",
        "values: /blocks.0/Relu: was written, but is not there"}},
      {"nodes swapped",
       [](WrittenNet& net) { std::swap(net.file.graph.nodes[0], net.file.graph.nodes[1]); },
       {"order: /blocks.0/Relu: uses /blocks.0/lin/Gemm_output_0 before /blocks.0/lin/Gemm defines "
        "it"}},
      {"cycle",
       [](WrittenNet& net) {
         net.node("/blocks.0/lin/Gemm").inputs[0] = net.node("/blocks.1/Relu").outputs[0];
       },
       {"cycles: /blocks.0/lin/Gemm: depends on itself, through /blocks.0/lin/Gemm, "
        "/blocks.0/Relu, /blocks.1/lin/Gemm, /blocks.1/Relu"}},
      {"cycle through a block",
       [](WrittenNet& net) {
         net.node("/If").subgraphs[0].second.nodes[0].inputs[0] = net.node("/If").outputs[0];
       },
       {"cycles: /If: depends on itself, through /If, /Neg"}},
      {"node past which the data flows",
       [](WrittenNet& net) {
         net.node("/blocks.1/lin/Gemm").inputs[0] = net.node("/blocks.0/lin/Gemm").outputs[0];
       },
       {"orphans: /blocks.0/Relu: none of its outputs is used"}},
      {"weight changed",
       [](WrittenNet& net) {
         auto& weight = net.weight("blocks.1.lin.weight");
         std::copy(weight.bytes.begin(), weight.bytes.end(), replacement.begin());
         replacement[4 * 77] ^= std::byte{1};
         weight.bytes = replacement;
         weight.location = "";
       },
       {"parameters: blocks.1.lin.weight: value: 1 of 4096 elements differ, the first is number "
        "77"}},
      {"weight of another shape",
       [](WrittenNet& net) {
         net.weight("blocks.1.lin.weight").dims = {32, 128};
       },
       {"parameters: blocks.1.lin.weight: shape: expected [64, 64], found [32, 128]"}},
      {"weight of another dtype",
       [](WrittenNet& net) { net.weight("blocks.1.lin.weight").dtype = DType::i32; },
       {"parameters: blocks.1.lin.weight: dtype: expected float32, found int32"}},
      {"weight cut short",
       [](WrittenNet& net) {
         auto& weight = net.weight("blocks.1.lin.weight");
         weight.bytes = weight.bytes.first(100);
       },
       {"parameters: blocks.1.lin.weight: value: expected 16384 bytes, found 100"}},
      {"weight of another name",
       [](WrittenNet& net) {
         net.weight("blocks.1.lin.bias").name = "renamed";
         net.node("/blocks.1/lin/Gemm").inputs[2] = "renamed";
       },
       {"parameters: blocks.1.lin.bias: not found: expected float32 [64]"}},
      {"tied weight twice",
       [](WrittenNet& net) {
         net.file.graph.initializers.push_back(net.weight("blocks.0.lin.weight"));
         net.file.graph.initializers.back().name = "head.weight";
         net.node("/head/MatMul").inputs[1] = "head.weight";
       },
       {"initializers: head.weight: is the same tensor as blocks.0.lin.weight",
        "initializers: head.weight: is the same parameter as blocks.0.lin.weight, which is there "
        "too"}},
      {"weight that no node uses",
       [](WrittenNet& net) { net.node("/blocks.1/lin/Gemm").inputs.pop_back(); },
       {"orphans: blocks.1.lin.bias: no node uses this initializer"}},
      {"node without tags",
       [](WrittenNet& net) { net.node("/head/MatMul").metadata.clear(); },
       {"tags: /head/MatMul: has no tags", "modules: head: ran (pkg.Head), but no node names it"}},
      {"tag that is no list",
       [](WrittenNet& net) { net.tag(net.node("/If"), tagging::kNameScopes) = "['', If"; },
       {"tags: /If: pkg.torch.onnx.name_scopes is not a list of strings: ['', If"}},
      {"class that is another",
       [](WrittenNet& net) {
         onnx::NodeView& node = net.node("/head/MatMul");
         net.tag(node, tagging::kClassHierarchy) = "['pkg.Net', 'pkg.Tail', 'aten::matmul']";
         net.tag(node, tagging::kNamespace) = ": pkg.Net/head: pkg.Tail/matmul: aten::matmul";
       },
       {"tags: /head/MatMul: says that head is a pkg.Tail, but it is a pkg.Head"}},
      {"module that is not there",
       [](WrittenNet& net) {
         onnx::NodeView& node = net.node("/head/MatMul");
         net.tag(node, tagging::kNameScopes) = "['', 'tail', 'matmul']";
         net.tag(node, tagging::kNamespace) = ": pkg.Net/tail: pkg.Head/matmul: aten::matmul";
       },
       {"tags: /head/MatMul: names module tail, which the live module does not have",
        "modules: head: ran (pkg.Head), but no node names it"}},
      {"module called from elsewhere",
       [](WrittenNet& net) {
         onnx::NodeView& node = net.node("/blocks.1/lin/Gemm");
         net.tag(node, tagging::kNameScopes) = "['', 'blocks.0', 'blocks.1.lin', 'linear']";
         net.tag(node, tagging::kNamespace) =
             ": pkg.Net/blocks.0: pkg.Block/blocks.1.lin: torch.nn.modules.linear.Linear/linear: "
             "aten::linear";
         net.tag(node, tagging::kHierarchyTag) = "/Net/Block.0";
       },
       {"tags: /blocks.1/lin/Gemm: says that blocks.1.lin is called from blocks.0, which it is "
        "not"}},
      {"tags of another node",
       [](WrittenNet& net) { net.node("/blocks.0/Relu").metadata = net.node("/If").metadata; },
       {"tags: /blocks.0/Relu: says that it is of the root, but it is of blocks.0"}},
      {"node of another name",
       [](WrittenNet& net) { net.node("/If").name = "/Else"; },
       {"values: /Else: is no node that was written",
        "values: /If: was written, but is not there"}},
      {"namespace that contradicts",
       [](WrittenNet& net) { net.tag(net.node("/If"), tagging::kNamespace) = ": pkg.Net/x: y"; },
       {"tags: /If: namespace \": pkg.Net/x: y\" contradicts the lists of names and classes"}},
      {"hierarchy tag of another module",
       [](WrittenNet& net) { net.tag(net.node("/head/MatMul"), tagging::kHierarchyTag) = "/Net"; },
       {"tags: /head/MatMul: hierarchy_tag: expected /Net/Head, found /Net"}},
      {"input of another shape",
       [](WrittenNet& net) {
         net.file.graph.inputs[0].shape = {{{2, ""}, {64, ""}}};
       },
       {"ports: x: shape: expected [batch, 64], found [2, 64]"}},
      {"output of another dtype",
       [](WrittenNet& net) { net.file.graph.outputs[0].dtype = DType::f64; },
       {"ports: out: dtype: expected float32, found float64"}},
      {"input of another name",
       [](WrittenNet& net) {
         net.file.graph.inputs[1].name = "flag";
         net.node("/If").inputs[0] = "flag";
       },
       {"ports: cond: expected this input, found flag"}},
  };
  return all;
}

std::vector<std::string> texts(const CrossCheck& check) {
  std::vector<std::string> out;
  for (const Finding& finding : check.findings) out.push_back(to_string(finding));
  return out;
}

bool contains(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

TEST(CrossCheck, FindsAndNamesEachKindOfDamage) {
  for (const Mutant& mutant : mutants()) {
    SCOPED_TRACE(mutant.name);
    WrittenNet net;
    mutant.mutate(net);
    const CrossCheck check = net.check();
    EXPECT_FALSE(check.holds());
    EXPECT_LT(check.success_rate(), 1.0);
    for (const std::string& expected : mutant.findings)
      EXPECT_TRUE(contains(texts(check), expected)) << expected << "\n" << describe(check);
  }
}

// ---- validation of files whose graph is not at hand
// -------------------------------------------------

TEST(Validation, AWholeFilePasses) {
  const CrossCheck check = WrittenNet().validate();
  EXPECT_TRUE(check.holds()) << describe(check);
  EXPECT_EQ(check.parameter_coverage(), 1.0);
  EXPECT_EQ(check.module_coverage(), 1.0);
}

TEST(Validation, FindsEachKindOfDamageWithoutTheGraph) {
  for (const Mutant& mutant : mutants()) {
    SCOPED_TRACE(mutant.name);
    WrittenNet net;
    mutant.mutate(net);
    EXPECT_FALSE(net.validate().holds());
  }
}

void retag(WrittenNet& net, const std::string& node, const std::string& like) {
  net.node(node).metadata = net.node(like).metadata;
}

TEST(Validation, DataDoesNotFlowBackToAnEarlierCall) {
  WrittenNet net;
  retag(net, "/blocks.0/Relu", "/head/MatMul");
  EXPECT_TRUE(contains(texts(net.validate()),
                       "tags: /blocks.1/lin/Gemm: is of blocks.1 and uses /blocks.0/Relu_output_0 "
                       "of head, which is called only later"))
      << describe(net.validate());
}

TEST(Validation, ParametersAreUsedWhereTheModuleUsesThem) {
  WrittenNet net;
  retag(net, "/blocks.1/lin/Gemm", "/blocks.0/Relu");
  EXPECT_TRUE(contains(texts(net.validate()),
                       "tags: /blocks.1/lin/Gemm: is of blocks.0 and uses blocks.1.lin.weight, "
                       "which that module does not"))
      << describe(net.validate());
}

TEST(Validation, NamesAndTagsSayTheSame) {
  WrittenNet net;
  retag(net, "/If", "/blocks.1/Relu");
  EXPECT_TRUE(contains(texts(net.validate()),
                       "tags: /If: says that it is of blocks.1, but its name does not"))
      << describe(net.validate());
}

// What other exporters do: tags without a hierarchy_tag (dynamo), none at all (TorchScript);
// weights renamed, and those of linear layers transposed.
TEST(Validation, TakesFilesOfOtherExporters) {
  WrittenNet net;
  net.file.producer_name = "pytorch";
  for (const char* name : {"/blocks.0/Relu", "/head/MatMul"})
    std::erase_if(net.node(name).metadata,
                  [](const auto& entry) { return entry.first == tagging::kHierarchyTag; });
  for (onnx::NodeView& node : net.file.graph.nodes)
    if (node.name != "/head/MatMul") node.metadata.clear();
  for (auto& [attribute, graph] : net.node("/If").subgraphs) graph.nodes[0].metadata.clear();
  onnx::TensorView& weight = net.weight("blocks.1.lin.weight");
  std::vector<float> transposed(64 * 64);
  for (size_t i = 0; i < transposed.size(); ++i)
    transposed[i] = (*net.data[2])[i % 64 * 64 + i / 64];
  weight.bytes = std::as_bytes(std::span(transposed));
  weight.location.clear();
  weight.name = net.node("/blocks.1/lin/Gemm").inputs[1] = "onnx::MatMul_7";
  net.file.graph.outputs[0].name = net.node("/head/MatMul").outputs[0] = "add_4";

  const CrossCheck check = net.validate();
  EXPECT_TRUE(check.holds()) << describe(check);
  EXPECT_EQ(check.tags.tagged, 1u);
  const FileIndex index(net.file);
  const uint32_t relu = check.tags.level_of[3];
  EXPECT_EQ(check.tags.levels[relu].path, "blocks.1");
  EXPECT_EQ(check.tags.levels[relu].tag, "/Net/Block.1");
  const ParameterCheck& parameter = check.parameters.parameters[2];
  EXPECT_EQ(parameter.found_as, "onnx::MatMul_7");
  EXPECT_TRUE(parameter.transposed);
  EXPECT_TRUE(parameter.holds());

  transposed[5] += 1;
  EXPECT_EQ(texts(net.validate()),
            std::vector<std::string>{
                "parameters: blocks.1.lin.weight: not found: expected float32 [64, 64]"});
}

}  // namespace
}  // namespace modelexport::analysis
