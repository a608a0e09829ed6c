#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>

#include "exporter/graph/dtype_onnx.h"
#include "exporter/graph/literal.h"
#include "exporter/graph/passes/common_subexpressions.h"
#include "exporter/graph/passes/dead_code.h"
#include "exporter/graph/passes/run_passes.h"
#include "exporter/graph/passes/simplify.h"
#include "exporter/graph/verify.h"

namespace modelexport::graph {
namespace {

const Dim kBatch = symbol_dim(0), kSeq = symbol_dim(1);

// A graph of one input x, built line by line, and written as text after the passes.
class PassTest : public testing::Test {
 protected:
  PassTest() {
    program_.symbols = {{"batch", {2}}, {"seq", {3}}};
    program_.scopes = {{.path = "", .class_name = "Net"},
                       {.parent = 0, .path = "a", .class_name = "A"},
                       {.parent = 0, .path = "b", .class_name = "B"}};
    program_.origins = {
        {0, kNone, "aten::x", "x"}, {1, kNone, "aten::y", "y"}, {2, kNone, "aten::z", "z"}};
  }

  ValueId value(DType dtype, std::optional<Shape> shape) {
    graph_.values.push_back({.dtype = dtype, .shape = std::move(shape)});
    return static_cast<ValueId>(graph_.values.size() - 1);
  }

  ValueId input(DType dtype, Shape shape) {
    graph_.body.inputs.push_back(value(dtype, std::move(shape)));
    return graph_.body.inputs.back();
  }

  ValueId constant(DType dtype, std::vector<int64_t> dims, const std::vector<double>& numbers) {
    std::string bytes;
    for (double number : numbers) append_element(bytes, dtype, number);
    const ValueId id = value(dtype, dims);
    graph_.initializers.push_back({id, {dtype, std::move(dims), std::move(bytes)}});
    return id;
  }
  ValueId ints(const std::vector<double>& numbers) {
    return constant(DType::i64, {static_cast<int64_t>(numbers.size())}, numbers);
  }

  ValueId node(const std::string& op, std::vector<ValueId> inputs, DType dtype,
               std::optional<Shape> shape, std::vector<Attribute> attributes = {},
               OriginId origin = 0) {
    const ValueId out = value(dtype, std::move(shape));
    block_->nodes.push_back({.op_type = op,
                             .inputs = std::move(inputs),
                             .outputs = {out},
                             .attributes = std::move(attributes),
                             .origin = origin});
    return out;
  }

  // "Add(x, [1, 2]); ..." with inner results numbered %0, %1...
  std::string text() {
    verify(graph_, program_, "passes");
    names_.clear();
    for (size_t i = 0; i < graph_.body.inputs.size(); ++i) {
      names_[graph_.body.inputs[i]] = i == 0 ? "x" : fmt::format("x{}", i);
    }
    for (const Initializer& initializer : graph_.initializers) {
      names_[initializer.value] = constant_text(initializer.tensor);
    }
    std::vector<std::string> lines;
    for (size_t i = 0; i < graph_.body.nodes.size(); ++i) {
      const Node& node = graph_.body.nodes[i];
      for (ValueId id : node.outputs) names_[id] = fmt::format("%{}", i);
      lines.push_back(fmt::format("{}({})", node.op_type, fmt::join(named(node.inputs), ", ")));
    }
    lines.push_back(fmt::format("-> {}", fmt::join(named(graph_.body.outputs), ", ")));
    return fmt::format("{}", fmt::join(lines, "; "));
  }

  std::string after_passes(std::vector<ValueId> outputs) {
    graph_.body.outputs = std::move(outputs);
    run_passes(graph_, program_);
    return text();
  }

  Program program_;
  Graph graph_;
  Block* block_ = &graph_.body;

 private:
  static std::string constant_text(const TensorData& tensor) {
    const auto* bytes = std::get_if<std::string>(&tensor.data);
    if (!bytes) return program_name(tensor);
    std::vector<double> numbers;
    for (int64_t i = 0; i < element_count(tensor); ++i) {
      numbers.push_back(to_double(element_at(*bytes, tensor.dtype, static_cast<size_t>(i))));
    }
    return tensor.dims.empty() ? fmt::format("{}", numbers[0]) : fmt::format("{}", numbers);
  }
  static std::string program_name(const TensorData& tensor) {
    return fmt::format("tensor{}", std::get<TensorId>(tensor.data));
  }

  std::vector<std::string> named(const std::vector<ValueId>& ids) {
    std::vector<std::string> result;
    for (ValueId id : ids) result.push_back(id == kNone ? "-" : names_[id]);
    return result;
  }

