// What lowerings emit nodes with: the shortest right form of each, and the types of what they make.
#include <gtest/gtest.h>

#include <functional>

#include "exporter/graph/print.h"
#include "exporter/lowering/builder.h"
#include "exporter/lowering/infer.h"
#include "tests/unit/hand_made.h"

namespace modelexport::lowering {
namespace {

using test::HandMade;
using test::ref;

// ---- reshape and expand -------------------------------------------------------------------------

struct Shapes {
  HandMade p;
  Dim batch = p.symbol("batch"), seq = p.symbol("seq"), flat = p.symbol("flat");
  ValueId x = kNone;

  std::string emitted(const Shape& from, const std::function<void(Call&, V)>& emit) {
    x = p.input("x", DType::f32, from);
    p.input("sizes", DType::f32, {seq, batch});
    Op& op = p.op("aten::test(self)", {ref(x)}, {});
    Builder builder(p.program, 20);
    builder.set_origin(op.origin);
    Call call(builder, p.program, op);
    emit(call, call.tensor("self"));
    const std::string text = graph::to_string(builder.finish(), p.program);
    return text.substr(text.find('\n', text.find('\n') + 1) + 1);  // without the two inputs
  }
  std::string reshaped(const Shape& from, const Shape& to) {
    return emitted(from, [&](Call& c, V v) { c.reshape(v, to); });
  }
  std::string expanded(const Shape& from, const Shape& to) {
    return emitted(from, [&](Call& c, V v) { c.expand(v, to); });
  }
};

TEST(Reshape, ToTheSameShapeIsNothing) {
  Shapes s;
  EXPECT_EQ(s.reshaped({s.batch, 4}, {s.batch, 4}), "");
}

TEST(Reshape, StaticIsAConstant) {
  Shapes s;
  EXPECT_EQ(s.reshaped({2, 6}, {3, 4}), "%3: float32[3,4] = Reshape(%0, [3,4]:int64)\n");
}

TEST(Reshape, OneUnknownSizeIsLeftOpen) {
  Shapes s;
  EXPECT_EQ(s.reshaped({s.batch, s.seq, 4}, {s.flat, 4}),
            "%3: float32[flat,4] = Reshape(%0, [-1,4]:int64)\n");
}

TEST(Reshape, SizesInPlaceAreCopied) {
  Shapes s;
  EXPECT_EQ(s.reshaped({s.batch, s.seq, 8}, {s.batch, s.seq, 2, 4}),
            "%3: float32[batch,seq,2,4] = Reshape(%0, [0,0,2,4]:int64)\n");
}

TEST(Reshape, SeveralSizesAreAskedFor) {
  Shapes s;
  EXPECT_EQ(s.reshaped({s.flat, 4}, {s.batch, s.seq, 4}),
            "%2: int64[1] = Shape(%1) {start=1, end=2}\n"
            "%3: int64[1] = Shape(%1) {start=0, end=1}\n"
            "%5: int64[3] = Concat(%2, %3, [4]:int64) {axis=0}\n"
            "%6: float32[batch,seq,4] = Reshape(%0, %5)\n");
}

TEST(Reshape, TheSizeThatNoValueHasIsLeftOpen) {
  Shapes s;
  const Dim other = s.p.symbol("other");
  EXPECT_EQ(s.reshaped({s.flat, 4}, {s.batch, other, 4}),
            "%2: int64[1] = Shape(%1) {start=1, end=2}\n"
            "%5: int64[3] = Concat(%2, [-1]:int64, [4]:int64) {axis=0}\n"
            "%6: float32[batch,other,4] = Reshape(%0, %5)\n");
}

TEST(Reshape, EmptyTensorsNameTheirZeros) {
  Shapes s;
  EXPECT_EQ(s.reshaped({0, 4}, {2, 0}),
            "%3: float32[2,0] = Reshape(%0, [2,0]:int64) {allowzero=1}\n");
}

TEST(Reshape, EmptyTensorsNameTheirZerosBesideSymbols) {
  Shapes s;
  EXPECT_EQ(s.reshaped({s.batch, 0}, {0, s.batch}),
            "%3: int64[1] = Shape(%0) {start=0, end=1}\n"
            "%4: int64[2] = Concat([0]:int64, %3) {axis=0}\n"
            "%5: float32[0,batch] = Reshape(%0, %4) {allowzero=1}\n");
}

TEST(Expand, SizesThatAreThereAreNotAskedFor) {
  Shapes s;
  EXPECT_EQ(s.expanded({s.flat, 1}, {3, s.flat, 5}),
            "%3: float32[3,flat,5] = Expand(%0, [3,1,5]:int64)\n");
}

// ---- types of intermediate values ---------------------------------------------------------------

TEST(Infer, Broadcasting) {
  const Dim a = symbol_dim(0), b = symbol_dim(1);
  EXPECT_EQ(broadcast(Shape{2, 1}, Shape{3}), (Shape{2, 3}));
  EXPECT_EQ(broadcast(Shape{a, 1}, Shape{1, b}), (Shape{a, b}));
  EXPECT_EQ(broadcast(Shape{a}, Shape{4}), Shape{4});
  EXPECT_EQ(broadcast(Shape{a}, Shape{b}), std::nullopt);
  EXPECT_EQ(broadcast(Shape{a}, Shape{}), Shape{a});
  EXPECT_EQ(broadcast(Shape{a}, std::nullopt), std::nullopt);
}

TEST(Infer, CommonOperators) {
  const Dim n = symbol_dim(0);
  const auto shape_after = [](std::string_view op, std::vector<Shape> shapes,
                              std::vector<graph::Attribute> attributes,
                              std::vector<int64_t> integers = {}) {
    std::vector<Type> inputs;
    for (Shape& shape : shapes) inputs.push_back({Kind::tensor, DType::f32, std::move(shape)});
    if (!integers.empty()) {
      inputs.push_back({Kind::tensor, DType::i64, Shape{static_cast<Dim>(integers.size())}});
    }
    const auto get = [&](size_t) { return std::optional(integers); };
    return infer({op, inputs, attributes, get}, 1)[0].shape;
  };
  EXPECT_EQ(shape_after("Transpose", {{n, 3, 4}}, {attr("perm", std::vector<int64_t>{0, 2, 1})}),
            (Shape{n, 4, 3}));
  EXPECT_EQ(shape_after("Unsqueeze", {{n, 3}}, {}, {0, -1}), (Shape{1, n, 3, 1}));
  EXPECT_EQ(shape_after("Squeeze", {{n, 1, 1}}, {}, {-1}), (Shape{n, 1}));
  EXPECT_EQ(shape_after("Concat", {{n, 3}, {n, 4}}, {attr("axis", 1)}), (Shape{n, 7}));
  EXPECT_EQ(shape_after("Concat", {{n, 3}, {n, 4}}, {attr("axis", 0)}), std::nullopt);
  EXPECT_EQ(shape_after("MatMul", {{n, 1, 2, 3}, {5, 3, 4}}, {}), (Shape{n, 5, 2, 4}));
  EXPECT_EQ(shape_after("MatMul", {{3}, {3}}, {}), Shape{});
  EXPECT_EQ(shape_after("Gather", {{n, 3}, {2, 2}}, {attr("axis", 1)}), (Shape{n, 2, 2}));
  EXPECT_EQ(shape_after("ReduceSum", {{n, 3}}, {attr("keepdims", 0)}, {-1}), Shape{n});
  EXPECT_EQ(shape_after("ReduceSum", {{n, 3}}, {}), (Shape{1, 1}));
  EXPECT_EQ(shape_after("Reshape", {{2, 6}}, {}, {0, -1, 3}), (Shape{2, 2, 3}));
  EXPECT_EQ(shape_after("Reshape", {{n, 6}}, {}, {0, 2, 3}), (Shape{n, 2, 3}));
  EXPECT_EQ(shape_after("Reshape", {{n, 6}}, {}, {-1}), std::nullopt);
  EXPECT_EQ(shape_after("Shape", {{n, 3, 4}}, {attr("start", 1)}), Shape{2});
}

}  // namespace
}  // namespace modelexport::lowering
