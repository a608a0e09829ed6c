// to_dot and to_mermaid: a module's graph in the languages of Graphviz and Mermaid.
#include <fmt/format.h>

#include "analysis/module_graph.h"

namespace modelexport::analysis {
namespace {

// Text within double quotes, where `replacement` stands for a double quote.
std::string quoted(const std::string& text, const std::string& replacement) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"')
      out += replacement;
    else
      out += c;
  }
  return out + "\"";
}

std::string dot_quoted(const std::string& text) {
  std::string escaped;
  for (char c : text) escaped += c == '\\' ? std::string("\\\\") : std::string(1, c);
  return quoted(escaped, "\\\"");
}

// Calls `write` for a group's vertices, and begin and end around each group in it.
template <typename Begin, typename Write, typename End>
void for_each_group(const ModuleGraph& graph, uint32_t group, int depth, const Begin& begin,
                    const Write& write, const End& end) {
  for (uint32_t id = 0; id < graph.vertices.size(); ++id)
    if (graph.vertices[id].group == group) write(id, depth);
  for (uint32_t id = group + 1; id < graph.groups.size(); ++id) {
    if (graph.groups[id].parent != group) continue;
    begin(id, depth);
    for_each_group(graph, id, depth + 1, begin, write, end);
    end(depth);
  }
}

}  // namespace

std::string to_dot(const ModuleGraph& graph) {
  std::string out = fmt::format(
      "digraph {{\n  label={};\n  node [shape=box, style=rounded, fontname=\"Helvetica\"];\n",
      dot_quoted(graph.groups[0].label));
  const auto indent = [](int depth) { return std::string(2 * static_cast<size_t>(depth), ' '); };
  const auto style = [](VertexKind kind) {
    if (kind == VertexKind::module) return ", shape=box3d, style=filled, fillcolor=\"#e8eefc\"";
    return kind == VertexKind::op ? "" : ", shape=ellipse, style=dashed";
  };
  for_each_group(
      graph, 0, 1,
      [&](uint32_t id, int depth) {
        out += fmt::format("{}subgraph cluster_{} {{\n{}label={};\n", indent(depth), id,
                           indent(depth + 1), dot_quoted(graph.groups[id].label));
      },
      [&](uint32_t id, int depth) {
        const ModuleGraph::Vertex& vertex = graph.vertices[id];
        const std::string text =
            vertex.detail.empty() ? vertex.label : vertex.label + "\n" + vertex.detail;
        out += fmt::format("{}v{} [label={}{}];\n", indent(depth), id, dot_quoted(text),
                           style(vertex.kind));
      },
      [&](int depth) { out += indent(depth) + "}\n"; });
  for (const auto& [from, to] : graph.edges) out += fmt::format("  v{} -> v{};\n", from, to);
  return out + "}\n";
}

std::string to_mermaid(const ModuleGraph& graph) {
  std::string out = "flowchart TD\n";
  const auto indent = [](int depth) { return std::string(2 * static_cast<size_t>(depth), ' '); };
  const auto shaped = [](VertexKind kind, const std::string& text) {
    if (kind == VertexKind::module) return "[[" + text + "]]";
    return kind == VertexKind::op ? "[" + text + "]" : "([" + text + "])";
  };
  for_each_group(
      graph, 0, 1,
      [&](uint32_t id, int depth) {
        out += fmt::format("{}subgraph g{}[{}]\n", indent(depth), id,
                           quoted(graph.groups[id].label, "#quot;"));
      },
      [&](uint32_t id, int depth) {
        const ModuleGraph::Vertex& vertex = graph.vertices[id];
        const std::string text =
            vertex.detail.empty() ? vertex.label : vertex.label + "<br/>" + vertex.detail;
        out += fmt::format("{}v{}{}\n", indent(depth), id,
                           shaped(vertex.kind, quoted(text, "#quot;")));
      },
      [&](int depth) { out += indent(depth) + "end\n"; });
  for (const auto& [from, to] : graph.edges) out += fmt::format("  v{} --> v{}\n", from, to);
  return out;
}

}  // namespace modelexport::analysis
