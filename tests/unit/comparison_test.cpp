// Modules are aligned by class, structure and contents; what differs is named, and nothing else.
#include "analysis/comparison.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "analysis/comparison_text.h"
#include "tests/unit/json_schema.h"
#include "tests/unit/net_model.h"

namespace modelexport::analysis {
namespace {

// A stack of layers; what they hold is made from their number, so that two stacks have it in
// common.
struct Stack : ProgramBuilder {
  ScopeId root;
  ValueId x;

  explicit Stack(const std::string& class_name = "pkg.Net", const std::string& prefix = "") {
    if (!prefix.empty()) module("", "pkg.Wrapper");
    module(prefix, class_name);
    module(inner(prefix, "layers"), kModuleList);
    root = call(kNone, prefix);
    x = new_value();
    program.inputs = {{"x", x}};
    prefix_ = prefix;
  }

  static std::string inner(const std::string& outer, const std::string& name) {
    return outer.empty() ? name : outer + "." + name;
  }

  // `seed` stands for the contents.
  void layer(const std::string& name, float seed, const std::string& class_name = "pkg.Layer",
             int64_t size = 4) {
    const std::string path = inner(inner(prefix_, "layers"), name);
    module(path, class_name);
    module(path + ".lin", kLinear);
    const TensorId weight = parameter(path + ".lin", "weight", {size, size});
    for (size_t i = 0; i < data.back()->size(); ++i) (*data.back())[i] = seed + 0.01f * i;
    const ScopeId outer = call(root, path);
    x = run(call(outer, path + ".lin"), "aten::linear", {x, new_value(weight)});
    x = run(outer, "aten::relu", {x});
  }

  ModelSummary summary() {
    program.schemas = {{"aten::linear"}, {"aten::relu"}, {"aten::gelu"}};
    for (Op& op : program.body.ops) {
      const std::string& name = program.origins[op.origin].op;
      op.schema = name == "aten::linear" ? 0 : name == "aten::relu" ? 1 : 2;
    }
    program.outputs = {{"out", x}};
    return summarize(program, tagging::Hierarchy(program, {}));
  }

