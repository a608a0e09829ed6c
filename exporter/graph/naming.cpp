#include "exporter/graph/naming.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "exporter/graph/literal.h"
#include "exporter/graph/scopes.h"

namespace modelexport::graph {
namespace {

// ---- outputs that no node of their block makes --------------------------------------------------

class OutputIsolation {
 public:
  explicit OutputIsolation(Graph& graph) : graph_(graph) {}

  // `origin`, `tag` and `scope` are those of the Identities.
  void isolate(Block& block, OriginId origin, TagKind tag, ScopeId scope = kNone) {
    for (Node& node : block.nodes) {
      for (Attribute& attribute : node.attributes) {
        auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (inner) isolate(**inner, node.origin, node.tag, node.scope);
      }
    }
    std::unordered_set<ValueId> own;  // made by a node here and not yet an output
    for (const Node& node : block.nodes) own.insert(node.outputs.begin(), node.outputs.end());
    for (ValueId& output : block.outputs) {
      if (own.erase(output) != 0) continue;
      graph_.values.push_back(graph_.values[output]);
      const auto copy = static_cast<ValueId>(graph_.values.size() - 1);
      block.nodes.push_back({.op_type = "Identity",
                             .inputs = {output},
                             .outputs = {copy},
                             .origin = origin,
                             .tag = tag,
                             .scope = scope});
      output = copy;
    }
  }

 private:
  Graph& graph_;
};

// ---- names --------------------------------------------------------------------------------------

class Names {
 public:
  // `wanted`, or with the first of _1, _2... that makes it unique.
  std::string unique(const std::string& wanted) {
    if (used_.insert(wanted).second) return wanted;
    for (size_t& count = next_[wanted];;) {
      std::string name = fmt::format("{}_{}", wanted, ++count);
      if (used_.insert(name).second) return name;
    }
  }

 private:
  std::unordered_set<std::string> used_;
  std::unordered_map<std::string, size_t> next_;
};

// "int64_-1", "float32_0.5", "int64_0_2_1d": type and contents of constants that are that short.
std::optional<std::string> short_constant(const TensorData& tensor) {
  constexpr int64_t kMostElements = 4;
  const auto* bytes = std::get_if<std::string>(&tensor.data);
  if (!bytes || tensor.dtype == DType::string || is_complex(tensor.dtype)) return std::nullopt;
  const int64_t count = element_count(tensor);
  if (count == 0 || count > kMostElements || tensor.dims.size() > 1) return std::nullopt;
  std::string name(modelexport::name(tensor.dtype));
  for (int64_t i = 0; i < count; ++i) {
    const Number number = element_at(*bytes, tensor.dtype, static_cast<size_t>(i));
    // A float32 is printed as one: "0.1", not the digits of the nearest double.
    name += tensor.dtype == DType::f32
                ? fmt::format("_{}", static_cast<float>(std::get<double>(number)))
                : std::visit([](auto v) { return fmt::format("_{}", v); }, number);
  }
  return tensor.dims.empty() ? name : name + "_1d";
}

class Namer {
 public:
  Namer(Graph& graph, const Program& program)
      : graph_(graph), program_(program), scope_names_(program.scopes.size()) {}

  // The body of a function, in which names begin at the call that it was made of.
  void run(Function& function) {
    scope_names_[function.scope] = "";
    const auto name_ports = [&](const std::vector<ValueId>& values,
                                std::vector<std::string>& names) {
      for (size_t i = 0; i < values.size(); ++i) {
        name_value(values[i], names[i]);
        names[i] = name_of(values[i]);
      }
    };
    name_ports(graph_.body.inputs, function.inputs);
    name_ports(graph_.body.outputs, function.outputs);
    for (const Node& node : graph_.body.nodes) {
      if (node.op_type == "Constant") {
        name_constant(node.outputs[0], std::get<TensorData>(node.attributes[0].value));
      }
    }
    name_nodes(graph_.body);
  }

  void run() {
    for (size_t i = 0; i < graph_.body.inputs.size(); ++i) {
      name_value(graph_.body.inputs[i], program_.inputs.at(i).name);
    }
    for (const Initializer& initializer : graph_.initializers) name_initializer(initializer);
    for (size_t i = 0; i < graph_.body.outputs.size(); ++i) {
      name_value(graph_.body.outputs[i], program_.outputs.at(i).name);
    }
    name_nodes(graph_.body);
  }

 private:
  std::string& name_of(ValueId id) { return graph_.values[id].name; }

  void name_value(ValueId id, const std::string& wanted) {
    name_of(id) = value_names_.unique(wanted);
  }

