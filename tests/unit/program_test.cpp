#include "exporter/program/program.h"

#include <gtest/gtest.h>

#include "tests/unit/hand_made.h"

namespace modelexport {
namespace {

using test::HandMade;
using test::ref;

TEST(DType, NamesAreNumpysAndReadBack) {
  for (auto dtype : {DType::boolean, DType::u8, DType::i64, DType::f16, DType::bf16, DType::f32,
                     DType::c128, DType::f8_e4m3fn, DType::qu8}) {
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
  }
  EXPECT_EQ(name(DType::f32), "float32");
  EXPECT_EQ(dtype_from_name("half"), DType::f16);
  EXPECT_EQ(dtype_from_name("float"), DType::f32);
  EXPECT_EQ(dtype_from_name("floaty"), DType::undefined);
}

TEST(DType, SizesAndKinds) {
  EXPECT_EQ(byte_size(DType::boolean), 1u);
  EXPECT_EQ(byte_size(DType::c128), 16u);
  EXPECT_EQ(byte_size(DType::string), 0u);
  EXPECT_TRUE(is_floating(DType::f8_e5m2));
  EXPECT_FALSE(is_floating(DType::c64));
  EXPECT_TRUE(is_integral(DType::u64));
  EXPECT_FALSE(is_integral(DType::boolean));
  EXPECT_FALSE(is_signed(DType::u8));
  EXPECT_TRUE(is_signed(DType::f16));
}

TEST(DType, PartsOfComplexNumbers) {
  for (DType dtype : {DType::c32, DType::c64, DType::c128}) {
    EXPECT_EQ(complex_dtype(part_dtype(dtype)), dtype);
    EXPECT_EQ(byte_size(dtype), 2 * byte_size(part_dtype(dtype)));
  }
  EXPECT_EQ(part_dtype(DType::i64), DType::i64);
  EXPECT_EQ(complex_dtype(DType::bf16), DType::undefined);
}

TEST(DType, ScalarTypeNumbers) {
  EXPECT_EQ(dtype_from_scalar_type(6), DType::f32);
  EXPECT_EQ(dtype_from_scalar_type(11), DType::boolean);
  EXPECT_EQ(dtype_from_scalar_type(15), DType::bf16);
  EXPECT_EQ(dtype_from_scalar_type(8), DType::c32);
  EXPECT_EQ(dtype_from_scalar_type(-1), DType::undefined);
}

TEST(Shape, ElementCount) {
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{2, 3}), 6);
  EXPECT_EQ(element_count(Shape{2, symbol_dim(0)}), std::nullopt);
  EXPECT_EQ(element_count(Shape{0, symbol_dim(0)}), 0);
}

TEST(Tensor, Contiguity) {
  const auto contiguous = [](std::vector<int64_t> sizes, std::vector<int64_t> strides) {
    return Tensor{.sizes = std::move(sizes), .strides = std::move(strides)}.is_contiguous();
  };
  EXPECT_TRUE(contiguous({}, {}));
  EXPECT_TRUE(contiguous({2, 3}, {3, 1}));
  EXPECT_FALSE(contiguous({2, 3}, {1, 2}));
  EXPECT_TRUE(contiguous({2, 1, 3}, {3, 77, 1}));  // the stride over one element is moot
  EXPECT_TRUE(contiguous({0, 3}, {1, 7}));
  EXPECT_FALSE(contiguous({4}, {0}));
}

TEST(Print, ListsEverything) {
  HandMade p;
  const Dim batch = p.symbol("batch");
  const ValueId x = p.input("x", DType::f32, {batch, 4});
  const ValueId weight = p.tensor("lin.weight", DType::f32, {8, 4}, Role::parameter);
  p.program.tensors[0].aliases = {"head.weight"};
  p.scope = p.call(0, "lin", "torch.nn.modules.linear.Linear");
  const ValueId y =
      p.op("aten::linear(input, weight, bias)", {ref(x), ref(weight), {}}, DType::f32, {batch, 8});
  p.scope = 0;
  const ValueId size = p.integer(batch);
  p.op("aten::size.int(self, dim)", {ref(y), int64_t{0}}, {size});
  const ValueId z = p.value(DType::f32, {batch, 8});
  Op& loop = p.op("prim::If(condition)", {true}, {z});
  loop.blocks.resize(2);
  for (Block& block : loop.blocks) block.outputs = {y};
  p.op("aten::foo(l, f, s)", {ArgumentList{int64_t{1}, ref(size)}, 2.0, std::string("mean")},
       {kNone});
  p.output("z", z);
  EXPECT_EQ(to_string(p.program), R"(program pkg.Net from model.pt
symbol batch = 2, 3
parameter $0 lin.weight: float32[8,4] also head.weight
input x = %0: float32[batch,4]
%2: float32[batch,8] = aten::linear(%0, %1, None)  # lin.aten::linear net.py:7
%3: int64[] = batch = aten::size.int(%2, 0)  # aten::size.int net.py:7
%4: float32[batch,8] = prim::If(True)  # prim::If net.py:7
  block():
    -> %2
  block():
    -> %2
_ = aten::foo([1, %3], 2.0, 'mean')  # aten::foo net.py:7
output z = %4
)");
}

}  // namespace
}  // namespace modelexport
