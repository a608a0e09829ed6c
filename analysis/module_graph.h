// A module's data flow as a drawing: its own operators, and the modules below it as boxes or, down
// to a depth, as groups of what is in them.
//
//   ModuleGraph graph = module_graph(model, find_module(model, "encoder.layer.0"), 1);
//   std::string text = to_dot(graph);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/model_summary.h"

namespace modelexport::analysis {

enum class VertexKind : uint8_t { input, op, module, output };

struct ModuleGraph {
  struct Group {  // a module whose inside is drawn; [0] is the module itself
    std::string label;
    uint32_t parent = kNone;
  };
  struct Vertex {
    VertexKind kind = VertexKind::op;
    std::string label;   // "Gemm", "layer.0: BertLayer", the name of an input
    std::string detail;  // "float32 [batch, 64]", "12 operators"
    uint32_t group = 0;
  };
  std::vector<Group> groups;
  std::vector<Vertex> vertices;
  std::vector<std::pair<uint32_t, uint32_t>> edges;  // each once, ascending
};

// The module of a path ("" is the root) or hierarchy tag ("/Net/Block.0").
std::optional<ModuleId> find_module(const ModelSummary& model, std::string_view path);

// `depth` levels of modules are opened: 1 is the module itself. 0: all.
ModuleGraph module_graph(const ModelSummary& model, ModuleId module, int depth);

std::string to_dot(const ModuleGraph& graph);      // Graphviz
std::string to_mermaid(const ModuleGraph& graph);  // a flowchart

}  // namespace modelexport::analysis
