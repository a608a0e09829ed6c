// Summaries (analysis/model_summary.h) of whatever a command is given: a TorchScript checkpoint, an
// ONNX file, or a folder that `extract` made.
#pragma once

#include <string>
#include <vector>

#include "analysis/model_summary.h"
#include "exporter/frontend/live_module.h"

namespace modelexport {

enum class ModelFormat : uint8_t { checkpoint, onnx };

struct ModelPath {
  ModelFormat format = ModelFormat::onnx;
  std::string file;
};
// Of a folder: the model.onnx in it. Throws Error{unreadable} if there is none.
ModelPath find_model(const std::string& path);

struct DescribeOptions {
  frontend::InputOptions inputs;
  std::vector<std::string> load_library;
  std::vector<std::string> ops, load_lowerings;  // of describe_as_onnx
  bool include_torch_nn = false;
  // false: a checkpoint's large weights are not read, the module runs on zeros in their place.
  bool read_weights = true;
};

// A checkpoint is run on its inputs; without any, its tree and names are all that is known, and a
// warning in `tree` says so. Errors (Error): unreadable, usage.
analysis::ModelSummary describe_model(const ModelPath& model, const DescribeOptions& options);

// A checkpoint as the ONNX file that would be exported from it. Errors (Error): unreadable, usage,
// unsupported.
analysis::ModelSummary describe_as_onnx(const std::string& checkpoint,
                                        const DescribeOptions& options, int opset);

}  // namespace modelexport
