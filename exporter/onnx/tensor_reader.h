// Finds the bytes of onnx::TensorProto, wherever they are: raw, in one of the typed fields, or in
// another file. Internal to this folder: it has protobuf in it.
#pragma once

#include <onnx/onnx_pb.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "exporter/onnx/mapped_file.h"
#include "exporter/onnx/reader.h"

namespace modelexport::onnx {

namespace pb = ::onnx;

class TensorReader {
 public:
  explicit TensorReader(std::string model_path) : model_path_(std::move(model_path)) {}

  // The view is valid as long as `tensor` and this reader are.
  TensorView read(const pb::TensorProto& tensor);

 private:
  std::span<const std::byte> external_bytes(const pb::TensorProto& tensor, TensorView& view);
  std::span<const std::byte> converted_bytes(const pb::TensorProto& tensor, size_t element);
  const MappedFile& file(const std::string& location);
  [[noreturn]] void fail(const std::string& tensor, const std::string& what) const;

  std::string model_path_;
  std::map<std::string, std::unique_ptr<MappedFile>> files_;  // by location
  std::deque<std::string> converted_;                         // what no file has as such
};

}  // namespace modelexport::onnx
