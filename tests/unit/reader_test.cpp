#include "exporter/onnx/reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "exporter/error.h"
#include "exporter/onnx/check.h"
#include "tests/unit/small_model.h"

namespace modelexport::onnx {
namespace {

// ---- protobuf's wire format, as far as it takes to write files that the writer never would
// ----------

std::string varint(uint64_t number) {
  std::string bytes;
  for (; number >= 128; number >>= 7) bytes += static_cast<char>(number | 128);
  return bytes + static_cast<char>(number);
}
std::string field(int id, uint64_t number) { return varint(id << 3) + varint(number); }
std::string field(int id, const std::string& bytes) {
  return varint(id << 3 | 2) + varint(bytes.size()) + bytes;
}
template <typename T>
std::string packed(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}
std::string varints(const std::vector<uint64_t>& numbers) {
  std::string bytes;
  for (uint64_t number : numbers) bytes += varint(number);
  return bytes;
}

std::string tensor(const std::string& name, int dtype, const std::vector<uint64_t>& dims,
                   const std::string& data) {
  return field(1, varints(dims)) + field(2, dtype) + field(8, name) + data;
}
std::string external(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes = field(14, 1);
  for (const auto& [key, value] : entries) bytes += field(13, field(1, key) + field(2, value));
  return bytes;
}
std::string model(const std::string& graph) {
  return field(1, 10) + field(7, field(2, "g") + graph) +
         field(8, field(1, "ai.onnx") + field(2, 20));
}

class Reader : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  ModelFile read_tensor(const std::string& tensor) {
    return read_model(write("m.onnx", model(field(5, tensor))));
  }
  std::string message(const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unreadable);
      std::string said = error.what();
      // Without the folder, whose name differs from run to run.
      for (size_t at; (at = said.find(folder_ / "")) != std::string::npos;) {
        said.erase(at, (folder_ / "").size());
      }
      return said;
    }
    return "no error";
  }
  std::string message_for(const std::string& tensor) {
    return message([&] { read_tensor(tensor); });
  }

  TemporaryFolder folder_;
};

