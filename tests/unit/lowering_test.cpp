// The lowering machinery: what of a program is lowered, where sizes come from, blocks, and errors.
// Operators themselves are tested in tests/ops.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "exporter/error.h"
#include "exporter/graph/print.h"
#include "exporter/graph/verify.h"
#include "exporter/lowering/builder.h"
#include "exporter/lowering/lower.h"
#include "exporter/lowering/registry.h"
#include "tests/unit/hand_made.h"

namespace modelexport::lowering {
namespace {

using test::HandMade;
using test::ref;

std::string lowered(const HandMade& p, int opset = 20) {
  const Result result = lower(p.program, {.opset = opset});
  EXPECT_EQ(describe(result.unsupported, p.program), "");
  graph::verify(result.graph, p.program, "lowering");
  return graph::to_string(result.graph, p.program);
}

constexpr const char* kAdd = "aten::add.int(a, b)";
constexpr const char* kSize = "aten::size.int(self, dim)";
constexpr const char* kRelu = "aten::relu(self)";

// ---- the registry -------------------------------------------------------------------------------

TEST(Registry, KeysAreSortedAndUnique) {
  const std::vector<std::string_view> all = keys();  // throws if a key stands twice in a table
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(std::set<std::string_view>(all.begin(), all.end()).size(), all.size());
  EXPECT_GT(all.size(), 100u);
  EXPECT_NE(find("aten::add.int"), nullptr);
  EXPECT_EQ(find("aten::append.t"), nullptr);
  EXPECT_NE(find_for_sequence("aten::append.t"), nullptr);
}

// ---- what is lowered ----------------------------------------------------------------------------

TEST(Lower, LeavesOutWhatNobodyNeeds) {
  HandMade p;
  const ValueId x = p.input("x", DType::f32, {4});
  p.op("aten::nonsense(self)", {ref(x)}, DType::f32, {4});
  p.output("y", p.op(kRelu, {ref(x)}, DType::f32, {4}));
  EXPECT_EQ(lowered(p), R"(input %0: float32[4]
%1: float32[4] = Relu(%0)
output %1
)");
}

TEST(Lower, SmallKnownContentsReplaceTheirOperators) {
  HandMade p;
  const ValueId x = p.input("x", DType::f32, {2});
  const ValueId constant = p.tensor("", DType::f32, {2}, Role::constant);
  p.op("aten::mystery(self)", {int64_t{2}}, {constant});
  p.output("y", p.op("aten::minimum(self, other)", {ref(x), ref(constant)}, DType::f32, {2}));
  EXPECT_EQ(lowered(p), R"(input %0: float32[2]
%2: float32[2] = Min(%0, [0,0]:float32)
output %2
)");
}

// A constant made by an operator, used by aten::relu: what becomes of the operator?
std::string constant_made_by(const std::string& op, int64_t size, Role source) {
  HandMade p;
  const ValueId weight = p.tensor("w", DType::f32, {size}, source);
  const ValueId made = p.tensor("", DType::f32, {size}, Role::constant);
  p.op(op, {ref(weight)}, {made});
  const ValueId x = p.input("x", DType::f32, {size});
  p.output("y", p.op("aten::minimum(self, other)", {ref(x), ref(made)}, DType::f32, {size}));
  return lowered(p);
}

TEST(Lower, LargeKnownContentsAreComputed) {
  EXPECT_NE(constant_made_by(kRelu, 1025, Role::buffer).find("Relu($w)"), std::string::npos);
  EXPECT_EQ(constant_made_by(kRelu, 1024, Role::buffer).find("Relu"), std::string::npos);
}

TEST(Lower, KnownContentsStandInForAMissingLowering) {
  EXPECT_NE(constant_made_by("aten::mystery(self)", 2000, Role::buffer).find("Min(%0, $1)"),
            std::string::npos);
}

TEST(Lower, WhatComesFromParametersIsComputed) {
  EXPECT_NE(constant_made_by(kRelu, 2, Role::parameter).find("Relu($w)"), std::string::npos);
  EXPECT_NE(constant_made_by("aten::mystery(self)", 2, Role::parameter).find("[0,0]:float32"),
            std::string::npos);
}

TEST(Lower, ConstantsOfOneContentsAreOne) {
  HandMade p;
  const ValueId x = p.input("x", DType::i64, {});
  const ValueId once = p.op(kAdd, {ref(x), int64_t{5}}, DType::i64, {});
  p.output("y", p.op(kAdd, {ref(once), int64_t{5}}, DType::i64, {}));
  EXPECT_EQ(lower(p.program, {}).graph.initializers.size(), 1u);
}

// ---- sizes --------------------------------------------------------------------------------------

TEST(Sizes, OfAnInputNeedOneShapeAndNoArithmetic) {
  HandMade p;
  const Dim batch = p.symbol("batch");
  const ValueId x = p.input("x", DType::f32, {batch, 4});
  const ValueId n = p.integer(batch);
  const ValueId m = p.integer(batch);
  p.op(kSize, {ref(x), int64_t{0}}, {n});
  p.op(kAdd, {ref(n), int64_t{0}}, {m});
  const ValueId sum = p.op(kAdd, {ref(m), ref(n)}, DType::i64, {});
  p.output("y", sum);
  EXPECT_EQ(lowered(p), R"(input %0: float32[batch,4]
%1: int64[1] = Shape(%0) {start=0, end=1}
%3: int64[] = Squeeze(%1, [0]:int64)
%4: int64[] = Add(%3, %3)
output %4
)");
}

TEST(Sizes, StaticOnesAreConstants) {
  HandMade p;
  const ValueId x = p.input("x", DType::i64, {});
  const ValueId four = p.integer(4);
  p.op("aten::mystery()", {}, {four});
  p.output("y", p.op(kAdd, {ref(x), ref(four)}, DType::i64, {}));
  EXPECT_EQ(lowered(p), R"(input %0: int64[]
%2: int64[] = Add(%0, 4:int64)
output %2
)");
}

// An int read from an input that agreed with a dimension, or was the same, in the examples.
TEST(Sizes, NumbersReadFromInputsAreNotTakenForSizes) {
  HandMade p;
  const Dim batch = p.symbol("batch");
  const ValueId x = p.input("x", DType::i64, {batch});
  const ValueId like_batch = p.integer(batch), like_four = p.integer(4);
  p.op("aten::Int.Tensor(a)", {ref(x)}, {like_batch});
  p.op("aten::Int.Tensor(a)", {ref(x)}, {like_four});
  p.output("y", p.op(kAdd, {ref(like_batch), ref(like_four)}, DType::i64, {}));
  EXPECT_EQ(lowered(p), R"(input %0: int64[batch]
%2: int64[] = Reshape(%0, []:int64)
%3: int64[] = Reshape(%0, []:int64)
%4: int64[] = Add(%2, %3)
output %4
)");
}

TEST(Sizes, OfIntermediateValuesComeFromThem) {
  HandMade p;
  const Dim found = p.symbol("found");
  const ValueId x = p.input("x", DType::i64, {});
  const ValueId n = p.integer(found);
  p.op(kAdd, {ref(x), int64_t{1}}, {n});
  const ValueId m = p.integer(found);
  p.op(kAdd, {ref(n), int64_t{0}}, {m});
  p.output("y", m);
  Builder builder(p.program, 20);
  EXPECT_FALSE(builder.has_symbol(symbol_index(found)));
  EXPECT_THROW(builder.symbol_size(symbol_index(found)), Unsupported);
  builder.bind(n, builder.new_value(DType::i64, Shape{}));
  EXPECT_TRUE(builder.has_symbol(symbol_index(found)));
  EXPECT_EQ(builder.at(builder.symbol_size(symbol_index(found))).shape, Shape{1});
}

// ---- blocks -------------------------------------------------------------------------------------

TEST(Control, IfTakesBothBranches) {
  HandMade p;
  const Dim batch = p.symbol("batch");
  const ValueId x = p.input("x", DType::f32, {batch});
  const ValueId condition = p.input("flag", DType::boolean, {});
  const ValueId y = p.value(DType::f32, {batch});
  p.scope = p.call(0, "branch", "pkg.Branch");
  p.op("prim::If(condition)", {ref(condition)}, {y});
  Op& op = p.program.body.ops.back();
  op.blocks.resize(2);
  p.blocks.push_back(&op.blocks[0]);
  const ValueId positive = p.op(kRelu, {ref(x)}, DType::f32, {batch});
  op.blocks[0].outputs = {positive};
  op.blocks[1].outputs = {x};
  p.output("y", y);
  EXPECT_EQ(lowered(p), R"(input %0: float32[batch]
input %1: bool[]
%3: float32[batch] = If(%1)
  then_branch():
    %2: float32[batch] = Relu(%0)
    -> %2
  else_branch():
    -> %0
output %3
)");
}

TEST(Control, LoopCarriesValuesAndSequences) {
  HandMade p;
  const ValueId x = p.input("x", DType::f32, {2});
  const ValueId count = p.input("count", DType::i64, {});
  const ValueId last = p.value(DType::f32, {2}), list = p.sequence(DType::f32, {2});
  p.op("prim::Loop(trips, condition, x, list)", {ref(count), true, ref(x), ArgumentList{}},
       {last, list});
  Op& op = p.program.body.ops.back();
  op.blocks.resize(1);
  Block& body = op.blocks[0];
  p.blocks.push_back(&body);
  const ValueId carried = p.value(DType::f32, {2}), rest = p.sequence(DType::f32, {2});
  body.inputs = {p.integer(), carried, rest};
  const ValueId next = p.op(kRelu, {ref(carried)}, DType::f32, {2});
  const ValueId longer = p.sequence(DType::f32, {2});
  p.op("aten::append.t(self, el)", {ref(rest), ref(next)}, {longer});
  const ValueId go_on = p.value(DType::boolean, {});
  p.op("aten::__not__(self)", {false}, {go_on});
  body.outputs = {go_on, next, longer};
  p.blocks.pop_back();
  p.output("stacked", p.op("aten::stack(tensors, dim)", {ref(list), int64_t{0}}, DType::f32,
                           {p.symbol("rounds"), 2}));
  EXPECT_EQ(lowered(p), R"(input %0: float32[2]
input %1: int64[]
%3: sequence of float32[?] = SequenceEmpty() {dtype=1}
%12: float32[2], %13: sequence of float32[2] = Loop(%1, 1:bool, %0, %3)
  body(%4: int64[], %5: bool[], %6: float32[2], %7: sequence of float32[2]):
    %8: float32[2] = Relu(%6)
    %9: sequence of float32[2] = SequenceInsert(%7, %8)
    %11: bool[] = Not(0:bool)
    -> %11, %8, %9
%14: float32[rounds,2] = ConcatFromSequence(%13) {axis=0, new_axis=1}
output %14
)");
}

TEST(Control, SizesFromInsideABlockStayThere) {
  HandMade p;
  const Dim inner = p.symbol("inner");
  const ValueId carried = p.value(DType::f32, {inner});
  Builder builder(p.program, 20);
  builder.set_origin(p.origin("prim::If"));
  builder.open_block();
  builder.block_input(carried);
  EXPECT_TRUE(builder.has_symbol(symbol_index(inner)));
  builder.symbol_number(symbol_index(inner));
  EXPECT_EQ(builder.close_block({}).nodes.size(), 2u);  // Shape and Squeeze
  EXPECT_FALSE(builder.has_symbol(symbol_index(inner)));
}

// ---- errors -------------------------------------------------------------------------------------

TEST(Unsupported, AllAreReportedAtOnce) {
  HandMade p;
  const ValueId x = p.input("x", DType::f32, {4});
  ValueId y = p.op("aten::nonsense.Tensor(self)", {ref(x)}, DType::f32, {4});
  p.scope = p.call(0, "encoder.layer.0", "pkg.Layer");
  for (int i = 0; i < 5; ++i) y = p.op("aten::mystery(self)", {ref(y)}, DType::f32, {4});
  p.program.sources.push_back({});
  p.program.origins.back().source = kNone;
  p.scope = 0;
  const ValueId r = p.op("aten::Int.Tensor(a)", {ref(y)}, DType::i64, {});
  p.output("y", p.op("aten::combinations(self, r, with_replacement)", {ref(x), ref(r), false},
                     DType::f32, {6, 2}));
  const Result result = lower(p.program, {});
  EXPECT_EQ(describe(result.unsupported, p.program), R"(these operators cannot be exported:
  aten::nonsense.Tensor (once): no lowering
    in the model (pkg.Net), net.py:7 in forward
  aten::mystery (5 times): no lowering
    in encoder.layer.0 (pkg.Layer), net.py:7 in forward
    in encoder.layer.0 (pkg.Layer), net.py:7 in forward
    in encoder.layer.0 (pkg.Layer), net.py:7 in forward
    and 2 more
  aten::combinations (once): 'r' depends on the inputs
    in the model (pkg.Net), net.py:7 in forward
`modelexport ops` lists what is supported; --ops maps other operators to ONNX, and --on-unsupported exports the rest.)");
}

std::string internal_error(const HandMade& p) {
  try {
    lower(p.program, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    return error.what();
  }
  return "no error";
}

TEST(Defect, ArgumentsThatNobodyReads) {
  HandMade p;
  const ValueId x = p.input("x", DType::i64, {});
  p.output("y",
           p.op("aten::add.int(a, b, alpha)", {ref(x), int64_t{1}, int64_t{2}}, DType::i64, {}));
  EXPECT_EQ(internal_error(p),
            "lowering aten::add.int in the model (pkg.Net), net.py:7 in forward: "
            "argument 'alpha' is neither read nor ignored");
}

TEST(Defect, ArgumentsThatAreNotThere) {
  HandMade p;
  const ValueId x = p.input("x", DType::i64, {});
  p.output("y", p.op("aten::__derive_index(index, start)", {ref(x), int64_t{1}}, DType::i64, {}));
  EXPECT_EQ(
      internal_error(p),
      "lowering aten::__derive_index in the model (pkg.Net), net.py:7 in forward: the lowering of "
      "aten::__derive_index reads 'step', which its schema does not have: "
      "aten::__derive_index(index, start)");
}

TEST(Defect, ValuesThatWereNeverComputed) {
  HandMade p;
  p.output("y", p.op(kAdd, {ref(p.value(DType::i64, {})), int64_t{1}}, DType::i64, {}));
  EXPECT_EQ(internal_error(p),
            "lowering aten::add.int in the model (pkg.Net), net.py:7 in forward: "
            "value %0 of the program is used but never computed");
}

}  // namespace
}  // namespace modelexport::lowering
