#include "exporter/onnx/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <filesystem>

#include "exporter/error.h"
#include "exporter/onnx/tensor_bytes.h"
#include "exporter/onnx/to_proto.h"

namespace modelexport::onnx {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr uint64_t kLargestMessage = INT32_MAX;  // protobuf's limit for a message

// The beginning of a field whose value has `bytes` bytes.
std::string field_start(int field, uint64_t bytes) {
  uint8_t buffer[20];
  uint8_t* end =
      CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(field << 3 | 2), buffer);
  end = CodedOutputStream::WriteVarint64ToArray(bytes, end);
  return {reinterpret_cast<char*>(buffer), static_cast<size_t>(end - buffer)};
}

uint64_t field_bytes(int field, uint64_t bytes) { return field_start(field, bytes).size() + bytes; }

uint64_t message_bytes(const StreamedInitializer& initializer, const Program& program) {
  return initializer.header.ByteSizeLong() +
         field_bytes(pb::TensorProto::kRawDataFieldNumber, byte_count(program, *initializer.data));
}

// A protobuf message is the concatenation of its fields: the model without its graph, then the
// graph, the streamed initializers being its last fields.
void write_parts(ModelParts parts, const Program& program, PendingFile& file) {
  const std::unique_ptr<pb::GraphProto> graph(parts.model.release_graph());
  uint64_t graph_bytes = graph->ByteSizeLong();
  for (const StreamedInitializer& initializer : parts.streamed) {
    graph_bytes +=
        field_bytes(pb::GraphProto::kInitializerFieldNumber, message_bytes(initializer, program));
  }
  const uint64_t total =
      parts.model.ByteSizeLong() + field_bytes(pb::ModelProto::kGraphFieldNumber, graph_bytes);
  if (total > kLargestMessage) {
    throw Error(ErrorKind::usage,
                fmt::format("{} would have {} bytes, and an ONNX file can have at most {}; use "
                            "external weights",
                            file.path(), total, kLargestMessage));
  }
  file.append(parts.model.SerializeAsString());
  file.append(field_start(pb::ModelProto::kGraphFieldNumber, graph_bytes));
  file.append(graph->SerializeAsString());
  for (const StreamedInitializer& initializer : parts.streamed) {
    file.append(
        field_start(pb::GraphProto::kInitializerFieldNumber, message_bytes(initializer, program)));
    file.append(initializer.header.SerializeAsString());
    file.append(
        field_start(pb::TensorProto::kRawDataFieldNumber, byte_count(program, *initializer.data)));
    for_each_block(program, *initializer.data,
                   [&](std::span<const std::byte> block) { file.write_at(file.size(), block); });
  }
}

}  // namespace

ModelWriter::ModelWriter(std::string path, const Program& program, WeightMode mode)
    : program_(program), weights_(program, path, mode), file_(std::move(path)) {}

WrittenModel ModelWriter::write(const graph::Graph& graph, const Annotations& annotations,
                                const WeightWriter::Progress& progress) {
  write_parts(to_proto(graph, program_, annotations, weights_), program_, file_);
  weights_.finish(progress);
  weights_.commit();
  try {
    file_.commit();
  } catch (...) {
    weights_.revoke();
    throw;
  }
  return {file_.path(), weights_.data_path(), file_.size(), weights_.bytes_written(),
          weights_.checked()};
}

}  // namespace modelexport::onnx