template <typename T>
std::vector<T> numbers(const ModelFile& file) {
  const auto bytes = file.graph.initializers.at(0).bytes;
  std::vector<T> result(bytes.size() / sizeof(T));
  std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

TEST_F(Reader, TensorsInAnyOfTheTypedFields) {
  EXPECT_EQ(numbers<float>(read_tensor(tensor("t", 1, {2}, field(4, packed<float>({1, -2}))))),
            (std::vector<float>{1, -2}));
  EXPECT_EQ(numbers<double>(read_tensor(tensor("t", 11, {1}, field(10, packed<double>({0.5}))))),
            (std::vector<double>{0.5}));
  EXPECT_EQ(numbers<int64_t>(read_tensor(tensor("t", 7, {2}, field(7, varints({5, ~0ull}))))),
            (std::vector<int64_t>{5, -1}));
  EXPECT_EQ(numbers<int8_t>(read_tensor(tensor("t", 3, {2}, field(5, varints({7, ~0ull}))))),
            (std::vector<int8_t>{7, -1}));
  EXPECT_EQ(numbers<uint8_t>(read_tensor(tensor("t", 9, {2}, field(5, varints({1, 0}))))),
            (std::vector<uint8_t>{1, 0}));
  EXPECT_EQ(numbers<uint16_t>(read_tensor(tensor("t", 10, {1}, field(5, varints({0x3c00}))))),
            (std::vector<uint16_t>{0x3c00}));
  EXPECT_EQ(numbers<uint32_t>(read_tensor(tensor("t", 12, {1}, field(11, varints({9}))))),
            (std::vector<uint32_t>{9}));
  EXPECT_EQ(numbers<float>(read_tensor(tensor("t", 14, {1}, field(4, packed<float>({3, 4}))))),
            (std::vector<float>{3, 4}));
}

TEST_F(Reader, ExternalDataWithoutALength) {
  write("w.bin", std::string(8, '#') + packed<float>({1, 2}));
  const ModelFile file =
      read_tensor(tensor("t", 1, {2}, external({{"location", "w.bin"}, {"offset", "8"}})));
  EXPECT_EQ(numbers<float>(file), (std::vector<float>{1, 2}));
  EXPECT_EQ(file.graph.initializers[0].location, "w.bin");
  EXPECT_EQ(file.graph.initializers[0].offset, 8u);
}

TEST_F(Reader, NodesAttributesAndNestedGraphs) {
  const std::string inner =
      field(2, "body") + field(1, field(2, "y") + field(3, "/Neg") + field(4, "Neg"));
  const std::string ints = field(1, "axes") + field(20, 7) + field(8, 0) + field(8, 2);
  const std::string graph = field(1, "then_branch") + field(20, 5) + field(6, inner);
  const std::string node = field(1, "c") + field(1, "") + field(2, "out") + field(3, "/If") +
                           field(4, "If") + field(5, ints) + field(5, graph) + field(7, "ai.onnx") +
                           field(9, field(1, "namespace") + field(2, "n"));
  const ModelFile file = read_model(write("m.onnx", model(field(1, node))));
  EXPECT_EQ(file.opsets, (std::vector<std::pair<std::string, int64_t>>{{"", 20}}));
  const NodeView& view = file.graph.nodes.at(0);
  EXPECT_EQ(view.name, "/If");
  EXPECT_EQ(view.domain, "") << "ai.onnx is the default domain";
  EXPECT_EQ(view.inputs, (std::vector<std::string>{"c", ""}));
  EXPECT_EQ(view.metadata, (Metadata{{"namespace", "n"}}));
  ASSERT_EQ(view.attributes.size(), 1u);
  EXPECT_EQ(std::get<std::vector<int64_t>>(view.attributes[0].value), (std::vector<int64_t>{0, 2}));
  ASSERT_EQ(view.subgraphs.size(), 1u);
  EXPECT_EQ(view.subgraphs[0].first, "then_branch");
  EXPECT_EQ(view.subgraphs[0].second.nodes.at(0).op_type, "Neg");
}

TEST_F(Reader, FilesThatAreNotOnnx) {
  EXPECT_EQ(message([&] { read_model(folder_ / "no.onnx"); }),
            "cannot read no.onnx: No such file or directory");
  EXPECT_EQ(message([&] { read_model(write("m.onnx", "")); }),
            "m.onnx is not an ONNX file, or a damaged one (0 bytes)");
  EXPECT_EQ(message([&] { read_model(write("m.onnx", "PK\3\4 not a model")); }),
            "m.onnx is not an ONNX file, or a damaged one (16 bytes)");
  const std::string whole = model(field(1, field(4, "Neg")));
  EXPECT_EQ(message([&] { read_model(write("m.onnx", whole.substr(0, 9))); }),
            "m.onnx is not an ONNX file, or a damaged one (9 bytes)");
  EXPECT_EQ(message([&] { read_model("/dev/null"); }),
            "cannot read /dev/null: it is not a regular file");
}

TEST_F(Reader, TensorsThatDoNotFitTheirShape) {
  EXPECT_EQ(message_for(tensor("t", 1, {3}, field(9, packed<float>({1, 2})))),
            "m.onnx: tensor t has 8 bytes where its type and shape need 12");
  EXPECT_EQ(message_for(tensor("t", 1, {1ull << 62, 8}, "")),
            "m.onnx: tensor t has an impossible shape");
  EXPECT_EQ(message_for(tensor("t", 1, {~0ull}, "")), "m.onnx: tensor t has an impossible shape");
}

TEST_F(Reader, ExternalDataThatIsNotThere) {
  write("w.bin", "12345678");
  const auto said = [&](std::vector<std::pair<std::string, std::string>> entries) {
    return message_for(tensor("t", 1, {2}, external(entries)));
  };
  EXPECT_EQ(said({{"location", "no.bin"}}), "cannot read no.bin: No such file or directory");
  EXPECT_EQ(said({{"location", "w.bin"}, {"offset", "4"}}),
            "m.onnx: tensor t is at 4 in w.bin and has 8 bytes, but that file ends at 8");
  EXPECT_EQ(said({{"location", "w.bin"}, {"offset", "18446744073709551615"}, {"length", "8"}}),
            "m.onnx: tensor t is at 18446744073709551615 in w.bin and has 8 bytes, but that file "
            "ends at 8");
  EXPECT_EQ(said({{"location", "w.bin"}, {"length", "4"}}),
            "m.onnx: tensor t has 4 bytes where its type and shape need 8");
  EXPECT_EQ(said({{"location", "w.bin"}, {"offset", "x"}}),
            "m.onnx: tensor t has the offset \"x\"");
  for (const char* outside : {"../w.bin", "a/../../w.bin", "/etc/passwd", ""}) {
    EXPECT_EQ(said({{"location", outside}}), std::string("m.onnx: tensor t has its data in \"") +
                                                 outside +
                                                 "\", which is outside the folder of the model");
  }
}

// A model that calls function f0, with f0 calling f1 twice and so on; the last one adds.
std::string functions(int count, bool closed) {
  const auto call = [](const std::string& input, const std::string& output, int callee) {
    return field(1, input) + field(2, output) + field(4, "f" + std::to_string(callee)) +
           field(7, "local");
  };
  std::string bytes = model(field(1, call("x", "y", 0)) + field(11, field(1, "x")));
  for (int k = 0; k < count; ++k) {
    const bool last = k + 1 == count;
    const int next = last ? 0 : k + 1;
    std::string body = field(7, call("a", "b", next)) + field(7, call("b", "c", next));
    if (last && !closed) body = field(7, field(1, "a") + field(2, "c") + field(4, "Neg"));
    bytes += field(25, field(1, "f" + std::to_string(k)) + field(4, "a") + field(5, "c") + body +
                           field(10, "local") +
                           field(14, field(1, "pkg.modelexport.class") + field(2, "F")));
  }
  return bytes;
}

TEST_F(Reader, CallsOfFunctionsAreTheirBodies) {
  const ModelFile file = read_model(write("m.onnx", functions(3, false)));
  ASSERT_EQ(file.graph.nodes.size(), 4u);
  EXPECT_EQ(file.functions.size(), 3u);
  EXPECT_EQ(file.graph.nodes[0].op_type, "Neg");
  EXPECT_EQ(file.graph.nodes[0].inputs, (std::vector<std::string>{"x"}));
  EXPECT_EQ(file.graph.nodes[1].inputs, file.graph.nodes[0].outputs);
  EXPECT_EQ(file.graph.nodes[3].outputs, (std::vector<std::string>{"y"}));
}

TEST_F(Reader, FunctionsWithoutEnd) {
  EXPECT_EQ(message([&] { read_model(write("m.onnx", functions(1, true))); }),
            "a local function calls itself");
}

TEST_F(Reader, CheckerSpeaksUp) {
  const std::string node = field(1, "x") + field(2, "y") + field(4, "NoSuchOperator");
  const std::string said = check_model(write("m.onnx", model(field(1, node))));
  EXPECT_NE(said.find("NoSuchOperator"), std::string::npos) << said;
  EXPECT_NE(check_model(folder_ / "no.onnx"), "");
}

}  // namespace
}  // namespace modelexport::onnx
