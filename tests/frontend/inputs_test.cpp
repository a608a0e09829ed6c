// Example inputs: specifications and files.
#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "exporter/frontend/examples.h"
#include "exporter/frontend/inputs_files.h"
#include "exporter/frontend/inputs_spec.h"
#include "tests/frontend/input_files.h"

namespace modelexport::frontend {
namespace {

std::vector<std::string> names_of(const torch::jit::Module& module, const Example& example) {
  std::vector<std::string> names;
  for (const FlatInput& input : flatten(schema_of(module), example)) names.push_back(input.name);
  return names;
}

// ---- specifications ----

TEST(InputSpec, NamesDimensionsAndRanges) {
  const InputSpec spec = parse_input_spec("past.0:int64[batch=2, seq ,64]=range(-3,7)");
  EXPECT_EQ(spec.name, "past.0");
  EXPECT_EQ(spec.dtype, DType::i64);
  ASSERT_EQ(spec.dims->size(), 3u);
  EXPECT_EQ((*spec.dims)[0].name, "batch");
  EXPECT_EQ((*spec.dims)[0].size, 2);
  EXPECT_EQ((*spec.dims)[1].name, "seq");
  EXPECT_FALSE((*spec.dims)[1].size);
  EXPECT_TRUE((*spec.dims)[2].name.empty());
  EXPECT_EQ(spec.range, std::make_pair(int64_t{-3}, int64_t{7}));
}

TEST(InputSpec, EverythingButTheNameCanBeLeftToTheCheckpoint) {
  EXPECT_EQ(parse_input_spec("float32[1,3]").name, "");
  EXPECT_EQ(parse_input_spec("mask[batch]").dtype, DType::undefined);
  EXPECT_EQ(parse_input_spec("ids=range(0,9)").range->second, 9);
  EXPECT_EQ(parse_input_spec("x:float16[]").dims->size(), 0u);
}

TEST(InputSpec, Literals) {
  EXPECT_EQ(std::get<int64_t>(*parse_input_spec("n=3").literal), 3);
  EXPECT_EQ(std::get<double>(*parse_input_spec("scale=-0.5").literal), -0.5);
  EXPECT_EQ(std::get<bool>(*parse_input_spec("flag=True").literal), true);
  EXPECT_EQ(std::get<std::string>(*parse_input_spec("mode='mean'").literal), "mean");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*parse_input_spec("mask=None").literal));
}

TEST(InputSpec, NumbersWithATypeHaveAValueOrARange) {
  const InputSpec spec = parse_input_spec("scale:float=0.5");
  EXPECT_EQ(spec.dtype, DType::f32);
  EXPECT_EQ(std::get<double>(*spec.literal), 0.5);
  EXPECT_EQ(parse_input_spec("n:int=range(1,9)").range->second, 9);
  EXPECT_EQ(std::get<bool>(*parse_input_spec("flag:bool[]=true").literal), true);
}

TEST(InputSpec, Errors) {
  const std::string form =
      "; the form is NAME:DTYPE[DIM,...], for example "
      "input_ids:int64[batch=2,seq=16]=range(0,1000)";
  const std::pair<std::string, std::string> cases[] = {
      {"x:flot32[2]",
       "'flot32' is no dtype (float32, float16, bfloat16, float64, int64, int32, int16, int8, "
       "uint8, "
       "bool, ...)"},
      {"x:int64[2", "']' expected, but found the end"},
      {"x:int64[2x]", "'2x' is no size of a dimension"},
      {"x:int64[-2]", "size -2 is negative"},
      {"x:int64[]=range(5,5)", "range(5,5) is empty; HI is exclusive"},
      {"x[3]=rang(5,6)", "after '=' comes range(LO,HI)"},
      {"x:int=rang(5,6)", "'rang(5,6)' is neither a number, True, False, None nor a quoted text"},
      {"x:int64[]!", "'!' is left over"},
      {"x=yes", "'yes' is neither a number, True, False, None nor a quoted text"},
      {"", "name and dtype are missing"},
  };
  for (const auto& [text, what] : cases) {
    EXPECT_EQ(error_of([&] { parse_input_spec(text); }),
              "input specification '" + text + "': " + what + form);
  }
}

// ---- binding ----

constexpr char kNested[] = R"(
def forward(self, x: Tensor, past: Tuple[Tensor, List[Tensor]], d: Dict[str, Tensor], n: int = 2,
            mask: Optional[Tensor] = None):
    return x * n + past[0] + past[1][0] + past[1][1] + d["a"]
)";

