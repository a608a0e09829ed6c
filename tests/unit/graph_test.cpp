#include "exporter/graph/graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"
#include "exporter/graph/literal.h"
#include "exporter/graph/naming.h"
#include "exporter/graph/op_signatures.h"
#include "exporter/graph/print.h"
#include "exporter/graph/scopes.h"
#include "exporter/graph/verify.h"
#include "tests/unit/hand_made.h"

namespace modelexport::graph {
namespace {

using test::HandMade;

// ---- dtypes and literals ------------------------------------------------------------------------

TEST(DTypeOnnx, RoundTrip) {
  EXPECT_EQ(onnx_number(DType::f32), 1);
  EXPECT_EQ(onnx_number(DType::bf16), 16);
  EXPECT_EQ(onnx_number(DType::qu8), 2);
  EXPECT_EQ(dtype_from_onnx(9), DType::boolean);
  EXPECT_EQ(dtype_from_onnx(999), DType::undefined);
  for (int number = 1; number <= 17; ++number) {
    EXPECT_EQ(onnx_number(dtype_from_onnx(number)), number);
  }
}

double round_trip(double value, DType dtype) {
  return to_double(element_at(element_bytes(dtype, value), dtype, 0));
}

TEST(Literal, NarrowFloats) {
  EXPECT_EQ(round_trip(1.5, DType::f16), 1.5);
  EXPECT_EQ(round_trip(65504, DType::f16), 65504);
  EXPECT_EQ(round_trip(65520, DType::f16), std::numeric_limits<double>::infinity());
  EXPECT_EQ(round_trip(5.960464477539063e-08, DType::f16), 5.960464477539063e-08);  // smallest
  EXPECT_EQ(round_trip(2049, DType::f16), 2048);                                    // ties to even
  EXPECT_EQ(round_trip(2051, DType::f16), 2052);
  EXPECT_EQ(round_trip(-0.0, DType::bf16), 0.0);
  EXPECT_TRUE(std::signbit(round_trip(-0.0, DType::bf16)));
  EXPECT_EQ(round_trip(3.140625, DType::bf16), 3.140625);
  EXPECT_EQ(round_trip(448, DType::f8_e4m3fn), 448);
  EXPECT_TRUE(std::isnan(round_trip(1e9, DType::f8_e4m3fn)));  // it has no infinity
  EXPECT_EQ(round_trip(57344, DType::f8_e5m2), 57344);
  EXPECT_TRUE(std::isnan(round_trip(std::nan(""), DType::f16)));
  EXPECT_EQ(element_bytes(DType::f16, 1.0), std::string("\x00\x3c", 2));
}

TEST(Literal, IntegersSaturateAtInfinity) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(round_trip(infinity, DType::i32), 2147483647);
  EXPECT_EQ(round_trip(-infinity, DType::i32), -2147483648);
  EXPECT_EQ(round_trip(-infinity, DType::u8), 0);
  EXPECT_EQ(round_trip(infinity, DType::boolean), 1);
  EXPECT_EQ(round_trip(-2.9, DType::i64), -2);
  EXPECT_EQ(std::get<int64_t>(element_at(element_bytes(DType::i64, INT64_MIN), DType::i64, 0)),
            INT64_MIN);
}

TEST(Literal, ContiguousBytesOfATransposedView) {
  Program program;
  const std::vector<int32_t> data = {0, 1, 2, 3, 4, 5, 6};
  program.storages.push_back(
      {.data = reinterpret_cast<const std::byte*>(data.data()), .bytes = data.size() * 4});
  const modelexport::Tensor tensor{
      .storage = 0, .dtype = DType::i32, .sizes = {3, 2}, .strides = {1, 3}, .offset = 1};
  const std::string bytes = contiguous_bytes(program, tensor);
  std::vector<int64_t> values;
  for (size_t i = 0; i < 6; ++i)
    values.push_back(std::get<int64_t>(element_at(bytes, DType::i32, i)));
  EXPECT_EQ(values, (std::vector<int64_t>{1, 4, 2, 5, 3, 6}));
}

// ---- a graph made by hand -----------------------------------------------------------------------

// y = Relu(Add(x, w)); origins: 0 in the root, 1 in encoder, 2 in encoder.layer.0, 3 in its second
// call.
struct Model {
  HandMade p;
  Graph graph;

