// An ONNX file with its names resolved: who produces each value, and who uses it. All checks and
// graphs of analysis are made on this. Nothing here throws for a wrong file: a value that nothing
// defines is one without producer, and a name that is defined twice is listed.
//
// Nodes stand in the order of the file, those of nested blocks after the node that owns the block.
// Calls of local functions have been replaced by the functions' bodies (onnx/reader.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/onnx/reader.h"
#include "exporter/program/program.h"

namespace modelexport::analysis {

struct FileIndex {
  struct Value {
    std::string_view name;
    const onnx::PortView* type = nullptr;  // nullptr: the file does not tell
    bool is_input = false;                 // of the model, or of a block
    bool is_output = false;                // the same
    uint32_t block_owner = kNone;          // of a block's input: the node that owns the block
    uint32_t initializer = kNone;
    uint32_t producer = kNone;        // node
    std::vector<uint32_t> consumers;  // nodes, each once, ascending
    bool is_defined() const { return is_input || initializer != kNone || producer != kNone; }
  };
  struct Node {
    const onnx::NodeView* view = nullptr;
    std::vector<uint32_t> inputs;         // values; kNone: omitted
    std::vector<uint32_t> outputs;        // the same
    std::vector<uint32_t> block_outputs;  // values that the blocks it owns hand to it
    uint32_t owner = kNone;               // node in whose block it stands
  };
  struct Initializer {
    const onnx::TensorView* view = nullptr;
    uint32_t value = kNone;
  };

  // `file` must outlive the index.
  explicit FileIndex(const onnx::ModelFile& file);

  const onnx::ModelFile& file;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<Initializer> initializers;
  std::vector<uint32_t> inputs;   // of the model; not those that only give an initializer's type
  std::vector<uint32_t> outputs;  // of the model
  std::vector<std::string> redefined;

  // "/encoder/MatMul", or "node 12 (MatMul)" where the file gives no name.
  std::string node_name(uint32_t node) const;

 private:
  class Builder;
};

// The value of a key; nullptr if it is not there.
const std::string* find(const onnx::Metadata& metadata, std::string_view key);

// "[batch, 16, ?]"
std::string to_string(const std::vector<onnx::DimensionView>& shape);

}  // namespace modelexport::analysis