  std::map<ValueId, std::string> names_;
};

TEST_F(PassTest, DeadNodesAndInitializersGo) {
  const auto x = input(DType::f32, {kBatch});
  input(DType::f32, {kBatch});
  const auto c = constant(DType::f32, {1}, {2});
  const auto used = node("Neg", {x}, DType::f32, Shape{kBatch});
  node("Add", {used, c}, DType::f32, Shape{kBatch});
  graph_.body.outputs = {used};
  remove_dead_code(graph_);
  EXPECT_EQ(text(), "Neg(x); -> %0");
  EXPECT_EQ(graph_.initializers.size(), 0u);
  EXPECT_EQ(graph_.body.inputs.size(), 2u) << "inputs of the model stay";
}

TEST_F(PassTest, ValuesThatNestedBlocksUseAreNotDead) {
  const auto x = input(DType::f32, {kBatch});
  const auto c = constant(DType::boolean, {}, {1});
  const auto outer = node("Neg", {x}, DType::f32, Shape{kBatch});
  std::vector<Attribute> branches;
  for (const char* name : {"then_branch", "else_branch"}) {
    auto block = std::make_shared<Block>();
    block_ = block.get();
    node("Sin", {outer}, DType::f32, Shape{kBatch});  // dead
    block->outputs = {node("Exp", {outer}, DType::f32, Shape{kBatch})};
    branches.push_back({name, block});
  }
  block_ = &graph_.body;
  const auto out = node("If", {c}, DType::f32, Shape{kBatch}, branches);
  EXPECT_EQ(after_passes({out}), "Neg(x); If(1); -> %1");
  for (const Attribute& attribute : graph_.body.nodes[1].attributes) {
    const auto& block = *std::get<std::shared_ptr<Block>>(attribute.value);
    ASSERT_EQ(block.nodes.size(), 1u);
    EXPECT_EQ(block.nodes[0].op_type, "Exp");
  }
}

TEST_F(PassTest, EqualNodesAreMerged) {
  const auto x = input(DType::f32, {kBatch});
  const auto y = input(DType::f32, {kBatch});
  const auto a = node("Add", {x, y}, DType::f32, Shape{kBatch}, {}, 1);
  const auto b = node("Add", {y, x}, DType::f32, Shape{kBatch}, {}, 2);
  const auto c = node("Sub", {x, y}, DType::f32, Shape{kBatch});
  const auto d = node("Sub", {y, x}, DType::f32, Shape{kBatch});
  const auto sum = node("Concat", {a, b, c, d}, DType::f32, std::nullopt, {{"axis", int64_t{0}}});
  EXPECT_EQ(after_passes({sum}),
            "Add(x, x1); Sub(x, x1); Sub(x1, x); Concat(%0, %0, %1, %2); -> %3");
  EXPECT_EQ(graph_.body.nodes[0].tag, TagKind::merged);
  EXPECT_EQ(graph_.body.nodes[0].scope, 0u) << "what a and b have in common";
  EXPECT_EQ(graph_.body.nodes[1].tag, TagKind::direct);
}

TEST_F(PassTest, DifferentAttributesTypesAndRandomOperatorsAreNotMerged) {
  const auto x = input(DType::f32, {4, 4});
  std::vector<ValueId> parts;
  for (int64_t axis : {0, 1, 0}) {
    parts.push_back(node("Softmax", {x}, DType::f32, Shape{4, 4}, {{"axis", axis}}));
  }
  for (int i = 0; i < 2; ++i)
    parts.push_back(node("RandomUniformLike", {x}, DType::f32, Shape{4, 4}));
  for (DType dtype : {DType::i32, DType::i64}) {
    const auto cast = node("Cast", {x}, dtype, Shape{4, 4}, {{"to", int64_t{onnx_number(dtype)}}});
    parts.push_back(node("Cast", {cast}, DType::f32, Shape{4, 4}, {{"to", int64_t{1}}}));
  }
  EXPECT_EQ(
      after_passes({node("Sum", parts, DType::f32, Shape{4, 4})}),
      "Softmax(x); Softmax(x); RandomUniformLike(x); RandomUniformLike(x); Cast(x); Cast(%4); "
      "Cast(x); Cast(%6); Sum(%0, %1, %0, %2, %3, %5, %7); -> %8");
}

// What is computed before an If is used in its branches; the branches do not see each other.
TEST_F(PassTest, MergingLooksOutwardsOnly) {
  const auto x = input(DType::f32, {kBatch});
  const auto c = input(DType::boolean, {});
  const auto outer = node("Exp", {x}, DType::f32, Shape{kBatch});
  std::vector<Attribute> branches;
  for (const char* name : {"then_branch", "else_branch"}) {
    auto block = std::make_shared<Block>();
    block_ = block.get();
    const auto again = node("Exp", {x}, DType::f32, Shape{kBatch});
    block->outputs = {node("Sin", {again}, DType::f32, Shape{kBatch})};
    branches.push_back({name, block});
  }
  block_ = &graph_.body;
  const auto out = node("If", {c}, DType::f32, Shape{kBatch}, branches);
  EXPECT_EQ(after_passes({out, outer}), "Exp(x); If(x1); -> %1, %0");
  for (const Attribute& attribute : graph_.body.nodes[1].attributes) {
    const auto& block = *std::get<std::shared_ptr<Block>>(attribute.value);
    ASSERT_EQ(block.nodes.size(), 1u);
    EXPECT_EQ(block.nodes[0].inputs, (std::vector<ValueId>{outer}));
  }
}

TEST_F(PassTest, EqualConstantsBecomeOne) {
  const auto x = input(DType::f32, {3});
  const auto a = node("Mul", {x, constant(DType::f32, {1}, {2})}, DType::f32, Shape{3});
  const auto b = node("Add", {a, constant(DType::f32, {1}, {2})}, DType::f32, Shape{3});
  EXPECT_EQ(after_passes({b}), "Mul(x, [2]); Add(%0, [2]); -> %1");
  EXPECT_EQ(graph_.initializers.size(), 1u);
}

TEST_F(PassTest, NodesThatReturnTheirInput) {
  const auto x = input(DType::f32, {kBatch, 4});
  const Shape shape = {kBatch, 4};
  auto y = node("Identity", {x}, DType::f32, shape);
  y = node("Add", {constant(DType::f32, {}, {0}), y}, DType::f32, shape);
  y = node("Mul", {y, constant(DType::f32, {4}, {1, 1, 1, 1})}, DType::f32, shape);
  y = node("Sub", {y, constant(DType::f32, {}, {0})}, DType::f32, shape);
  y = node("Div", {y, constant(DType::f32, {}, {1})}, DType::f32, shape);
  y = node("Pow", {y, constant(DType::i64, {}, {1})}, DType::f32, shape);
  y = node("Transpose", {y}, DType::f32, shape, {{"perm", std::vector<int64_t>{0, 1}}});
  y = node("Reshape", {y, ints({0, 4})}, DType::f32, shape);
  y = node("Expand", {y, ints({1, 4})}, DType::f32, shape);
  y = node("Slice", {y, ints({0}), ints({9e18}), ints({1}), ints({1})}, DType::f32, shape);
  y = node("Concat", {y}, DType::f32, shape, {{"axis", int64_t{0}}});
  y = node("Cast", {y}, DType::f32, shape, {{"to", int64_t{1}}});
  y = node("Where", {constant(DType::boolean, {}, {0}), x, y}, DType::f32, shape);
  y = node("Neg", {node("Neg", {y}, DType::f32, shape)}, DType::f32, shape);
  y = node("Tile", {y, ints({1, 1})}, DType::f32, shape);
  EXPECT_EQ(after_passes({node("Exp", {y}, DType::f32, shape)}), "Exp(x); -> %0");
}

TEST_F(PassTest, NodesThatOnlySeemTo) {
  const auto x = input(DType::f32, {kBatch, 1});
  const auto wide = constant(DType::f32, {4}, {0, 0, 0, 0});
  auto y = node("Add", {x, wide}, DType::f32, Shape{kBatch, 4});                      // broadcasts
  y = node("Sub", {constant(DType::f32, {}, {0}), y}, DType::f32, Shape{kBatch, 4});  // negates
  y = node("Div", {constant(DType::f32, {}, {1}), y}, DType::f32, Shape{kBatch, 4});  // inverts
  y = node("Slice", {y, ints({0}), ints({4}), ints({0})}, DType::f32, Shape{kBatch, 4});  // may cut
  EXPECT_EQ(after_passes({y}),
            "Add(x, [0, 0, 0, 0]); Sub(0, %0); Div(1, %1); Slice(%2, [0], [4], [0]); -> %3");
}

// A bias that happens to be zero has to stay in the file.
TEST_F(PassTest, ParametersAreNeverNeutral) {
  const std::vector<float> zeros(4, 0.0f);
  program_.storages = {{reinterpret_cast<const std::byte*>(zeros.data()), 16}};
  program_.tensors = {{0, DType::f32, {4}, {1}, 0, Role::parameter, "bias"}};
  const auto x = input(DType::f32, {kBatch, 4});
  const auto bias = value(DType::f32, Shape{4});
  graph_.initializers.push_back({bias, {DType::f32, {4}, TensorId{0}}});
  const auto sum = node("Add", {x, bias}, DType::f32, Shape{kBatch, 4});
  EXPECT_EQ(after_passes({sum}), "Add(x, tensor0); -> %0");
}

TEST_F(PassTest, CastsThatLoseNothingAreMerged) {
  const auto to = [](DType dtype) {
    return std::vector<Attribute>{{"to", int64_t{onnx_number(dtype)}}};
  };
  const auto chain = [&](ValueId from, DType through, DType last) {
    const auto first = node("Cast", {from}, through, Shape{4}, to(through), 1);
    return node("Exp", {node("Cast", {first}, last, Shape{4}, to(last), 1)}, last, Shape{4});
  };
  const auto half = input(DType::f16, {4});
  const auto mask = input(DType::boolean, {4});
  const auto wide = input(DType::f32, {4});
  const auto index = input(DType::i64, {4});
  EXPECT_EQ(
      after_passes({chain(half, DType::f32, DType::f16), chain(mask, DType::i64, DType::f32),
                    chain(wide, DType::f16, DType::f32), chain(index, DType::f32, DType::i64)}),
      "Exp(x); Cast(x1); Exp(%1); Cast(x2); Cast(%3); Exp(%4); Cast(x3); Cast(%6); Exp(%7); "
      "-> %0, %2, %5, %8");
}

TEST_F(PassTest, TransposesAreComposed) {
  const auto perm = [](std::vector<int64_t> p) { return std::vector<Attribute>{{"perm", p}}; };
  const auto x = input(DType::f32, {2, 3, 4});
  const auto a = node("Transpose", {x}, DType::f32, Shape{3, 4, 2}, perm({1, 2, 0}), 1);
  const auto b = node("Transpose", {a}, DType::f32, Shape{4, 3, 2}, perm({1, 0, 2}), 2);
  const auto c = node("Transpose", {b}, DType::f32, Shape{2, 3, 4}, perm({2, 1, 0}), 2);
  EXPECT_EQ(after_passes({b, node("Exp", {c}, DType::f32, Shape{2, 3, 4})}),
            "Transpose(x); Exp(x); -> %0, %1");
  const Node& composed = graph_.body.nodes[0];
  EXPECT_EQ(std::get<std::vector<int64_t>>(composed.attributes[0].value),
            (std::vector<int64_t>{2, 1, 0}));
  EXPECT_EQ(composed.tag, TagKind::merged);
  EXPECT_EQ(composed.scope, 0u);
}

TEST_F(PassTest, OfSeveralReshapesTheLastOneCounts) {
  const auto x = input(DType::f32, {kBatch, kSeq, 8});
  auto y = node("Reshape", {x, ints({-1, 8})}, DType::f32, Shape{symbol_dim(1), 8});
  y = node("Unsqueeze", {y, ints({0})}, DType::f32, Shape{1, symbol_dim(1), 8});
  y = node("Reshape", {y, ints({0, -1, 2, 4})}, DType::f32, Shape{kBatch, kSeq, 2, 4});
  EXPECT_EQ(after_passes({y}), "Reshape(x, [0, 0, 2, 4]); -> %0");
}

TEST_F(PassTest, ReshapesThatEndWhereTheyBegan) {
  const auto x = input(DType::f32, {kBatch, 8});
  auto y = node("Unsqueeze", {x, ints({1})}, DType::f32, Shape{kBatch, 1, 8});
  y = node("Squeeze", {y, ints({1})}, DType::f32, Shape{kBatch, 8});
  EXPECT_EQ(after_passes({node("Exp", {y}, DType::f32, Shape{kBatch, 8})}), "Exp(x); -> %0");
}

TEST_F(PassTest, ShapeComputationsAreFolded) {
  const auto x = input(DType::f32, {kBatch, 6, 8});
  const auto shape = node("Shape", {x}, DType::i64, Shape{3});
  const auto six = node("Gather", {shape, constant(DType::i64, {}, {1})}, DType::i64, Shape{},
                        {{"axis", int64_t{0}}});
  const auto half = node("Div", {six, constant(DType::i64, {}, {2})}, DType::i64, Shape{});
  const auto rest = node("Slice", {shape, ints({2}), ints({3}), ints({0})}, DType::i64, Shape{1});
  const auto one = node("Unsqueeze", {half, ints({0})}, DType::i64, Shape{1});
  const auto batch =
      node("Gather", {shape, ints({0})}, DType::i64, Shape{1}, {{"axis", int64_t{0}}});
  const auto all = node("Concat", {one, rest}, DType::i64, Shape{2}, {{"axis", int64_t{0}}});
  EXPECT_EQ(after_passes({node("Mul", {all, batch}, DType::i64, Shape{2})}),
            "Shape(x); Gather(%0, [0]); Mul([3, 8], %1); -> %2");
}

TEST_F(PassTest, DivisionByZeroIsNotFolded) {
  const auto zero = constant(DType::i64, {}, {0});
  const auto x = input(DType::i64, {});
  const auto y = node("Div", {constant(DType::i64, {}, {1}), zero}, DType::i64, Shape{});
  EXPECT_EQ(after_passes({node("Add", {x, y}, DType::i64, Shape{})}),
            "Div(1, 0); Add(x, %0); -> %1");
}

TEST_F(PassTest, ExpandBeforeAnOperatorThatBroadcasts) {
  const auto x = input(DType::f32, {kBatch, 8});
  const auto row = input(DType::f32, {8});
  const auto shape = input(DType::i64, {2});
  const auto expanded = node("Expand", {row, shape}, DType::f32, Shape{kBatch, 8});
  const auto sum = node("Add", {x, expanded}, DType::f32, Shape{kBatch, 8});
  // Both sides expanded: one of them has to stay.
  const auto both = node("Mul", {expanded, expanded}, DType::f32, Shape{kBatch, 8});
  EXPECT_EQ(after_passes({sum}), "Add(x, x1); -> %0");
  graph_.body.nodes.clear();
  graph_.body.nodes.push_back(
      {.op_type = "Expand", .inputs = {row, shape}, .outputs = {expanded}, .origin = 0});
  graph_.body.nodes.push_back(
      {.op_type = "Mul", .inputs = {expanded, expanded}, .outputs = {both}, .origin = 0});
  EXPECT_EQ(after_passes({both}), "Expand(x1, x2); Mul(x1, %0); -> %1");
}

TEST_F(PassTest, WhatIsTakenAtEveryPosition) {
  const auto x = input(DType::boolean, {kBatch, kSeq});
  const auto size = input(DType::i64, {});
  const auto taken = [&](double first) {
    std::vector<ValueId> columns;
    for (const size_t along : {0, 3}) {
      const auto begin = constant(DType::i64, {}, {along == 0 ? 0 : first});
      const auto one = constant(DType::i64, {}, {1});
      Shape shape(4, 1), column{kBatch, 1, 1, kSeq, 1};
      shape[along] = along == 0 ? kBatch : kSeq;
      auto y = node("Range", {begin, size, one}, DType::i64, Shape{shape[along]});
      y = node("Reshape", {y, ints({1, 1, 1, -1})}, DType::i64, shape);
      y = node("Expand", {y, input(DType::i64, {4})}, DType::i64, Shape{kBatch, 1, 1, kSeq});
      columns.push_back(node("Unsqueeze", {y, ints({4})}, DType::i64, column));
    }
    const auto positions =
        node("Concat", columns, DType::i64, Shape{kBatch, 1, 1, kSeq, 2}, {{"axis", int64_t{4}}});
    return node("GatherND", {x, positions}, DType::boolean, Shape{kBatch, 1, 1, kSeq});
  };
  EXPECT_EQ(after_passes({taken(0)}), "Reshape(x, [0, 1, 1, -1]); -> %0");
  EXPECT_NE(after_passes({taken(1)}).find("GatherND"), std::string::npos);
}

TEST_F(PassTest, ProductsWithAReciprocalAreQuotients) {
  const auto x = input(DType::f32, {4});
  const auto y = input(DType::f32, {4});
  const auto once = node("Reciprocal", {y}, DType::f32, Shape{4});
  const auto quotient = node("Mul", {once, x}, DType::f32, Shape{4});
  const auto twice = node("Reciprocal", {quotient}, DType::f32, Shape{4});
  const auto product = node("Mul", {x, twice}, DType::f32, Shape{4});
  EXPECT_EQ(after_passes({product, twice}), "Div(x, x1); Reciprocal(%0); Mul(x, %1); -> %2, %1");
}

TEST_F(PassTest, OutputsMayBecomeInputs) {
  const auto x = input(DType::f32, {kBatch});
  EXPECT_EQ(after_passes({node("Identity", {x}, DType::f32, Shape{kBatch})}), "-> x");
}

}  // namespace
}  // namespace modelexport::graph
