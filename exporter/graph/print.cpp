#include "exporter/graph/print.h"

#include <fmt/format.h>

#include <algorithm>

#include "exporter/graph/literal.h"

namespace modelexport::graph {
namespace {

class Printer {
 public:
  Printer(const Graph& graph, const Program& program)
      : graph_(graph), program_(program), constants_(graph.values.size()) {
    for (const Initializer& initializer : graph.initializers) {
      constants_[initializer.value] = &initializer.tensor;
    }
  }

  std::string run() {
    for (ValueId id : graph_.body.inputs) line(0, "input " + typed(id));
    print(graph_.body, 0);
    for (ValueId id : graph_.body.outputs) line(0, "output " + reference(id));
    return std::move(text_);
  }

 private:
  void line(int depth, const std::string& content) {
    text_ += fmt::format("{:{}}{}\n", "", 2 * depth, content);
  }

  void print(const Block& block, int depth) {
    for (const Node& node : block.nodes) {
      line(depth, text(node));
      for (const Attribute& attribute : node.attributes) {
        const auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (!inner) continue;
        line(depth + 1,
             fmt::format("{}({}):", attribute.name, list((*inner)->inputs, &Printer::typed)));
        print(**inner, depth + 2);
        line(depth + 2, fmt::format("-> {}", list((*inner)->outputs, &Printer::reference)));
      }
    }
  }

  std::string text(const Node& node) const {
    std::vector<std::string> attributes;
    for (const Attribute& attribute : node.attributes) {
      if (std::holds_alternative<std::shared_ptr<Block>>(attribute.value)) continue;
      attributes.push_back(
          attribute.name + "=" +
          std::visit([&](const auto& value) { return text(value); }, attribute.value));
    }
    const std::string domain = node.domain.empty() ? "" : node.domain + ".";
    std::string call =
        fmt::format("{}{}({})", domain, node.op_type, list(node.inputs, &Printer::reference));
    if (!attributes.empty()) call += fmt::format(" {{{}}}", fmt::join(attributes, ", "));
    return fmt::format("{} = {}", list(node.outputs, &Printer::typed), call);
  }

  // ---- attributes
  std::string text(int64_t value) const { return std::to_string(value); }
  std::string text(float value) const { return fmt::format("{}", value); }
  std::string text(const std::string& value) const { return fmt::format("'{}'", value); }
  template <typename T>
  std::string text(const std::vector<T>& values) const {
    std::vector<std::string> texts;
    for (const T& value : values) texts.push_back(text(value));
    return fmt::format("[{}]", fmt::join(texts, ","));
  }
  std::string text(const std::shared_ptr<Block>&) const { return {}; }

  std::string text(const TensorData& tensor) const {
    constexpr int64_t kMostElements = 16;
    const auto* bytes = std::get_if<std::string>(&tensor.data);
    if (!bytes) {
      const auto id = std::get<modelexport::TensorId>(tensor.data);
      const std::string& name = program_.tensors[id].name;
      return name.empty() ? fmt::format("${}", id) : "$" + name;
    }
    const int64_t count = element_count(tensor);
    if (tensor.dtype == DType::string || tensor.dims.size() > 1 || count > kMostElements) {
      return fmt::format("constant {}[{}]", name(tensor.dtype), fmt::join(tensor.dims, ","));
    }
    std::vector<std::string> elements;
    for (int64_t i = 0; i < count; ++i) {
      const Number number = element_at(*bytes, tensor.dtype, static_cast<size_t>(i));
      elements.push_back(std::visit([](auto value) { return fmt::format("{}", value); }, number));
    }
    const std::string contents = fmt::format("{}", fmt::join(elements, ","));
    return fmt::format("{}:{}", tensor.dims.empty() ? contents : "[" + contents + "]",
                       name(tensor.dtype));
  }

  // ---- values
  std::string reference(ValueId id) const {
    if (id == kNone) return "_";
    if (constants_[id]) return text(*constants_[id]);
    const std::string& name = graph_.values[id].name;
    return name.empty() ? fmt::format("%{}", id) : name;
  }

  std::string typed(ValueId id) const {
    if (id == kNone) return "_";
    const Value& value = graph_.values[id];
    std::string dims = "?";
    if (value.shape) {
      std::vector<std::string> texts;
      for (modelexport::Dim dim : *value.shape) {
        texts.push_back(is_static(dim) ? std::to_string(dim)
                                       : program_.symbols[symbol_index(dim)].name);
      }
      dims = fmt::format("{}", fmt::join(texts, ","));
    }
    return fmt::format("{}: {}{}[{}]", reference(id),
                       value.kind == modelexport::Kind::sequence ? "sequence of " : "",
                       name(value.dtype), dims);
  }

  std::string list(const std::vector<ValueId>& ids,
                   std::string (Printer::*print)(ValueId) const) const {
    std::vector<std::string> texts;
    for (ValueId id : ids) texts.push_back((this->*print)(id));
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  const Graph& graph_;
  const Program& program_;
  std::vector<const TensorData*> constants_;  // by value
  std::string text_;
};

}  // namespace

std::string to_string(const Graph& graph, const Program& program) {
  return Printer(graph, program).run();
}

}  // namespace modelexport::graph