TEST(Inputs, NestedOnesHaveDottedNames) {
  const torch::jit::Module module = module_of(kNested);
  const Examples made =
      make_examples(module,
                    {.specs = {"x:float32[b=3,4]", "past.0:float32[b,4]", "past.1.0:float32[b,4]",
                               "past.1.1:float32[b,4]", "d.a:float32[b,4]", "n=5"}},
                    {});
  const std::vector<std::string> names = {"x", "past.0", "past.1.0", "past.1.1", "d.a"};
  ASSERT_EQ(made.examples.size(), 2u);
  EXPECT_EQ(names_of(module, made.examples[0]), names);
  EXPECT_EQ(sizes_of(module, made.examples[0]), Sizes(5, {3, 4}));
  EXPECT_EQ(sizes_of(module, made.examples[1]), Sizes(5, {5, 4}));  // 4 is taken
  EXPECT_EQ(made.examples[0].arguments[3].toInt(), 5);
  EXPECT_EQ(made.dim_names.at({"past.1.1", 0}), "b");
}

TEST(Inputs, UnflattenIsTheInverse) {
  const torch::jit::Module module = module_of(kNested);
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("a", at::ones({2}));
  const Example example{{at::ones({2}),
                         c10::ivalue::Tuple::create(
                             at::ones({2}), c10::List<at::Tensor>({at::ones({2}), at::ones({2})})),
                         dict, 2, c10::IValue()}};
  std::vector<at::Tensor> tensors;
  for (int i = 0; i < 5; ++i) tensors.push_back(at::full({1}, i));
  const std::vector<FlatInput> back =
      flatten(schema_of(module), unflatten(schema_of(module), example, tensors));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(back[i].tensor.item<int>(), i);
}

TEST(Inputs, FilesByNameByPositionAndDotted) {
  const torch::jit::Module module = module_of(kNested);
  c10::Dict<std::string, at::Tensor> by_name;
  for (const char* name : {"x", "past.0", "past.1.0", "past.1.1", "d.a"}) {
    by_name.insert(name, at::ones({2, 3}));
  }
  const std::string dotted = save("dotted.pt", by_name);
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("a", at::ones({2, 3}));
  const auto past = c10::ivalue::Tuple::create(
      at::ones({2, 3}), c10::List<at::Tensor>({at::ones({2, 3}), at::ones({2, 3})}));
  const std::string tuple =
      save("tuple.pt", c10::ivalue::Tuple::create(at::ones({2, 3}), past, dict));
  for (const std::string& file : {dotted, tuple}) {
    const Examples examples = make_examples(module, {.files = {file}}, {});
    EXPECT_EQ(sizes_of(module, examples.examples.at(0)), Sizes(5, {2, 3})) << file;
  }
}

TEST(Inputs, ErrorsNameInputExpectedGivenAndSignature) {
  const torch::jit::Module module = module_of(
      "def forward(self, ids: Tensor, n: int, mask: Optional[Tensor] = None):\n"
      "    return ids * n\n");
  const std::string takes =
      "; the module takes forward(Tensor ids, int n, Tensor? mask=None) -> Tensor";
  const std::string it_takes = "; it takes forward(Tensor ids, int n, Tensor? mask=None) -> Tensor";
  const auto from_file = [&](const c10::IValue& value) {
    const std::string path = save("bad.pt", value);
    std::string text = error_of([&] { make_examples(module, {.files = {path}}, {}); });
    for (size_t at; (at = text.find(path)) != std::string::npos;)
      text.replace(at, path.size(), "bad.pt");
    return text;
  };
  const auto from_specs = [&](const std::vector<std::string>& specs) {
    return error_of([&] { make_examples(module, {.specs = specs}, {}); });
  };
  const at::Tensor ids = at::ones({2, 3}, at::kLong);
  EXPECT_EQ(from_file(ids), "input 'n' is missing in bad.pt: expected int" + it_takes);
  EXPECT_EQ(from_file(c10::ivalue::Tuple::create(ids, 2, ids, ids)),
            "bad.pt holds 4 inputs, but 3 are expected" + takes);
  EXPECT_EQ(
      from_file(c10::ivalue::Tuple::create(ids, ids)),
      "input 'n' in bad.pt: expected int, but it is a int64 tensor of shape [2,3]" + it_takes);
  EXPECT_EQ(from_file(c10::ivalue::Tuple::create(3, 2)),
            "input 'ids' in bad.pt: expected Tensor, but it is a value of type int" + it_takes);
  EXPECT_EQ(from_file(c10::IValue("text")),
            "bad.pt holds a value of type str, not tensors" + takes);
  EXPECT_EQ(from_specs({"ids:int64[2]", "n=2", "foo:int64[2]"}),
            "input 'foo' is none that the module takes" + it_takes);
  EXPECT_EQ(
      from_specs({"ids[2]"}),
      "input specification 'ids[2]': it has no dtype, and the checkpoint records none for it" +
          takes);
  EXPECT_EQ(
      from_specs({"ids:int64[b=2]", "mask:int64[b=3]"}),
      "input specification 'mask:int64[b=3]': dimension 'b' is 3 here and 2 elsewhere" + takes);
  EXPECT_EQ(from_specs({"ids:int64[2]", "ids:int64[2]"}),
            "input specification 'ids:int64[2]': input 'ids' is given twice" + takes);
  EXPECT_EQ(from_specs({}),
            "the checkpoint records no inputs, so they must be given, as --inputs FILE.pt or "
            "--input 'NAME:DTYPE[SIZE,...]'" +
                takes);
}

