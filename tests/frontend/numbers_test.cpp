// Ints, floats and bools as example inputs: constants, or inputs of the model.
#include <ATen/Functions.h>

#include <sstream>

#include "exporter/frontend/examples.h"
#include "tests/frontend/input_files.h"

namespace modelexport::frontend {
namespace {

constexpr char kNumbers[] = R"(
def forward(self, x, n: int, scale: float = 1.0, flag: bool = False, sizes: Tuple[int, int] = (2, 3)):
    assert n < 10
    return x * n * scale if flag else x.new_zeros([n, sizes[1]])
)";

std::string inputs_text(const torch::jit::Module& module, const Example& example) {
  std::ostringstream text;
  for (const FlatInput& input : flatten(schema_of(module), example)) {
    text << input.name << (input.is_number ? "=" : " ");
    if (input.is_number) text << input.tensor.item() << ' ';
  }
  return text.str();
}

TEST(Numbers, AreInputsWhereTheExamplesDiffer) {
  const torch::jit::Module module = module_of(kNumbers);
  const at::Tensor x = at::ones({2, 3});
  const auto numbers = [](int64_t a, int64_t b) { return c10::ivalue::Tuple::create(a, b); };
  const std::string a = save("na.pt", c10::ivalue::Tuple::create(x, 3, 0.5, false, numbers(2, 3)));
  const std::string b = save("nb.pt", c10::ivalue::Tuple::create(x, 6, 0.5, true, numbers(2, 4)));
  const Examples made = make_examples(module, {.files = {a, b}}, {});
  EXPECT_EQ(inputs_text(module, made.examples.at(0)), "x n=3 flag=false sizes.1=3 ");
  EXPECT_EQ(inputs_text(module, made.examples.at(1)), "x n=6 flag=true sizes.1=4 ");
  // A third one, in which what may agree by chance differs.
  EXPECT_EQ(inputs_text(module, made.examples.at(2)), "x n=7 flag=false sizes.1=5 ");
  EXPECT_EQ(describe(schema_of(module), made.examples[0]),
            "x float32[2,3], n=3, scale=0.5, flag=False");

  const Examples one = make_examples(module, {.files = {a}}, {});
  EXPECT_EQ(inputs_text(module, one.examples.at(0)), "x ");
  const Examples wanted = make_examples(module, {.files = {a}, .numbers = {"n", "mode"}}, {});
  EXPECT_EQ(inputs_text(module, wanted.examples.at(0)), "x n=3 ");

  const Example back =
      unflatten(schema_of(module), made.examples[0],
                {x, at::scalar_tensor(7, at::kLong), at::scalar_tensor(true, at::kBool),
                 at::scalar_tensor(8, at::kLong)});
  EXPECT_EQ(back.arguments.at(1).toInt(), 7);
  EXPECT_EQ(back.arguments.at(2).toDouble(), 0.5);
  EXPECT_EQ(back.arguments.at(3).toBool(), true);
  EXPECT_EQ(back.arguments.at(4).toTupleRef().elements().at(1).toInt(), 8);
}

TEST(Numbers, AreInputsWhereTheSpecificationHasAType) {
  const torch::jit::Module module = module_of(kNumbers);
  const auto made_of = [&](const std::vector<std::string>& specs) {
    std::string text;
    for (const Example& example : make_examples(module, {.specs = specs}, {}).examples) {
      text += inputs_text(module, example) + "| ";
    }
    return text;
  };
  EXPECT_EQ(made_of({"x:float32[2,3]", "n=3", "flag=true"}), "x | ");
  EXPECT_EQ(made_of({"x:float32[2,3]", "n:int=3", "scale:float=0.5", "flag:bool=true"}),
            "x n=3 scale=0.5 flag=true | x n=4 scale=0.25 flag=false | ");
  EXPECT_EQ(made_of({"x:float32[2,3]", "n:int=9", "sizes.0=2", "sizes.1:int64[]"}),
            "x n=9 sizes.1=4 | x n=8 sizes.1=6 | ");
  EXPECT_EQ(made_of({"x:float32[2,3]", "n=3", "flag:bool=false"}), "x flag=false | x flag=true | ");
  // The number is the size of a dimension.
  EXPECT_EQ(made_of({"x:float32[n,3]", "n:int=5"}), "x n=5 | x n=6 | ");

  const std::string takes =
      "; the module takes forward(Tensor x, int n, float scale=1., bool flag=False, (int, int) "
      "sizes=(2, 3)) -> Tensor";
  const auto error = [&](const std::vector<std::string>& specs) {
    return error_of([&] { make_examples(module, {.specs = specs}, {}); });
  };
  EXPECT_EQ(error({"x:float32=0.5", "n=1"}),
            "input specification 'x:float32=0.5': 'x' is no int, float or bool that could have "
            "this value" +
                takes);
  EXPECT_EQ(error({"x:float32[n=4,3]", "n:int=5"}),
            "input specification 'n:int=5': dimension 'n' is 5 here and 4 elsewhere" + takes);
  EXPECT_EQ(error({"x:float32[2,3]", "n:int=range(9,10)"}),
            "'n' cannot be an input: the module runs at n=9, but at no other value that was tried "
            "(n=5 is out of its range); write n=9, without a type");
}

}  // namespace
}  // namespace modelexport::frontend
