#include "exporter/onnx/writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <numeric>

#include "exporter/error.h"
#include "exporter/onnx/check.h"
#include "exporter/onnx/reader.h"
#include "tests/unit/errors.h"
#include "tests/unit/small_model.h"

namespace modelexport::onnx {
namespace {

using test::message;

Annotations tagged() {
  Annotations annotations;
  annotations.producer_version = "1.0";
  annotations.model = {{"source", "model.pt"}};
  annotations.node = [](const graph::Node& node, const graph::Function*) {
    return Metadata{{"namespace", ": demo.Net/" + node.op_type}, {"tag", "direct"}};
  };
  annotations.initializer = [](const graph::Initializer&) {
    return Metadata{{"kind", "PARAMETER"}};
  };
  annotations.port = [](graph::ValueId) { return Metadata{{"kind", "USER"}}; };
  return annotations;
}

WrittenModel write(const SmallModel& model, WeightMode mode, const std::string& name,
                   bool in_thread = false) {
  ModelWriter writer(model.folder / name, model.program, mode);
  const std::vector<TensorId> all = {0, 1, 2, 3};
  if (in_thread) writer.start_weights(all);
  return writer.write(model.graph, tagged());
}

const TensorView& tensor(const ModelFile& file, const std::string& name) {
  const auto& all = file.graph.initializers;
  return *std::find_if(all.begin(), all.end(), [&](const auto& t) { return t.name == name; });
}

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void expect_all_tensors(const SmallModel& model, const ModelFile& file) {
  EXPECT_EQ(text(tensor(file, "weight").bytes), bytes_of(model.weight));
  EXPECT_EQ(text(tensor(file, "weight_transposed").bytes), bytes_of(model.transposed()));
  EXPECT_EQ(text(tensor(file, "rows").bytes), bytes_of(model.weight).substr(64 * 64 * 2));
  EXPECT_EQ(text(tensor(file, "bias").bytes), bytes_of(model.bias));
  EXPECT_EQ(text(tensor(file, "constant").bytes), bytes_of(model.constant));
}

TEST(Writer, ExternalWeightsShareTheirStorage) {
  const SmallModel model;
  const WrittenModel written = write(model, WeightMode::external, "m.onnx");
  EXPECT_EQ(check_model(written.path), "");
  const ModelFile file = read_model(written.path);
  expect_all_tensors(model, file);
  const TensorView& weight = tensor(file, "weight");
  EXPECT_EQ(weight.location, "m.onnx.data");
  for (const char* name : {"weight", "weight_transposed", "constant"}) {
    EXPECT_EQ(tensor(file, name).offset % 4096, 0u) << name;
  }
  EXPECT_EQ(tensor(file, "bias").location, "") << "small tensors are in the file itself";
  EXPECT_EQ(written.data_path, model.folder / "m.onnx.data");
  EXPECT_EQ(written.weight_bytes, std::filesystem::file_size(written.data_path));
  EXPECT_EQ(written.file_bytes, std::filesystem::file_size(written.path));
}

// Known beforehand, two tensors that overlap lie in one region.
TEST(Writer, PlannedViewsAreWrittenOnce) {
  const SmallModel model;
  const WrittenModel written = write(model, WeightMode::external, "m.onnx", true);
  const ModelFile file = read_model(written.path);
  expect_all_tensors(model, file);
  EXPECT_EQ(tensor(file, "rows").offset, tensor(file, "weight").offset + 64 * 64 * 2);
  // weight, its transpose and the constant
  EXPECT_EQ(written.weight_bytes, 2u * 64 * 64 * 4 + 4096);
}

TEST(Writer, EmbeddedWeights) {
  const SmallModel model;
  const WrittenModel written = write(model, WeightMode::embed, "m.onnx");
  EXPECT_EQ(check_model(written.path), "");
  EXPECT_EQ(written.data_path, "");
  expect_all_tensors(model, read_model(written.path));
  EXPECT_EQ(model.folder.files(), (std::vector<std::string>{"m.onnx", "model.pt"}));
}

// Large enough to go from the checkpoint straight into the file.
TEST(Writer, LargeEmbeddedWeightsAreStreamed) {
  SmallModel model;
  std::vector<float> large(1 << 19);
  std::iota(large.begin(), large.end(), 0.0f);
  model.program.storages.push_back({reinterpret_cast<const std::byte*>(large.data()), 1 << 21, -1});
  model.program.tensors.push_back({2, DType::f32, {1 << 9, 1 << 10}, {1, 1 << 9}});
  model.weight_initializer("large", 4);
  const WrittenModel written = write(model, WeightMode::embed, "m.onnx");
  EXPECT_EQ(check_model(written.path), "");
  const ModelFile file = read_model(written.path);
  expect_all_tensors(model, file);
  const auto bytes = tensor(file, "large").bytes;
  ASSERT_EQ(bytes.size(), size_t{1} << 21);
  const auto* values = reinterpret_cast<const float*>(bytes.data());
  EXPECT_EQ(values[1], 512.0f);
  EXPECT_EQ(values[(1 << 19) - 1], (1 << 19) - 1.0f);
}

TEST(Writer, WeightsInPlace) {
  const SmallModel model;
  const WrittenModel written = write(model, WeightMode::in_place, "m.onnx");
  EXPECT_EQ(check_model(written.path), "");
  const ModelFile file = read_model(written.path);
  expect_all_tensors(model, file);
  EXPECT_EQ(tensor(file, "weight").location, "model.pt");
  EXPECT_EQ(tensor(file, "weight").offset, SmallModel::kRecord);
  EXPECT_EQ(tensor(file, "rows").offset, SmallModel::kRecord + 64 * 64 * 2);
  EXPECT_EQ(tensor(file, "weight_transposed").location, "m.onnx.data");
}

TEST(Writer, MetadataAndTypes) {
  const SmallModel model;
  const ModelFile file = read_model(write(model, WeightMode::external, "m.onnx").path);
  EXPECT_EQ(file.producer_name, "modelexport");
  EXPECT_EQ(file.producer_version, "1.0");
  EXPECT_EQ(file.ir_version, 10);
  EXPECT_EQ(file.opsets, (std::vector<std::pair<std::string, int64_t>>{{"", 20}}));
  EXPECT_EQ(file.metadata, (Metadata{{"source", "model.pt"}}));
  EXPECT_EQ(file.graph.nodes[1].metadata,
            (Metadata{{"namespace", ": demo.Net/MatMul"}, {"tag", "direct"}}));
  EXPECT_EQ(file.graph.initializers[0].metadata, (Metadata{{"kind", "PARAMETER"}}));
  const PortView& input = file.graph.inputs.at(0);
  EXPECT_EQ(input.metadata, (Metadata{{"kind", "USER"}}));
  EXPECT_EQ(input.dtype, DType::f32);
  EXPECT_EQ(input.shape->at(0).symbol, "batch");
  EXPECT_EQ(input.shape->at(1).size, 64);
  EXPECT_EQ(file.graph.values.size(), model.graph.body.nodes.size() - 1);
}

TEST(Writer, IrVersionFollowsTheOpset) {
  SmallModel model;
  for (const auto& [opset, ir] : {std::pair{17, 10}, {22, 10}, {23, 11}}) {
    model.graph.opset = opset;
    const WrittenModel written = write(model, WeightMode::embed, "m.onnx");
    EXPECT_EQ(check_model(written.path), "");
    EXPECT_EQ(read_model(written.path).ir_version, ir);
  }
}

TEST(Writer, SameBytesFromRunToRun) {
  const SmallModel model;
  write(model, WeightMode::external, "m.onnx", true);
  const std::string file = contents(model.folder / "m.onnx");
  const std::string data = contents(model.folder / "m.onnx.data");
  write(model, WeightMode::external, "m.onnx", true);
  EXPECT_EQ(contents(model.folder / "m.onnx"), file);
  EXPECT_EQ(contents(model.folder / "m.onnx.data"), data);
}

TEST(Writer, NestedBlocksSequencesAndFunctions) {
  SmallModel model;
  graph::Graph& g = model.graph;
  const auto yes = model.initializer("yes", {DType::boolean, {}, std::string(1, '\1')});
  g.values[yes].dtype = DType::boolean;
  const auto branch = [&](const std::string& op, const std::string& name) {
    auto block = std::make_shared<graph::Block>();
    const auto result = model.value(name, {symbol_dim(0), 32});
    block->nodes.push_back({op, "", {g.body.outputs[0]}, {result}, {}, 0, {}, "/" + op});
    block->outputs = {result};
    return block;
  };
  model.node("If", {yes}, {symbol_dim(0), 32},
             {{"then_branch", branch("Neg", "then")}, {"else_branch", branch("Abs", "else")}});
  const auto chosen = g.body.nodes.back().outputs[0];
  g.custom_domains = {{"demo", 1}};
  auto body = std::make_shared<graph::Graph>();
  body->values = {{.name = "a"}, {.name = "b"}, {.name = "two"}};
  const graph::TensorData two{DType::f32, {}, bytes_of({2.0f})};
  body->body.nodes = {{"Constant", "", {}, {2}, {{"value", two}}, 0, {}, "/Constant"},
                      {"Mul", "", {0, 2}, {1}, {}, 0, {}, "/Mul"}};
  g.functions = {{"demo", "Twice", {"a"}, {"b"}, body, 0}};
  const auto twice = model.node("Twice", {chosen}, {symbol_dim(0), 32});
  g.body.nodes.back().domain = "demo";
  g.body.nodes.back().name = "/twice";
  const auto list = model.node("SequenceConstruct", {twice, chosen}, {symbol_dim(0), 32});
  g.values[list].kind = Kind::sequence;
  g.body.outputs.push_back(list);
  const WrittenModel written = write(model, WeightMode::external, "m.onnx");
  EXPECT_EQ(check_model(written.path), "");
  const ModelFile file = read_model(written.path);
  EXPECT_TRUE(file.graph.outputs.at(1).is_sequence);
  ASSERT_EQ(file.functions.size(), 1u);
  EXPECT_EQ(file.functions[0].nodes, 2u);
  const auto& nodes = file.graph.nodes;
  const auto product = std::find_if(nodes.begin(), nodes.end(), [](const NodeView& node) {
    return node.name == "/twice/Mul";  // the function's body stands in place of its call
  });
  ASSERT_NE(product, nodes.end());
  EXPECT_EQ(product->inputs.at(1), "/twice/two");
  EXPECT_EQ(product->outputs.at(0), g.values[twice].name);
  const auto choice = std::find_if(nodes.begin(), nodes.end(),
                                   [](const NodeView& node) { return node.op_type == "If"; });
  ASSERT_EQ(choice->subgraphs.size(), 2u);
  EXPECT_EQ(choice->subgraphs[1].first, "else_branch");
  EXPECT_EQ(choice->subgraphs[1].second.nodes.at(0).name, "/Abs");
  EXPECT_EQ(choice->subgraphs[1].second.nodes.at(0).metadata.at(1).second, "direct");
}

TEST(Writer, FolderThatDoesNotExist) {
  const SmallModel model;
  const std::string path = model.folder / "no/m.onnx";
  EXPECT_EQ(message(ErrorKind::unwritable,
                    [&] { ModelWriter(path, model.program, WeightMode::external); }),
            "cannot write " + path + ": No such file or directory; create the folder first");
}

TEST(Writer, OutputThatIsAFolderOrADevice) {
  const SmallModel model;
  const std::string path = model.folder / "m.onnx";
  std::filesystem::create_directory(path);
  EXPECT_EQ(message(ErrorKind::unwritable,
                    [&] { ModelWriter(path, model.program, WeightMode::external); }),
            "cannot write " + path + ": Is a directory; write somewhere else");
  EXPECT_EQ(message(ErrorKind::unwritable,
                    [&] { ModelWriter("/dev/null", model.program, WeightMode::external); }),
            "cannot write /dev/null: it exists and is not a regular file; write somewhere else");
}

TEST(Writer, OutputThatIsTheCheckpoint) {
  const SmallModel model;
  const std::string path = model.program.source_file;
  EXPECT_EQ(
      message(ErrorKind::usage, [&] { ModelWriter(path, model.program, WeightMode::external); }),
      path + " is the checkpoint itself; choose another output");
}

TEST(Writer, InPlaceNeedsTheCheckpointInTheFolder) {
  const SmallModel model;
  std::filesystem::create_directory(model.folder / "sub");
  const std::string said = message(ErrorKind::usage, [&] {
    ModelWriter(model.folder / "sub/m.onnx", model.program, WeightMode::in_place);
  });
  EXPECT_EQ(said, "weights cannot stay in " + model.program.source_file +
                      ": an ONNX file refers to data in its own folder (" + (model.folder / "sub") +
                      ") or below, by a name without \"..\"; write the ONNX file beside the "
                      "checkpoint; or use external weights");
  SmallModel linked;
  std::filesystem::create_symlink("model.pt", linked.folder / "link.pt");
  linked.program.source_file = linked.folder / "link.pt";
  EXPECT_NE(message(ErrorKind::usage, [&] { write(linked, WeightMode::in_place, "m.onnx"); })
                .find("it is a symbolic link"),
            std::string::npos);
}

TEST(Writer, EmbeddingStopsAtTwoGigabytes) {
  SmallModel model;
  // An expanded view: as many bytes as it takes, none of them in memory.
  model.program.tensors.push_back({0, DType::f32, {1 << 29}, {0}});
  model.weight_initializer("huge", 4);
  const std::string said =
      message(ErrorKind::usage, [&] { write(model, WeightMode::embed, "m.onnx"); });
  EXPECT_NE(said.find("and an ONNX file can have at most 2147483647; use external weights"),
            std::string::npos)
      << said;
  EXPECT_EQ(model.folder.files(), std::vector<std::string>{"model.pt"});
}

TEST(Writer, DamagedStorage) {
  SmallModel model;
  model.program.tensors[0].offset = 1;
  const std::string said =
      message(ErrorKind::unreadable, [&] { write(model, WeightMode::external, "m.onnx", true); });
  EXPECT_EQ(said,
            model.program.source_file +
                ": tensor weight reaches beyond its storage of 16384 bytes: the file is damaged");
  EXPECT_EQ(model.folder.files(), std::vector<std::string>{"model.pt"});
}

// Runs `body` in a child process, because it changes or ends the process; returns its wait status.
int in_child(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(Writer, FullDiskLeavesNothing) {
  const SmallModel model;
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{8192, 8192};  // stands for a full disk
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write(model, WeightMode::external, "m.onnx", true);
    } catch (const Error& error) {
      const std::string expected =
          "cannot write " + (model.folder / "m.onnx.data") +
          ": File too large; free some space there, or write somewhere else";
      _exit(error.kind() == ErrorKind::unwritable && error.what() == expected ? 0 : 2);
    }
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(model.folder.files(), std::vector<std::string>{"model.pt"});
}

TEST(Writer, SignalsLeaveNothing) {
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    const SmallModel model;
    const int status = in_child([&] {
      remove_pending_files_on_signals();
      ModelWriter writer(model.folder / "m.onnx", model.program, WeightMode::external);
      const std::vector<TensorId> all = {0, 1, 2, 3};
      writer.start_weights(all);
      if (model.folder.files().size() != 3) _exit(3);
      raise(signal_number);
    });
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal_number);
    EXPECT_EQ(model.folder.files(), std::vector<std::string>{"model.pt"});
  }
}

// A forked child that is stopped does not take its parent's files with it.
TEST(Writer, PendingFilesBelongToTheirProcess) {
  const TemporaryFolder folder;
  PendingFile file(folder / "a.txt");
  file.append("whole");
  in_child([] {
    remove_pending_files_on_signals();
    raise(SIGTERM);
  });
  file.commit();
  EXPECT_EQ(contents(folder / "a.txt"), "whole");
}

TEST(TensorsInUse, FollowsTheOutputsOnly) {
  SmallModel model;
  Program& program = model.program;
  // Values 0: x; 1..4: the tensors; 5: x @ weight, 6: x + bias, which nothing needs.
  program.values.resize(7);
  for (TensorId id = 0; id < 4; ++id) program.values[id + 1].constant = id;
  program.schemas = {{"aten::matmul", {"self", "other"}}};
  program.body.inputs = {0};
  program.body.ops = {{0, {ValueRef{0}, ValueRef{1}}, {5}, 0},
                      {0, {ValueRef{0}, ValueRef{4}}, {6}, 0}};
  program.body.outputs = {5, 3};
  EXPECT_EQ(tensors_in_use(program), (std::vector<TensorId>{0, 2}));
}

}  // namespace
}  // namespace modelexport::onnx
