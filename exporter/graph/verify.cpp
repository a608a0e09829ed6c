#include "exporter/graph/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/graph/op_signatures.h"

namespace modelexport::graph {
namespace {

class Verifier {
 public:
  Verifier(const Graph& graph, const Program& program)
      : graph_(graph),
        program_(program),
        defined_(graph.values.size()),
        visible_(graph.values.size()) {}

  std::vector<std::string> run() {
    for (const Initializer& initializer : graph_.initializers) {
      define(initializer.value, "initializers");
      check_data(initializer);
    }
    check_block(graph_.body, "body");
    check_names();
    return std::move(problems_);
  }

 private:
  template <typename... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  static std::string quoted(const Node& node) {
    return node.name.empty() ? node.op_type : fmt::format("{} '{}'", node.op_type, node.name);
  }

  void define(ValueId id, const std::string& where) {
    if (id >= graph_.values.size()) return report("{}: there is no value {}", where, id);
    if (defined_[id]) report("{}: value {} is defined twice", where, id);
    defined_[id] = visible_[id] = true;
    in_sight_.push_back(id);
    if (graph_.values[id].dtype == DType::undefined) report("{}: value {} has no dtype", where, id);
  }

  void use(ValueId id, const std::string& where) {
    if (id >= graph_.values.size()) return report("{}: there is no value {}", where, id);
    if (!visible_[id]) report("{}: value {} is used before it is defined", where, id);
  }

  void check_data(const Initializer& initializer) {
    const TensorData& data = initializer.tensor;
    if (const auto* bytes = std::get_if<std::string>(&data.data)) {
      size_t expected = byte_size(data.dtype);
      for (int64_t dim : data.dims) expected *= static_cast<size_t>(dim);
      if (data.dtype != DType::string && bytes->size() != expected) {
        report("initializers: value {} has {} bytes instead of {}", initializer.value,
               bytes->size(), expected);
      }
    } else if (std::get<modelexport::TensorId>(data.data) >= program_.tensors.size()) {
      report("initializers: value {} has no tensor in the program", initializer.value);
    }
  }

  void check_block(const Block& block, const std::string& where) {
    const size_t outer = in_sight_.size();
    for (ValueId id : block.inputs) define(id, where + " inputs");
    for (const Node& node : block.nodes) check_node(node, where);
    for (ValueId id : block.outputs) use(id, where + " outputs");
    if (&block == &graph_.body) return;
    for (size_t i = outer; i < in_sight_.size(); ++i) visible_[in_sight_[i]] = false;
    in_sight_.resize(outer);
  }

  void check_node(const Node& node, const std::string& where) {
    const std::string place = fmt::format("{}: {}", where, quoted(node));
    for (ValueId id : node.inputs) {
      if (id != kNone) use(id, place);
    }
    for (const Attribute& attribute : node.attributes) {
      if (const auto* block = std::get_if<std::shared_ptr<Block>>(&attribute.value)) {
        check_block(**block, place + " " + attribute.name);
      }
    }
    for (ValueId id : node.outputs) {
      if (id != kNone) define(id, place);
    }
    if (node.origin >= program_.origins.size()) report("{} has no origin", place);
    check_signature(node, place);
  }

  void check_signature(const Node& node, const std::string& place) {
    if (!node.domain.empty()) return;
    const OpSignature* signature = find_signature(node.op_type);
    if (!signature) return report("{} is not an ONNX operator", place);
    if (signature->since > graph_.opset) {
      report("{} exists since opset {}, not in {}", place, signature->since, graph_.opset);
    }
    const auto fits = [](size_t count, int least, int most) {
      return static_cast<int>(count) >= least && static_cast<int>(count) <= most;
    };
    if (!fits(node.inputs.size(), signature->min_inputs, signature->max_inputs)) {
      report("{} has {} inputs", place, node.inputs.size());
    }
    if (!fits(node.outputs.size(), signature->min_outputs, signature->max_outputs)) {
      report("{} has {} outputs", place, node.outputs.size());
    }
    const size_t required =
        std::min<size_t>(node.inputs.size(), static_cast<size_t>(signature->min_inputs));
    for (size_t i = 0; i < required; ++i) {
      // Loop's limit and condition are optional though something follows them.
      if (node.inputs[i] == kNone && node.op_type != "Loop") report("{} lacks input {}", place, i);
    }
  }

  void check_names() {
    std::unordered_set<std::string> seen;
    for (size_t id = 0; id < graph_.values.size(); ++id) {
      const std::string& name = graph_.values[id].name;
      if (defined_[id] && !name.empty() && !seen.insert(name).second) {
        report("two values are named '{}'", name);
      }
    }
    seen.clear();
    check_node_names(graph_.body, seen);
  }

  void check_node_names(const Block& block, std::unordered_set<std::string>& seen) {
    for (const Node& node : block.nodes) {
      if (!node.name.empty() && !seen.insert(node.name).second) {
        report("two nodes are named '{}'", node.name);
      }
      for (const Attribute& attribute : node.attributes) {
        const auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (inner) check_node_names(**inner, seen);
      }
    }
  }

  const Graph& graph_;
  const Program& program_;
  std::vector<bool> defined_;      // anywhere, by value
  std::vector<bool> visible_;      // at the place the walk has come to
  std::vector<ValueId> in_sight_;  // the visible ones, in order of definition
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> find_problems(const Graph& graph, const Program& program) {
  return Verifier(graph, program).run();
}

void verify(const Graph& graph, const Program& program, std::string_view when) {
  const std::vector<std::string> problems = find_problems(graph, program);
  if (problems.empty()) return;
  throw Error(ErrorKind::internal, fmt::format("the graph is not sound after {}:\n  {}", when,
                                               fmt::join(problems, "\n  ")));
}

}  // namespace modelexport::graph
