#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "exporter/error.h"
#include "exporter/onnx/writer.h"
#include "exporter/runtime/session.h"
#include "tests/unit/errors.h"
#include "tests/unit/small_model.h"

namespace modelexport::runtime {
namespace {

using test::message;

std::vector<float> example(int64_t rows) {
  std::vector<float> x;
  for (int64_t i = 0; i < rows * SmallModel::kSize; ++i) x.push_back(static_cast<float>(i % 4 - 1));
  return x;
}

std::vector<float> floats(const HostTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::ranges::copy(tensor.bytes, std::as_writable_bytes(std::span(values)).begin());
  return values;
}

std::string write(const SmallModel& model, onnx::WeightMode mode = onnx::WeightMode::external) {
  const std::string path = model.folder / "m.onnx";
  onnx::ModelWriter(path, model.program, mode).write(model.graph, {});
  return path;
}

TEST(Runtime, RunsTheModelWithWeightsInAnyMode) {
  const SmallModel model;
  for (const auto mode :
       {onnx::WeightMode::external, onnx::WeightMode::embed, onnx::WeightMode::in_place}) {
    const Session session(write(model, mode), {});
    for (int64_t rows : {1, 5, 0}) {
      const auto x = example(rows);
      const auto outputs = session.run({host_value("x", {rows, 64}, x)});
      ASSERT_EQ(outputs.size(), 1u);
      EXPECT_EQ(outputs[0].name, "out");
      EXPECT_EQ(outputs[0].tensors.at(0).dtype, DType::f32);
      EXPECT_EQ(outputs[0].tensors.at(0).dims, (std::vector<int64_t>{rows, 32}));
      EXPECT_EQ(floats(outputs[0].tensors[0]), model.expected(x));
    }
  }
}

TEST(Runtime, DescribesInputsAndOutputs) {
  const SmallModel model;
  const Session session(write(model), {.optimization = Optimization::none});
  ASSERT_EQ(session.inputs().size(), 1u);
  const PortInfo& x = session.inputs()[0];
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(x.dtype, DType::f32);
  EXPECT_EQ(x.dims, (std::vector<int64_t>{-1, 64}));
  EXPECT_EQ(x.dim_names, (std::vector<std::string>{"batch", ""}));
  EXPECT_EQ(session.outputs().at(0).name, "out");
}

TEST(Runtime, SequencesGoInAndOut) {
  SmallModel model;
  graph::Graph& g = model.graph;
  const auto list = model.value("list", {symbol_dim(0), 64});
  g.values[list].kind = Kind::sequence;
  g.body.inputs.push_back(list);
  const auto all = model.node("SequenceInsert", {list, g.body.inputs[0]}, {symbol_dim(0), 64});
  g.values[all].kind = Kind::sequence;
  g.body.outputs.push_back(all);
  const Session session(write(model), {});
  EXPECT_TRUE(session.inputs().at(1).is_sequence);
  EXPECT_TRUE(session.outputs().at(1).is_sequence);
  HostValue given = host_value("list", {2, 64}, example(2));
  given.is_sequence = true;
  const auto outputs = session.run({given, host_value("x", {1, 64}, example(1))});
  ASSERT_EQ(outputs.at(1).tensors.size(), 2u);
  EXPECT_EQ(floats(outputs[1].tensors[0]), example(2));
  EXPECT_EQ(floats(outputs[1].tensors[1]), example(1));
}

TEST(Runtime, TimesTheRuns) {
  const SmallModel model;
  const Session session(write(model), {});
  const auto seconds = session.time({host_value("x", {1, 64}, example(1))}, 1, 3);
  ASSERT_EQ(seconds.size(), 3u);
  for (double one : seconds) EXPECT_GT(one, 0.0);
}

TEST(Runtime, SaysWhichInputIsMissing) {
  const SmallModel model;
  const std::string path = write(model);
  const Session session(path, {});
  EXPECT_EQ(message(ErrorKind::usage,
                    [&] {
                      session.run({host_value("y", {1, 64}, example(1))});
                    }),
            path + " needs an input x; given: y");
}

TEST(Runtime, PassesOnWhatOnnxRuntimeSays) {
  const SmallModel model;
  const std::string path = write(model);
  const Session session(path, {});
  const std::string said = message(ErrorKind::mismatch, [&] {
    session.run({host_value("x", {1, 32}, std::vector<float>(32))});
  });
  EXPECT_TRUE(
      said.starts_with("ONNX Runtime " + runtime_info().version + " fails on " + path + ": "))
      << said;
  EXPECT_NE(said.find("invalid dimensions for input: x"), std::string::npos) << said;
}

TEST(Runtime, ModelThatOnnxRuntimeDoesNotAccept) {
  SmallModel model;
  model.graph.body.nodes[0].op_type = "NoSuchOperator";
  const std::string path = write(model);
  const std::string said = message(ErrorKind::mismatch, [&] { Session(path, {}); });
  EXPECT_TRUE(
      said.starts_with("ONNX Runtime " + runtime_info().version + " does not accept " + path))
      << said;
}

TEST(Runtime, LibraryThatIsNotThere) {
  const std::string said =
      message(ErrorKind::usage, [] { runtime_info("/no/such/libonnxruntime.so"); });
  EXPECT_EQ(
      said,
      "ONNX Runtime's library cannot be loaded:\n  /no/such/libonnxruntime.so: cannot open "
      "shared object file: No such file or directory\nGive its path with --runtime or in "
      "MODELEXPORT_ONNXRUNTIME (the onnxruntime package for Python has it in its folder capi)");
}

TEST(Runtime, LibraryThatIsAnotherOne) {
  EXPECT_EQ(message(ErrorKind::usage, [] { runtime_info("libm.so.6"); }),
            "libm.so.6 is not ONNX Runtime's library");
}

TEST(Runtime, LibraryGivenAsFolder) {
  const std::string folder = std::filesystem::path(runtime_info().path).parent_path().native();
  EXPECT_EQ(runtime_info(folder).version, runtime_info().version);
}

}  // namespace
}  // namespace modelexport::runtime
