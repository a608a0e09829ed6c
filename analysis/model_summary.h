// What a model is made of, whatever tells it: a TorchScript module that was walked, or an ONNX
// file. Trees, comparisons, drawings and reports are made from this alone.
//
//   ModelSummary summary = summarize(program, hierarchy);        // operators are ATen's
//   ModelSummary summary = summarize(onnx::read_model(path));    // operators are ONNX's
//
// An ONNX file tells of the modules that its nodes and weights name. Where nodes have no tags,
// their names tell ("/encoder/layer.0/MatMul" is of encoder.layer.0), without classes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/sharing.h"
#include "exporter/onnx/reader.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

struct ModelNode {
  std::string name;        // unique
  std::string op;          // "Gemm", "com.microsoft.FusedMatMul"; "aten::linear"
  std::string attributes;  // "axis=1, keepdims=0"; known arguments: "dim=-1"
  std::string type;        // of the first output: "float32 [batch, 64]"
  std::string source;      // lines, outermost call first
  ModuleId module = 0;
  std::vector<uint32_t> nodes;    // whose outputs it uses, each once, ascending
  std::vector<uint32_t> inputs;   // of the model
  std::vector<TensorId> weights;  // parameters and buffers that it uses
};

struct ModelPort {
  std::string name;
  std::string type;       // "float32 [batch, 64]"
  uint32_t node = kNone;  // of an output: who makes it
};

struct ModelSummary {
  std::string file;    // as given
  std::string format;  // "TorchScript", "ONNX"
  std::string producer;
  int64_t opset = 0;  // of ONNX
  // Modules, parameters and buffers, with their bytes. Of an ONNX file: class_name is empty where
  // it does not tell, and `calls` is 0 for modules of which there are no nodes.
  Program tree;
  std::vector<std::string> tags;  // hierarchy tags of the modules
  std::vector<ModelPort> inputs, outputs;
  std::vector<ModelNode> nodes;  // in order; empty if the module was not run
  Sharing sharing;
};

ModelSummary summarize(Program program, const tagging::Hierarchy& hierarchy);
ModelSummary summarize(const onnx::ModelFile& file, const tagging::TagOptions& options = {});
// The file's operators in the modules of the live module that it was made from.
ModelSummary summarize(const onnx::ModelFile& file, const Program& live,
                       const tagging::Hierarchy& hierarchy);

struct OperatorCount {
  std::string op;
  size_t count = 0;
};
// The most frequent first.
std::vector<OperatorCount> count_operators(const ModelSummary& model);
// By module, without those below it.
std::vector<int64_t> nodes_by_module(const ModelSummary& model);

// Own parameters and buffers of a module, by module.
std::vector<TensorId> own_tensors(const Module& module);
int64_t byte_count(const Tensor& tensor);
// Elements of all parameters.
int64_t parameter_count(const Program& tree);

}  // namespace modelexport::analysis
