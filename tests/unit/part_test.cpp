// One module call of a program alone.
#include "exporter/program/part.h"

#include <gtest/gtest.h>

#include "exporter/error.h"
#include "tests/unit/errors.h"
#include "tests/unit/hand_made.h"

namespace modelexport {
namespace {

using test::HandMade;
using test::message;
using test::ref;

// y = relu(lin(neg(x))) with lin.weight, and a buffer that the root passes to lin.
struct Whole : HandMade {
  ValueId x, negated, weight, table, product, sum, y;
  ScopeId lin;

  Whole() {
    program.modules.push_back({.path = "layers.lin", .class_name = "pkg.Lin", .parent = 0});
    program.modules.push_back({.path = "idle", .class_name = "pkg.Lin", .parent = 0});
    x = input("x", DType::f32, {symbol("batch"), 4});
    negated = op("aten::neg(self)", {ref(x)}, DType::f32, {symbol("batch"), 4});
    lin = call(0, "layers.lin", "pkg.Lin");
    program.scopes[lin].module = 1;
    program.scopes[lin].inputs = {{"input", negated}, {"again", negated}};
    weight = tensor("layers.lin.weight", DType::f32, {4, 4}, Role::parameter);
    table = tensor("table", DType::f32, {4}, Role::buffer);
    scope = lin;
    product =
        op("aten::mm(self, mat2)", {ref(negated), ref(weight)}, DType::f32, {symbol("batch"), 4});
    sum =
        op("aten::add(self, other)", {ref(product), ref(table)}, DType::f32, {symbol("batch"), 4});
    program.scopes[lin].outputs = {{"output", sum}};
    scope = 0;
    y = op("aten::relu(self)", {ref(sum)}, DType::f32, {symbol("batch"), 4});
    output("y", y);
    tensor("unused", DType::f32, {4}, Role::parameter);
  }
};

TEST(Part, HasTheCallsOperatorsInputsAndOutputs) {
  const Whole whole;
  const Program part = part_of(whole.program, first_call(whole.program, "layers.lin"));
  ASSERT_EQ(part.inputs.size(), 1u);  // the same value was given twice
  EXPECT_EQ(part.inputs[0].name, "input");
  EXPECT_EQ(part.inputs[0].value, whole.negated);
  ASSERT_EQ(part.outputs.size(), 1u);
  EXPECT_EQ(part.outputs[0].value, whole.sum);
  EXPECT_EQ(part.body.ops.size(), 2u);
  EXPECT_EQ(part.entry, whole.lin);
  EXPECT_EQ(part.scopes.size(), whole.program.scopes.size());
}

TEST(Part, NamesWeightsAsTheModulesOwn) {
  const Whole whole;
  const Program part = part_of(whole.program, whole.lin);
  EXPECT_EQ(part.tensors[0].name, "weight");
  EXPECT_EQ(part.tensors[1].name, "table");  // comes from outside
  EXPECT_EQ(part.tensors[2].role, Role::constant);
  EXPECT_EQ(part.tensors[2].name, "");
}

TEST(Part, ThatUsesWhatItIsNotGiven) {
  Whole whole;
  whole.program.scopes[whole.lin].inputs.clear();
  EXPECT_EQ(message(ErrorKind::unsupported, [&] { part_of(whole.program, whole.lin); }),
            "layers.lin cannot be exported alone: aten::mm in layers.lin depends on what another "
            "module made and did not pass to it");
}

TEST(Part, WithoutOutputs) {
  Whole whole;
  whole.program.scopes[whole.lin].outputs.clear();
  EXPECT_EQ(message(ErrorKind::unsupported, [&] { part_of(whole.program, whole.lin); }),
            "layers.lin gives nothing that depends on the model's inputs");
}

TEST(Part, PathThatIsNotThere) {
  const Whole whole;
  require_module(whole.program, "idle");
  EXPECT_EQ(message(ErrorKind::usage, [&] { require_module(whole.program, "lin"); }),
            "--module lin: there is no such module; near: layers.lin, idle");
}

TEST(Part, ModuleThatIsNotCalled) {
  const Whole whole;
  EXPECT_EQ(message(ErrorKind::usage, [&] { first_call(whole.program, "idle"); }),
            "--module idle: the model does not call this module, for these inputs");
}

}  // namespace
}  // namespace modelexport