  void name_initializer(const Initializer& initializer) {
    const auto* id = std::get_if<modelexport::TensorId>(&initializer.tensor.data);
    if (id && !program_.tensors[*id].name.empty()) {
      name_value(initializer.value, program_.tensors[*id].name);
    } else {
      name_constant(initializer.value, initializer.tensor);
    }
  }

  // Others are named by the node that uses (or makes) them first.
  void name_constant(ValueId id, const TensorData& tensor) {
    if (const std::optional<std::string> name = short_constant(tensor)) name_value(id, *name);
  }

  void name_nodes(Block& block) {
    for (Node& node : block.nodes) {
      node.name = node_names_.unique(
          node.call != kNone ? scope_name(node.call)
                             : scope_name(scope_of(node, program_)) + "/" + node.op_type);
      for (ValueId input : node.inputs) {
        if (input != kNone && name_of(input).empty()) name_value(input, node.name + "_constant");
      }
      for (Attribute& attribute : node.attributes) {
        auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (inner) name_inner(node, attribute.name, **inner);
      }
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        const ValueId output = node.outputs[i];
        if (output != kNone && name_of(output).empty()) {
          name_value(output, fmt::format("{}_output_{}", node.name, i));
        }
      }
    }
  }

  void name_inner(const Node& node, const std::string& attribute, Block& block) {
    for (size_t i = 0; i < block.inputs.size(); ++i) {
      name_value(block.inputs[i], fmt::format("{}_{}_input_{}", node.name, attribute, i));
    }
    name_nodes(block);
  }

  // "/encoder/layer.0"; the second call of the same module is another scope: "/encoder/layer.0_1".
  const std::string& scope_name(ScopeId id) {
    std::optional<std::string>& name = scope_names_[id];
    if (name) return *name;
    const Scope& scope = program_.scopes[id];
    const std::string parent = scope.parent == kNone ? "" : scope_name(scope.parent);
    const std::string_view parent_path =
        scope.parent == kNone ? "" : std::string_view(program_.scopes[scope.parent].path);
    std::string_view segment = scope.path;
    if (segment == parent_path) return *(name = parent);  // another method of the same module
    if (!parent_path.empty() && segment.starts_with(parent_path) &&
        segment.substr(parent_path.size()).starts_with('.')) {
      segment.remove_prefix(parent_path.size() + 1);
    }
    return *(name = scopes_.unique(fmt::format("{}/{}", parent, segment)));
  }

  Graph& graph_;
  const Program& program_;
  std::vector<std::optional<std::string>> scope_names_;
  Names scopes_, node_names_, value_names_;
};

// An operator of the entry's own forward if there is one; root nodes belong to it either way.
OriginId root_origin(const Program& program) {
  for (size_t i = 0; i < program.origins.size(); ++i) {
    if (program.origins[i].scope == program.entry) return static_cast<OriginId>(i);
  }
  return 0;
}

// Functions have no initializers: constants are nodes, of the call that uses them first.
void make_constants_nodes(Graph& body) {
  std::unordered_map<ValueId, const Node*> users;
  const auto find_users = [&](const auto& self, const Block& block, const Node* owner) -> void {
    for (const Node& node : block.nodes) {
      const Node* user = owner ? owner : &node;
      for (const ValueId id : node.inputs) users.emplace(id, user);
      for (const Attribute& attribute : node.attributes) {
        const auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
        if (inner) self(self, **inner, user);
      }
    }
    for (const ValueId id : block.outputs) {
      if (owner) users.emplace(id, owner);
    }
  };
  find_users(find_users, body.body, nullptr);
  std::vector<Node> constants;
  for (Initializer& initializer : body.initializers) {
    const Node& user = *users.at(initializer.value);
    constants.push_back({.op_type = "Constant",
                         .outputs = {initializer.value},
                         .attributes = {{"value", std::move(initializer.tensor)}},
                         .origin = user.origin,
                         .tag = user.call != kNone ? TagKind::merged : user.tag,
                         .scope = user.scope});
  }
  body.initializers.clear();
  body.body.nodes.insert(body.body.nodes.begin(), std::make_move_iterator(constants.begin()),
                         std::make_move_iterator(constants.end()));
}

void assign_names(Function& function, const Program& program) {
  Graph& body = *function.body;
  const OriginId origin = body.body.nodes.empty() ? 0 : body.body.nodes[0].origin;
  OutputIsolation(body).isolate(body.body, origin, TagKind::merged, function.scope);
  make_constants_nodes(body);
  Namer(body, program).run(function);
}

}  // namespace

void assign_names(Graph& graph, const Program& program) {
  OutputIsolation(graph).isolate(graph.body, root_origin(program), TagKind::root);
  Namer(graph, program).run();
  for (Function& function : graph.functions) assign_names(function, program);
}

}  // namespace modelexport::graph
