#include <gtest/gtest.h>

#include <cmath>

#include "exporter/error.h"
#include "tests/ops/case.h"

namespace modelexport::ops_test {
namespace {

Case only(std::string_view text) {
  std::vector<Case> cases = parse_cases("unary", text);
  EXPECT_EQ(cases.size(), 1u);
  return cases.at(0);
}

std::string error_of(std::string_view text) {
  try {
    parse_cases("unary", text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(CaseParser, ReadsInputsCodeAndExpectations) {
  Case one = only(
      "# About relu.\n"
      "case relu\n"
      "  x: f32[b=2|3, 5]  # dynamic\n"
      "  | torch.relu(x)\n"
      "  emits: Relu\n"
      "  emits 17-18: Max\n"
      "  opset: 17-21\n"
      "  tolerance: exact\n");
  EXPECT_EQ(one.name, "relu");
  EXPECT_EQ(one.line, 2);
  EXPECT_EQ(one.source, "def forward(self, x: Tensor):\n  return torch.relu(x)\n");
  EXPECT_EQ(one.inputs[0].spec.tensor.sizes(0), (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(one.inputs[0].spec.tensor.sizes(1), (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(one.inputs[0].spec.tensor.sizes(2), (std::vector<int64_t>{4, 5}));
  EXPECT_TRUE(one.is_dynamic());
  EXPECT_EQ(one.emits.at_or_default(20, 20), "Relu");
  EXPECT_EQ(one.emits.at_or_default(18, 20), "Max");
  EXPECT_EQ(one.emits.at_or_default(19, 20), std::nullopt);
  EXPECT_EQ(one.opsets.last, 21);
  EXPECT_EQ(one.tolerance->relative, 0);
}

TEST(CaseParser, LoopsGiveAllCombinations) {
  std::vector<Case> cases = parse_cases("unary",
                                        "case one\n"
                                        "  for dtype in f32 i64\n"
                                        "  for (k, s) in (3, \"[1, 2]\") ([2, 2], 1)\n"
                                        "  x: {dtype}[2]\n"
                                        "  | torch.f(x, {k}, {s}, {other})\n");
  ASSERT_EQ(cases.size(), 4u);
  EXPECT_EQ(cases[0].name, "one/dtype=f32,k=3,s=[1, 2]");
  EXPECT_EQ(cases[3].name, "one/dtype=i64,k=[2, 2],s=1");
  EXPECT_EQ(cases[3].inputs[0].spec.tensor.dtype, DType::i64);
  EXPECT_EQ(cases[3].source,
            "def forward(self, x: Tensor):\n  return torch.f(x, [2, 2], 1, {other})\n");
}

TEST(CaseParser, KeepsIndentationAndWholeClassBodies) {
  EXPECT_EQ(only("case a\n  x: f32[]\n  | if bool(x > 0):\n  |   x = -x\n  | return x\n").source,
            "def forward(self, x: Tensor):\n  if bool(x > 0):\n    x = -x\n  return x\n");
  EXPECT_EQ(only("case a\n  x: f32[]\n  | def forward(self, x):\n  |   return x\n").source,
            "def forward(self, x):\n  return x\n");
}

TEST(CaseParser, ReadsWeightsAndCollections) {
  Case one = only(
      "case a\n"
      "  param weight: f32[4, 3]\n"
      "  buffer mean: f64[] = [0.5]\n"
      "  xs: [f32[b=2|4|8, 0], f32[b, 1]]\n"
      "  y: (i64[] = range(0, 9), {k: bool[2]})\n"
      "  | xs[0]\n");
  ASSERT_EQ(one.weights.size(), 2u);
  EXPECT_TRUE(one.weights[0].is_parameter);
  EXPECT_FALSE(one.weights[1].is_parameter);
  EXPECT_EQ(one.weights[1].spec.values, std::vector<double>{0.5});
  EXPECT_EQ(one.inputs[0].spec.elements[1].tensor.sizes(2), (std::vector<int64_t>{8, 1}));
  EXPECT_EQ(one.inputs[1].spec.elements[0].tensor.high, 9);
  EXPECT_EQ(one.inputs[1].spec.elements[1].keys, std::vector<std::string>{"k"});
  EXPECT_EQ(one.source.substr(0, one.source.find('\n')),
            "def forward(self, xs: List[Tensor], y: Tuple[Tensor, Dict[str, Tensor]]):");
}

TEST(CaseParser, ReadsSpecialValues) {
  Case one = only("case a\n  x: f32[2, 2] = [nan, -inf, 1e-3, -2]\n  | x\n");
  const std::vector<double>& values = one.inputs[0].spec.tensor.values;
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], -INFINITY);
  EXPECT_EQ(values[2], 1e-3);
}

TEST(CaseParser, ErrorsNameFileAndLine) {
  EXPECT_EQ(error_of("x: f32[2]\n"),
            "unary.cases:1: 'case NAME' is expected at the left margin, other lines indented");
  EXPECT_EQ(error_of("case a\n  x: f33[2]\n  | x\n"), "unary.cases:2: unknown dtype 'f33'");
  EXPECT_EQ(error_of("case a\n  x: f32[b]\n  | x\n"), "unary.cases:2: a size is expected, not 'b'");
  EXPECT_EQ(error_of("case a\n  x: f32[b=2|2]\n  | x\n"),
            "unary.cases:2: dimension 'b' needs sizes that differ");
  EXPECT_EQ(error_of("case a\n  x: f32[2] = random\n  | x\n"),
            "unary.cases:2: values are range(LO, HI), distinct, or [1, 2, ...], not 'random'");
  EXPECT_EQ(error_of("case a\n  x: f32[2]\n"), "unary.cases:1: there is no code: '| return x'");
  EXPECT_EQ(error_of("case a\n  | 1\ncase a\n  | 1\n"),
            "unary.cases:3: a case of this name came before");
  EXPECT_EQ(error_of("case a\n  opset: 16\n  | 1\n"),
            "unary.cases:2: an opset from 17 to 23 is expected, not '16'");
  EXPECT_EQ(error_of("case a\n  for x on 1 2\n  | 1\n"),
            "unary.cases:2: a loop is: for VAR in A B C");
}

}  // namespace
}  // namespace modelexport::ops_test