TEST(Inputs, FilesMustGoTogether) {
  const torch::jit::Module module = module_of(R"(
def forward(self, x, v: Optional[int], mode: str, l: List[str], d: Dict[str, int]):
    return x
)");
  c10::Dict<std::string, int64_t> dict, other_dict;
  dict.insert("k", 1);
  other_dict.insert("m", 1);
  const auto text = [&](const at::Tensor& tensor, const c10::IValue& v = 1,
                        const std::string& mode = "a", const c10::List<std::string>& list = {"s"},
                        const std::string& key = "k") {
    const std::string a = save(
        "a.pt",
        c10::ivalue::Tuple::create(at::ones({2, 3}), 1, "a", c10::List<std::string>({"s"}), dict));
    const std::string b = save(
        "b.pt", c10::ivalue::Tuple::create(tensor, v, mode, list, key == "k" ? dict : other_dict));
    std::string what = error_of([&] { make_examples(module, {.files = {a, b}}, {}); });
    for (size_t at; (at = what.find(testing::TempDir())) != std::string::npos;) {
      what.replace(at, testing::TempDir().size(), "");
    }
    return what;
  };
  const auto refusal = [](const std::string& what, const std::string& x = "x float32[2,3]",
                          const std::string& others = "v=1, mode=a") {
    return "a.pt and b.pt do not go together: " + what +
           "; one holds x float32[2,3], v=1, mode=a, the other " + x + ", " + others;
  };
  const at::Tensor x = at::ones({2, 3});
  EXPECT_EQ(text(x.to(at::kLong)), refusal("the dtypes of 'x' differ", "x int64[2,3]"));
  EXPECT_EQ(text(at::ones({2})), refusal("the ranks of 'x' differ", "x float32[2]"));
  EXPECT_EQ(text(x, c10::IValue()),
            refusal("'v' is None in one of them only, which becomes part of the exported model",
                    "x float32[2,3]", "mode=a"));
  EXPECT_EQ(text(x, 1, "b"),
            refusal("the values of 'mode' differ, which become part of the exported model",
                    "x float32[2,3]", "v=1, mode=b"));
  EXPECT_EQ(text(x, 1, "a", {"s", "t"}), refusal("the lengths of 'l' differ"));
  EXPECT_EQ(text(x, 1, "a", {"s"}, "m"), refusal("the keys of 'd', or their order, differ"));
}

TEST(Inputs, ListsOfNumbersMayDifferInLength) {
  const torch::jit::Module module =
      module_of("def forward(self, x, l: List[float], m: List[int]):\n    return x\n");
  const auto file = [](const std::string& name, const c10::List<double>& list, int64_t number) {
    const c10::List<int64_t> other({number});
    return save(name, c10::ivalue::Tuple::create(at::ones({2}), list, other));
  };
  const Examples examples =
      make_examples(module, {.files = {file("a.pt", {0.5}, 1), file("b.pt", {2, 3}, 2)}}, {});
  const Example& first = examples.examples.at(0);
  EXPECT_EQ(names_of(module, first), (std::vector<std::string>{"x", "l", "m.0"}));
  EXPECT_EQ(sizes_of(module, examples.examples.at(1)), (Sizes{{2}, {2}, {}}));
  const at::Tensor made = at::full({3}, 4, at::kDouble);
  const Example other =
      unflatten(schema_of(module), first, {at::ones({2}), made, at::scalar_tensor(5, at::kLong)});
  EXPECT_EQ(other.arguments[1].toDoubleVector(), (std::vector<double>{4, 4, 4}));
  EXPECT_EQ(other.arguments[2].toIntVector(), std::vector<int64_t>{5});
}

