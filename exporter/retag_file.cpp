#include "exporter/retag_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/error.h"
#include "exporter/onnx/tag_file.h"
#include "tagging/python_list.h"

namespace modelexport {
namespace {

using Json = nlohmann::json;

// A file as it is, or what gzip made of it.
std::string read_text(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw Error(ErrorKind::unreadable, fmt::format("{} cannot be read", path));
  std::string text;
  char buffer[1 << 15];
  for (int count; (count = gzread(file.get(), buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(count));
  return text;
}

// The tags that hierarchy.json tells of a node. Levels are the modules of its path that ran.
class TagMaker {
 public:
  explicit TagMaker(const Json& document) {
    for (const Json& module : document.at("modules")) {
      if (module.at("executed").get<bool>())
        classes_[module.at("path").get<std::string>()] = module.at("class").get<std::string>();
    }
  }

  tagging::Metadata tags(const tagging::FlowNode& node, const Json& entry) const {
    const std::string module = entry.at("module");
    std::vector<std::string> names, classes;
    std::string name_space;
    const auto add = [&](const std::string& name, const std::string& class_name) {
      names.push_back(name);
      classes.push_back(class_name);
      name_space += fmt::format("{}{}: {}", name_space.empty() ? "" : "/", name, class_name);
    };
    for (size_t end = 0;; ++end) {
      end = std::min(module.find('.', end), module.size());
      if (names.empty()) {
        if (const auto root = classes_.find(""); root != classes_.end()) add("", root->second);
      }
      const auto at = classes_.find(module.substr(0, end));
      if (at != classes_.end() && !at->first.empty()) add(at->first, at->second);
      if (end == module.size()) break;
    }
    add(node.op_type, (node.domain.empty() ? "onnx" : node.domain) + "::" + node.op_type);
    tagging::Metadata tags = {{tagging::kNamespace, name_space},
                              {tagging::kClassHierarchy, tagging::python_list(classes)},
                              {tagging::kNameScopes, tagging::python_list(names)}};
    const std::string source = entry.at("source");
    if (!source.empty()) tags.emplace_back(tagging::kStackTrace, source);
    tags.emplace_back(tagging::kHierarchyTag, entry.at("hierarchy_tag").get<std::string>());
    return tags;
  }

 private:
  std::map<std::string, std::string> classes_;  // by path
};

tagging::FlowGraph read_hierarchy(const std::string& path) {
  const Json document = Json::parse(read_text(path), nullptr, false);
  if (!document.is_object() || !document.contains("operation_metadata")) {
    throw Error(ErrorKind::unreadable,
                fmt::format("{} is neither an ONNX file nor a hierarchy.json with the single "
                            "operations in it",
                            path));
  }
  try {
    const TagMaker maker(document);
    tagging::FlowGraph flow;
    for (const auto& [name, entry] : document.at("operation_metadata").items()) {
      tagging::FlowNode node{.name = name, .op_type = entry.at("op_type")};
      node.domain = entry.at("domain").get<std::string>();
      node.inputs = entry.at("inputs").get<std::vector<std::string>>();
      node.outputs = entry.at("outputs").get<std::vector<std::string>>();
      if (node.op_type == "Initializer") {
        flow.sources.push_back(name);
        continue;
      }
      node.tags = maker.tags(node, entry);
      flow.nodes.push_back(std::move(node));
    }
    return flow;
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::unreadable,
                fmt::format("{} is no hierarchy.json: {}", path, error.what()));
  }
}

tagging::FlowGraph read_original(const std::string& path) {
  if (path.ends_with(".json") || path.ends_with(".json.gz")) return read_hierarchy(path);
  return onnx::read_flow(path);
}

}  // namespace

RetagReport retag_file(const std::string& optimised, const std::string& from,
                       const std::string& output) {
  tagging::FlowGraph graph = onnx::read_flow(optimised);
  const tagging::FlowGraph original = read_original(from);
  std::vector<tagging::RetaggedNode> nodes = tagging::retag(graph, original);
  RetagReport report{.nodes = nodes.size()};
  for (size_t i = 0; i < nodes.size(); ++i) {
    switch (nodes[i].how) {
      case tagging::Retagged::kept:
        ++report.kept;
        break;
      case tagging::Retagged::same:
        ++report.same;
        break;
      case tagging::Retagged::fused:
        ++report.fused;
        break;
      case tagging::Retagged::by_flow:
        ++report.by_flow;
        break;
      case tagging::Retagged::untagged:
        report.untagged.push_back(graph.nodes[i].name);
        continue;
    }
    graph.nodes[i].tags = std::move(nodes[i].tags);
  }
  if (report.nodes > 0 && report.untagged.size() == report.nodes) {
    throw Error(
        ErrorKind::mismatch,
        fmt::format("{} has no value that {} knows: it was not made from it", optimised, from));
  }
  graph.ports.insert(original.ports.begin(), original.ports.end());  // what it has already stays
  onnx::write_tags(optimised, output, graph);
  return report;
}

}  // namespace modelexport