  Model() {
    p.input("x", DType::f32, {2});
    p.output("y", p.value(DType::f32, {2}));
    p.tensor("lin.weight", DType::f32, {2}, Role::parameter);
    p.origin("aten::a");
    const ScopeId encoder = p.scope = p.call(0, "encoder", "Encoder");
    p.origin("aten::b");
    p.scope = p.call(encoder, "encoder.layer.0", "Layer");
    p.origin("aten::c");
    p.scope = p.call(encoder, "encoder.layer.0", "Layer");
    p.origin("aten::d");
    graph.values = {
        {.dtype = DType::f32}, {.dtype = DType::f32}, {.dtype = DType::f32}, {.dtype = DType::f32}};
    graph.initializers = {{1, {DType::f32, {2}, modelexport::TensorId{0}}}};
    graph.body.inputs = {0};
    graph.body.nodes = {
        {.op_type = "Add", .inputs = {0, 1}, .outputs = {2}, .origin = 1},
        {.op_type = "Relu", .inputs = {2}, .outputs = {3}, .origin = 2},
    };
    graph.body.outputs = {3};
  }

  ValueId add_value() {
    graph.values.push_back({.dtype = DType::f32});
    return static_cast<ValueId>(graph.values.size() - 1);
  }
  Node& add(std::string op_type, std::vector<ValueId> inputs, OriginId origin) {
    graph.body.nodes.push_back(
        {.op_type = std::move(op_type), .inputs = std::move(inputs), .origin = origin});
    graph.body.nodes.back().outputs = {add_value()};
    return graph.body.nodes.back();
  }
  std::vector<std::string> problems() { return find_problems(graph, p.program); }
};

using Problems = std::vector<std::string>;

TEST(Verify, AcceptsASoundGraph) { EXPECT_EQ(Model().problems(), Problems()); }

TEST(Verify, CatchesEachBreach) {
  struct Breach {
    std::function<void(Model&)> make;
    std::string problem;
  };
  const std::vector<Breach> breaches = {
      {[](Model& m) { std::swap(m.graph.body.nodes[0], m.graph.body.nodes[1]); },
       "body: Relu: value 2 is used before it is defined"},
      {[](Model& m) { m.graph.body.nodes[1].outputs = {2}; },
       "body: Relu: value 2 is defined twice"},
      {[](Model& m) { m.graph.body.nodes[1].outputs = {0}; },
       "body: Relu: value 0 is defined twice"},
      {[](Model& m) { m.graph.body.nodes[1].inputs = {9}; }, "body: Relu: there is no value 9"},
      {[](Model& m) { m.graph.body.outputs = {m.add_value()}; },
       "body outputs: value 4 is used before it is defined"},
      {[](Model& m) { m.graph.body.nodes[1].op_type = "Relic"; },
       "body: Relic is not an ONNX operator"},
      {[](Model& m) {
         m.graph.opset = 19;
         m.graph.body.nodes[1].op_type = "Gelu";
       },
       "body: Gelu exists since opset 20, not in 19"},
      {[](Model& m) {
         m.graph.body.nodes[1].inputs = {2, 2};
       },
       "body: Relu has 2 inputs"},
      {[](Model& m) {
         m.graph.body.nodes[0].inputs = {0, kNone};
       },
       "body: Add lacks input 1"},
      {[](Model& m) { m.graph.body.nodes[1].outputs.push_back(m.add_value()); },
       "body: Relu has 2 outputs"},
      {[](Model& m) { m.graph.body.nodes[1].origin = kNone; }, "body: Relu has no origin"},
      {[](Model& m) { m.graph.values[3].dtype = DType::undefined; },
       "body: Relu: value 3 has no dtype"},
      {[](Model& m) { m.graph.initializers[0].tensor.data = std::string("abc"); },
       "initializers: value 1 has 3 bytes instead of 8"},
      {[](Model& m) { m.graph.initializers[0].tensor.data = modelexport::TensorId{7}; },
       "initializers: value 1 has no tensor in the program"},
      {[](Model& m) { m.graph.values[0].name = m.graph.values[2].name = "x"; },
       "two values are named 'x'"},
      {[](Model& m) { m.graph.body.nodes[0].name = m.graph.body.nodes[1].name = "n"; },
       "two nodes are named 'n'"},
  };
  for (const Breach& breach : breaches) {
    Model m;
    breach.make(m);
    const Problems problems = m.problems();
    EXPECT_NE(std::find(problems.begin(), problems.end(), breach.problem), problems.end())
        << "expected: " << breach.problem << "\nfound: " << testing::PrintToString(problems);
  }
}

// if (condition) { then: Neg(x) } else { else: Identity(x) }
Node& add_if(Model& m) {
  const ValueId condition = m.add("Not", {m.add_value()}, 0).outputs[0];
  m.graph.body.nodes.back().inputs = {m.graph.body.inputs.emplace_back(m.add_value())};
  m.graph.values[condition].dtype = DType::boolean;
  Block then_branch, else_branch;
  const ValueId negative = m.add_value(), same = m.add_value();
  then_branch.nodes = {{.op_type = "Neg", .inputs = {0}, .outputs = {negative}, .origin = 2}};
  then_branch.outputs = {negative};
  else_branch.nodes = {{.op_type = "Identity", .inputs = {0}, .outputs = {same}, .origin = 2}};
  else_branch.outputs = {same};
  Node& node = m.add("If", {condition}, 1);
  node.attributes = {{"then_branch", std::make_shared<Block>(then_branch)},
                     {"else_branch", std::make_shared<Block>(else_branch)}};
  return node;
}

TEST(Verify, BlocksSeeOutwardsButNotInwards) {
  Model m;
  const Node& node = add_if(m);
  EXPECT_EQ(m.problems(), Problems());
  const ValueId inside = std::get<std::shared_ptr<Block>>(node.attributes[0].value)->outputs[0];
  m.graph.body.outputs = {inside};
  EXPECT_EQ(m.problems(), Problems{"body outputs: value " + std::to_string(inside) +
                                   " is used before it is defined"});
}

TEST(Verify, ThrowsWithAllProblems) {
  Model m;
  m.graph.body.nodes[0].origin = kNone;
  m.graph.body.nodes[1].op_type = "Relic";
  try {
    verify(m.graph, m.p.program, "lowering");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_STREQ(error.what(),
                 "the graph is not sound after lowering:\n"
                 "  body: Add has no origin\n"
                 "  body: Relic is not an ONNX operator");
  }
}

TEST(Signatures, KnowsVariadicAndMissing) {
  EXPECT_EQ(find_signature("Concat")->max_inputs, OpSignature::kMany);
  EXPECT_EQ(find_signature("Abs")->name, "Abs");
  EXPECT_EQ(find_signature("Xor")->name, "Xor");
  EXPECT_EQ(find_signature("RMSNormalization")->since, 23);
  EXPECT_EQ(find_signature("Upsample"), nullptr);  // deprecated
}

// ---- scopes -------------------------------------------------------------------------------------

TEST(Scopes, MergedNodesTakeTheCommonScope) {
  Model m;
  const Program& program = m.p.program;
  Node node{.op_type = "Add", .origin = 2};
  EXPECT_EQ(scope_of(node, program), 2u);
  merge_origin(node, program, 2);
  EXPECT_EQ(node.tag, TagKind::direct);  // the same operator
  merge_origin(node, program, 3);        // the layer's second call
  EXPECT_EQ(node.tag, TagKind::merged);
  EXPECT_EQ(scope_of(node, program), 1u);  // encoder
  merge_origin(node, program, 0);
  EXPECT_EQ(scope_of(node, program), 0u);
  EXPECT_EQ(scope_of(Node{.origin = 2, .tag = TagKind::root}, program), 0u);
}

// ---- naming -------------------------------------------------------------------------------------

TEST(Naming, NodesByCallPathAndValuesByNode) {
  Model m;
  m.add("Relu", {3}, 2);  // the same call again
  m.add("Relu", {3}, 3);  // the module's second call
  m.add("Relu", {3}, 0);  // the root itself
  assign_names(m.graph, m.p.program);
  std::vector<std::string> names;
  for (const Node& node : m.graph.body.nodes) names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"/encoder/Add", "/encoder/layer.0/Relu",
                                             "/encoder/layer.0/Relu_1", "/encoder/layer.0_1/Relu",
                                             "/Relu"}));
  EXPECT_EQ(m.graph.values[0].name, "x");
  EXPECT_EQ(m.graph.values[1].name, "lin.weight");
  EXPECT_EQ(m.graph.values[2].name, "/encoder/Add_output_0");
  EXPECT_EQ(m.graph.values[3].name, "y");
  EXPECT_EQ(m.problems(), Problems());
}

