#include "exporter/onnx/reader.h"

#include "exporter/onnx/expand_functions.h"
#include "exporter/onnx/from_proto.h"

namespace modelexport::onnx {
namespace {

struct Owner {
  explicit Owner(const std::string& path) : tensors(path) {}
  pb::ModelProto model;
  TensorReader tensors;
};

}  // namespace

ModelFile read_model(const std::string& path) {
  const auto owner = std::make_shared<Owner>(path);
  pb::ModelProto& model = owner->model;
  parse_model(path, model);
  ModelFile file{.path = path,
                 .ir_version = model.ir_version(),
                 .producer_name = model.producer_name(),
                 .producer_version = model.producer_version()};
  for (const auto& opset : model.opset_import()) {
    file.opsets.emplace_back(opset.domain() == "ai.onnx" ? "" : opset.domain(), opset.version());
  }
  file.metadata = to_metadata(model.metadata_props());
  for (const auto& function : model.functions()) {
    file.functions.push_back({.domain = function.domain(),
                              .name = function.name(),
                              .nodes = static_cast<size_t>(function.node_size()),
                              .is_module_call = is_module_call(function)});
  }
  expand_functions(model);
  file.graph = to_view(model.graph(), owner->tensors);
  file.owner = owner;
  return file;
}

}  // namespace modelexport::onnx
