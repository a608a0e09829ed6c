// Dynamic dimensions: examples of other sizes, found by running.
#include <ATen/Functions.h>

#include "exporter/frontend/examples.h"
#include "tests/frontend/input_files.h"

namespace modelexport::frontend {
namespace {

TEST(DynamicDims, NamedOnesRespectWhatTheModuleTakes) {
  const torch::jit::Module patches =
      module_of("def forward(self, x):\n    return x.reshape(x.size(0), x.size(1) // 8, 8)\n");
  const Examples made = make_examples(patches, {.specs = {"x:float32[b=2,s=16]"}}, {});
  EXPECT_EQ(sizes_of(patches, made.examples.at(1)), Sizes({{3, 48}}));

  const torch::jit::Module fixed =
      module_of("def forward(self, x):\n    return x.reshape(2, 16)\n");
  EXPECT_EQ(error_of([&] { make_examples(fixed, {.specs = {"x:float32[b=2,16]"}}, {}); }),
            "dimension 'b' is not dynamic: the module runs at b=2, but at no other size that was "
            "tried (shape '[2, 16]' is invalid for input of size 64); write 2 in its place");
}

TEST(DynamicDims, OfAFileAreFollowedWhereTheModuleTakesThem) {
  const InputOptions options{
      .specs = {"x:float32[2,16]"},
      .dim_names = {{{"x", 0}, "rows"}, {{"x", 5}, "beyond"}, {{"other", 0}, "rows"}}};
  const torch::jit::Module any = module_of("def forward(self, x):\n    return x * 2\n");
  const Examples made = make_examples(any, options, {});
  ASSERT_EQ(made.examples.size(), 2u);
  EXPECT_EQ(sizes_of(any, made.examples[1]), Sizes({{3, 16}}));

  const torch::jit::Module fixed =
      module_of("def forward(self, x):\n    return x.reshape(2, 16)\n");
  EXPECT_EQ(make_examples(fixed, options, {}).examples.size(), 1u);
}

TEST(DynamicDims, AutoFindsWhatMovesTogether) {
  const torch::jit::Module module = module_of(R"(
def forward(self, ids, mask, w):
    return (ids * mask).matmul(w) + torch.ones(4)
)");
  const std::string file = save(
      "auto.pt", c10::ivalue::Tuple::create(at::ones({1, 3}), at::ones({1, 3}), at::ones({3, 4})));
  const Examples made = find_dynamic_dims(module, make_examples(module, {.files = {file}}, {}), 0);
  ASSERT_EQ(made.examples.size(), 2u);
  const Sizes sizes = sizes_of(module, made.examples[1]);
  EXPECT_NE(sizes[0][0], 1);
  EXPECT_EQ(sizes[0][0], sizes[1][0]);  // the batch, although 1 broadcasts
  EXPECT_NE(sizes[0][1], 3);
  EXPECT_EQ(sizes[0][1], sizes[1][1]);
  EXPECT_EQ(sizes[0][1], sizes[2][0]);
  EXPECT_EQ(sizes[2][1], 4);  // cannot move
}

TEST(DynamicDims, AutoFindsSumsOfSizes) {
  const torch::jit::Module module = module_of(R"(
def forward(self, x, past, mask):
    return torch.cat([past, x], 1) * mask
)");
  const std::string file = save(
      "past.pt", c10::ivalue::Tuple::create(at::ones({2, 3}), at::ones({2, 5}), at::ones({2, 8})));
  const Examples made = find_dynamic_dims(module, make_examples(module, {.files = {file}}, {}), 0);
  const Sizes sizes = sizes_of(module, made.examples.at(1));
  EXPECT_NE(sizes[0][1], 3);
  EXPECT_NE(sizes[1][1], 5);
  EXPECT_EQ(sizes[0][1] + sizes[1][1], sizes[2][1]);
}

TEST(DynamicDims, ThirdExampleSeparatesWhatCoincides) {
  const torch::jit::Module module =
      module_of("def forward(self, q, k):\n    return q.sum(), k * 2\n");
  const std::string a = save("qa.pt", c10::ivalue::Tuple::create(at::ones({4}), at::ones({4})));
  const std::string b = save("qb.pt", c10::ivalue::Tuple::create(at::ones({7}), at::ones({7})));
  const Examples made = make_examples(module, {.files = {a, b}}, {});
  ASSERT_EQ(made.examples.size(), 3u);
  const Sizes sizes = sizes_of(module, made.examples[2]);
  EXPECT_NE(sizes[0][0], sizes[1][0]);
}

TEST(DynamicDims, TrialsLeaveTheStateAlone) {
  torch::jit::Module module("Test");
  module.register_buffer("seen", at::zeros({1}));
  module.define("def forward(self, x):\n    self.seen.add_(1)\n    return x + self.seen\n");
  find_dynamic_dims(module, make_examples(module, {.specs = {"x:float32[b=2]"}}, {}), 0);
  EXPECT_EQ(module.attr("seen").toTensor().item<float>(), 0);
}

TEST(MakeLike, KeepsTheKindOfValues) {
  const at::Tensor ids = at::tensor({7, 9, 8});
  const at::Tensor more = make_like(ids, {100}, 1);
  EXPECT_EQ(more.min().item<int64_t>(), 7);
  EXPECT_EQ(more.max().item<int64_t>(), 9);
  const at::Tensor mask = make_like(at::tensor({0.0f, -1e9f, 0.0f}), {100}, 1);
  EXPECT_TRUE(mask.eq(0).logical_or(mask.eq(-1e9f)).all().item<bool>());
  EXPECT_TRUE(at::equal(make_like(at::randn({3}), {5}, 7), make_like(at::randn({3}), {5}, 7)));
  const at::Tensor in_range = make_like(at::empty({0}, at::kLong), {1000}, 1, {{10, 20}});
  EXPECT_EQ(in_range.min().item<int64_t>(), 10);
  EXPECT_EQ(in_range.max().item<int64_t>(), 19);
}

}  // namespace
}  // namespace modelexport::frontend