TEST(Naming, ConstantsByContentsOrFirstUse) {
  Model m;
  const auto constant = [&](DType dtype, std::vector<int64_t> dims, std::string bytes) {
    const ValueId id = m.add_value();
    m.graph.values[id].dtype = dtype;
    m.graph.initializers.push_back({id, {dtype, std::move(dims), std::move(bytes)}});
    return id;
  };
  const ValueId minus_one = constant(DType::i64, {1}, element_bytes(DType::i64, int64_t{-1}));
  const ValueId tenth = constant(DType::f32, {}, element_bytes(DType::f32, 0.1));
  const ValueId tenth_again = constant(DType::f32, {}, element_bytes(DType::f32, 0.1));
  const ValueId table = constant(DType::f32, {2, 1}, std::string(8, '\0'));
  m.add("Mul", {3, table}, 2);
  assign_names(m.graph, m.p.program);
  EXPECT_EQ(m.graph.values[minus_one].name, "int64_-1_1d");
  EXPECT_EQ(m.graph.values[tenth].name, "float32_0.1");
  EXPECT_EQ(m.graph.values[tenth_again].name, "float32_0.1_1");
  EXPECT_EQ(m.graph.values[table].name, "/encoder/layer.0/Mul_constant");
}

TEST(Naming, PortsKeepTheirNames) {
  Model m;
  m.p.program.outputs[0].name = "x";  // as the input
  m.p.program.tensors[0].name = "x";  // and as the parameter
  assign_names(m.graph, m.p.program);
  EXPECT_EQ(m.graph.values[0].name, "x");
  EXPECT_EQ(m.graph.values[1].name, "x_1");
  EXPECT_EQ(m.graph.values[3].name, "x_2");
}