// ---- traced inputs ----

TEST(Inputs, TracedOnesGiveDtypesAndSizesAndSpecsNameDimensions) {
  const torch::jit::Module module = module_of("def forward(self, x, y):\n    return x + y\n");
  at::Tensor no_bytes = at::empty({0}, at::kLong);
  no_bytes.unsafeGetTensorImpl()->set_sizes_contiguous({2, 5});
  const Examples plain = make_examples(module, {}, {no_bytes, no_bytes});
  ASSERT_EQ(plain.examples.size(), 1u);
  const at::Tensor made = plain.examples[0].arguments[0].toTensor();
  EXPECT_EQ(made.scalar_type(), at::kLong);
  EXPECT_EQ(made.sizes(), at::IntArrayRef({2, 5}));
  EXPECT_TRUE(made.ge(0).logical_and(made.le(1)).all().item<bool>());

  const Examples named =
      make_examples(module, {.specs = {"x[b,s]", "y[b,s]"}}, {no_bytes, no_bytes});
  ASSERT_EQ(named.examples.size(), 2u);
  EXPECT_EQ(sizes_of(module, named.examples[1]), Sizes(2, {3, 7}));
}

// ---- files ----

TEST(InputFiles, Errors) {
  const auto text = [](const std::string& path) {
    return error_of([&] { read_input_file(path); });
  };
  const std::string wanted =
      "expected a torch.save'd tensor, tuple, list or dict of tensors (.pt), or NumPy's .npz or "
      ".npy";
  EXPECT_EQ(text("/no/such.pt"),
            "inputs '/no/such.pt': cannot be opened: No such file or directory");
  const std::string empty = write("empty.pt", {});
  EXPECT_EQ(text(empty), "inputs '" + empty + "': the file is empty; " + wanted);
  const std::string other = write("other.pt", {'h', 'i', '!', '!'});
  EXPECT_EQ(text(other), "inputs '" + other + "': unknown format; " + wanted);
  std::vector<char> bytes = torch::jit::pickle_save(at::ones({100}));
  bytes.resize(bytes.size() / 2);
  const std::string half = write("half.pt", bytes);
  EXPECT_NE(text(half).find("it cannot be read ("), std::string::npos) << text(half);
  const std::string module = (std::filesystem::path(testing::TempDir()) / "module.pt").string();
  module_of("def forward(self, x):\n    return x\n").save(module);
  EXPECT_EQ(text(module),
            "inputs '" + module + "': it is a TorchScript module, not inputs; " + wanted);
}

// A float32 array [2,3] of 0..5 as .npy.
std::vector<char> npy(const std::string& descr, bool fortran_order) {
  std::string header = "{'descr': '" + descr +
                       "', 'fortran_order': " + (fortran_order ? "True" : "False") +
                       ", 'shape': (2, 3), }\n";
  std::vector<char> bytes = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
  bytes.push_back(static_cast<char>(header.size()));
  bytes.push_back(0);
  bytes.insert(bytes.end(), header.begin(), header.end());
  const float values[] = {0, 1, 2, 3, 4, 5};
  const char* begin = reinterpret_cast<const char*>(values);
  bytes.insert(bytes.end(), begin, begin + sizeof(values));
  return bytes;
}

TEST(InputFiles, Npy) {
  const at::Tensor rows = read_input_file(write("c.npy", npy("<f4", false))).toTensor();
  EXPECT_TRUE(at::equal(rows, at::arange(6, at::kFloat).reshape({2, 3})));
  const at::Tensor columns = read_input_file(write("f.npy", npy("<f4", true))).toTensor();
  EXPECT_TRUE(at::equal(columns, at::arange(6, at::kFloat).reshape({3, 2}).t()));
  const std::string text = write("u.npy", npy("<U5", false));
  EXPECT_EQ(error_of([&] { read_input_file(text); }),
            "inputs '" + text + "': dtype '<U5' is none that a tensor can have");
}

}  // namespace
}  // namespace modelexport::frontend