 private:
  std::string prefix_;
};

std::vector<std::string> lines(const ModelSummary& a, const ModelSummary& b,
                               const CompareOptions& options = {}) {
  std::vector<std::string> out;
  const Comparison comparison = compare_models(a, b, options);
  for (const DifferenceSection& section : differences(a, b, comparison))
    for (const DifferenceLine& line : section.lines)
      out.push_back(fmt::format("{} {} {}|{} {}", section.title, name(line.change), line.first,
                                line.second, line.text));
  return out;
}

using Lines = std::vector<std::string>;

// The builder owns what tensors hold, so it must live as long as the summary.
struct Built {
  Stack stack;
  ModelSummary model;
  explicit Built(const std::vector<std::pair<std::string, float>>& layers,
                 const std::string& class_name = "pkg.Net", const std::string& prefix = "")
      : stack(class_name, prefix) {
    for (const auto& [name, seed] : layers) stack.layer(name, seed);
    model = stack.summary();
  }
};

TEST(Comparison, AModelIsTheSameAsItself) {
  const Built a({{"0", 1}, {"1", 2}}), b({{"0", 1}, {"1", 2}});
  const Comparison comparison = compare_models(a.model, b.model, {});
  EXPECT_TRUE(comparison.same()) << to_text(a.model, b.model, comparison, TextFormat::plain);
  EXPECT_EQ(comparison.modules_aligned, 6u);
  EXPECT_EQ(comparison.tensors_aligned, 2u);
}

TEST(Comparison, AnInsertedLayerMisplacesNoOther) {
  const Built a({{"0", 1}, {"1", 2}, {"2", 3}}), b({{"0", 1}, {"1", 9}, {"2", 2}, {"3", 3}});
  EXPECT_EQ(
      lines(a.model, b.model),
      (Lines{"modules renamed layers.1|layers.2 Layer", "modules renamed layers.2|layers.3 Layer",
             "modules added |layers.1 Layer, 2 modules, 16 parameters"}));
  EXPECT_EQ(
      lines(b.model, a.model),
      (Lines{"modules renamed layers.2|layers.1 Layer", "modules renamed layers.3|layers.2 Layer",
             "modules removed layers.1| Layer, 2 modules, 16 parameters"}));
}

TEST(Comparison, WithoutValuesNamesDecideBetweenLikeLayers) {
  const Built a({{"0", 1}, {"1", 2}}), b({{"0", 1}, {"1", 9}, {"2", 2}});
  EXPECT_EQ(lines(a.model, b.model, {.values = false}),
            (Lines{"modules added |layers.2 Layer, 2 modules, 16 parameters"}));
}

TEST(Comparison, ARenamedLayerIsTheSameLayer) {
  const Built a({{"first", 1}, {"second", 2}}), b({{"first", 1}, {"last", 2}});
  EXPECT_EQ(lines(a.model, b.model), (Lines{"modules renamed layers.second|layers.last Layer"}));
}

TEST(Comparison, AModelWithinAnother) {
  const Built a({{"0", 1}}), b({{"0", 1}}, "pkg.Net", "net");
  EXPECT_EQ(lines(a.model, b.model), (Lines{"modules added |(root) Wrapper"}));
}

TEST(Comparison, ClassShapeDtypeAndValueOfWhatCorresponds) {
  Stack a, b;
  a.layer("0", 1);
  b.layer("0", 1, "pkg.Other");
  a.layer("1", 2);
  b.layer("1", 2);
  (*b.data.back())[5] += 0.25f;
  a.layer("2", 3);
  b.layer("2", 3, "pkg.Layer", 6);
  a.layer("3", 4);
  b.layer("3", 4);
  b.program.tensors.back().dtype = DType::i32;
  EXPECT_EQ(
      lines(a.summary(), b.summary()),
      (Lines{"modules reclassed layers.0|layers.0 pkg.Layer -> pkg.Other",
             "parameters changed layers.1.lin.weight|layers.1.lin.weight float32 [4, 4]: 1 of "
             "16 elements differ, by 0.25 at most",
             "parameters reshaped layers.2.lin.weight|layers.2.lin.weight float32 [4, 4] -> "
             "float32 [6, 6]",
             "parameters retyped layers.3.lin.weight|layers.3.lin.weight float32 [4, 4] -> "
             "int32 [4, 4]"}));
}

TEST(Comparison, ParametersAddedRemovedAndRenamed) {
  Stack a, b;
  a.layer("0", 1);
  b.layer("0", 1);
  a.parameter("layers.0", "old", {3});
  b.parameter("layers.0", "new", {3});
  *b.data.back() = *a.data.back();
  a.parameter("layers.0.lin", "bias", {4});
  b.parameter("layers.0.lin", "scale", {2});
  EXPECT_EQ(lines(a.summary(), b.summary()),
            (Lines{"parameters renamed layers.0.old|layers.0.new float32 [3]",
                   "parameters removed layers.0.lin.bias| float32 [4]",
                   "parameters added |layers.0.lin.scale float32 [2]"}));
}

TEST(Comparison, OperatorsByModuleWithTheirAttributes) {
  Stack a, b;
  for (Stack* stack : {&a, &b}) stack->layer("0", 1);
  const ScopeId layer = 1;  // the call of layers.0
  a.x = a.run(layer, "aten::relu", {a.x});
  b.x = b.run(layer, "aten::gelu", {b.x});
  EXPECT_EQ(lines(a.summary(), b.summary()),
            (Lines{"operators added layers.0|layers.0 aten::gelu: 0 -> 1",
                   "operators changed layers.0|layers.0 aten::relu: 2 -> 1"}));
}

TEST(Comparison, SharingAndInterface) {
  Stack a, b;
  for (Stack* stack : {&a, &b}) stack->layer("0", 1);
  const ScopeId again = b.call(b.root, "layers.0.lin");
  b.x = b.run(again, "aten::linear", {b.x, b.new_value(0)});
  b.program.inputs[0].name = "y";
  const Lines found = lines(a.summary(), b.summary());
  EXPECT_EQ(found, (Lines{"interface removed input x|input x float32 []",
                          "interface added input y|input y float32 []",
                          "operators changed layers.0.lin|layers.0.lin aten::linear: 1 -> 2",
                          "sharing added layers.0.lin.weight|layers.0.lin.weight not shared -> "
                          "layer_sharing, used 2x"}));
}

TEST(Comparison, JsonAgreesWithItsSchema) {
  const Built a({{"0", 1}, {"1", 2}}), b({{"0", 5}, {"2", 2}, {"3", 7}});
  const Comparison comparison = compare_models(a.model, b.model, {});
  std::string text;
  {
    JsonWriter json([&](std::string_view part) { text += part; }, 2);
    write_comparison(a.model, b.model, comparison, json);
  }
  const nlohmann::json document = nlohmann::json::parse(text);
  EXPECT_EQ(JsonSchema::read("compare.schema.json").errors(document), Lines{});
  EXPECT_EQ(document["differences"], comparison.differences());
  EXPECT_EQ(document["parameters"][0]["different"], 16);
}

TEST(Comparison, Markdown) {
  const Built a({{"0", 1}}), b({{"0", 1}, {"1", 2}});
  EXPECT_EQ(to_text(a.model, b.model, compare_models(a.model, b.model, {}), TextFormat::markdown),
            "## Comparison of two models\n\n"
            "1.  (TorchScript, 4 modules, 16 parameters, 2 operators)\n"
            "2.  (TorchScript, 6 modules, 32 parameters, 4 operators)\n"
            "\n### modules (1)\n\n| | | |\n|---|---|---|\n"
            "| added | `layers.1` | Layer, 2 modules, 16 parameters |\n"
            "\n1 difference: 4 modules and 1 parameters and buffers correspond\n");
}

TEST(ContentHash, DoesNotDependOnThePieces) {
  std::vector<std::byte> bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  ContentHash whole;
  whole.update(bytes);
  for (size_t piece : {1, 7, 31, 32, 33, 500}) {
    ContentHash pieces;
    for (size_t at = 0; at < bytes.size(); at += piece)
      pieces.update(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    EXPECT_EQ(pieces.digest(), whole.digest()) << piece;
  }
  ContentHash longer;
  longer.update(bytes);
  const std::byte zero{};
  longer.update({&zero, 1});
  EXPECT_NE(longer.digest(), whole.digest());
}

}  // namespace
}  // namespace modelexport::analysis