TEST(Naming, OutputsAreNodesOfTheirOwn) {
  Model m;
  for (const char* name : {"same", "copy", "weight"}) m.p.output(name, 0);
  m.graph.body.outputs = {3, 3, 0, 1};
  assign_names(m.graph, m.p.program);
  EXPECT_EQ(to_string(m.graph, m.p.program), R"(input x: float32[?]
/encoder/Add_output_0: float32[?] = Add(x, $lin.weight)
y: float32[?] = Relu(/encoder/Add_output_0)
same: float32[?] = Identity(y)
copy: float32[?] = Identity(x)
weight: float32[?] = Identity($lin.weight)
output y
output same
output copy
output weight
)");
  EXPECT_EQ(m.graph.body.nodes.back().tag, TagKind::root);
  EXPECT_EQ(m.graph.body.nodes.back().name, "/Identity_2");
  EXPECT_EQ(m.problems(), Problems());
}

TEST(Naming, BlocksReturnValuesOfTheirOwn) {
  Model m;
  m.p.input("flag", DType::boolean, {});
  Node& node = add_if(m);
  Block& branch = *std::get<std::shared_ptr<Block>>(node.attributes[1].value);
  branch.nodes.clear();
  branch.outputs = {3};
  assign_names(m.graph, m.p.program);
  ASSERT_EQ(branch.nodes.size(), 1u);
  EXPECT_EQ(branch.nodes[0].op_type, "Identity");
  EXPECT_EQ(branch.nodes[0].origin, node.origin);
  EXPECT_EQ(branch.nodes[0].name, "/encoder/Identity");
  EXPECT_EQ(m.problems(), Problems());
}

}  // namespace
}  // namespace modelexport::graph
