#include "exporter/graph/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "exporter/graph/body_key.h"
#include "exporter/graph/call_units.h"
#include "exporter/graph/passes/replacements.h"
#include "exporter/graph/passes/run_passes.h"
#include "exporter/graph/scopes.h"
#include "exporter/graph/uses.h"

namespace modelexport::graph {
namespace {

class Outliner {
 public:
  Outliner(Graph& graph, const Program& program) : top_(graph), program_(program) {
    for (const GivenFunction& given : graph.given_functions)
      names_.emplace(given.domain, given.name);
  }

  void run() {
    Weights weights;
    for (const Initializer& initializer : top_.initializers) {
      const auto* id = std::get_if<modelexport::TensorId>(&initializer.tensor.data);
      if (id) weights[initializer.value] = program_.tensors[*id].name;
    }
    const Surroundings around(top_, weights);
    outline(around, top_.body, program_.entry);
    run_passes(top_, program_);
  }

 private:
  using Weights = std::unordered_map<ValueId, std::string>;  // and what they are called

  // The graph that calls are taken out of.
  struct Surroundings {
    Surroundings(Graph& of, const Weights& with) : graph(of), weights(with) {
      for (const Initializer& initializer : of.initializers) {
        if (std::holds_alternative<std::string>(initializer.tensor.data))
          constants.emplace(initializer.value, initializer.tensor);
      }
    }
    Graph& graph;
    const Weights& weights;
    std::unordered_map<ValueId, TensorData> constants;  // small ones
  };

  // The call, directly within `own`, that the node is part of; kNone if it is of `own` itself.
  ScopeId call_of(const Node& node, ScopeId own) const {
    ScopeId below = kNone;
    for (ScopeId id = scope_of(node, program_); id != kNone; id = program_.scopes[id].parent) {
      if (id == own) return below;
      below = id;
    }
    return kNone;
  }

  void outline(const Surroundings& around, Block& block, ScopeId own) {
    std::vector<Unit> units;
    for (Node& node : block.nodes) {
      const ScopeId call = call_of(node, own);
      if (call == kNone) outline_blocks(around, node, own);
      if (call == kNone || units.empty() || units.back().call != call) units.push_back({call, {}});
      units.back().nodes.push_back(std::move(node));
    }
    merge_units(units);

    std::unordered_map<ValueId, size_t> last_use;  // unit
    for (size_t i = 0; i < units.size(); ++i) {
      for (Node& node : units[i].nodes) {
        for_each_use(node, [&](ValueId id) { last_use[id] = i; });
      }
    }
    for (const ValueId id : block.outputs) last_use[id] = units.size();

    block.nodes.clear();
    Replacements replacements(around.graph.values.size());
    for (size_t i = 0; i < units.size(); ++i) {
      for (Node& node : units[i].nodes) {
        for_each_use(node, [&](ValueId& id) { id = replacements.of(id); });
      }
      if (units[i].call == kNone) {
        block.nodes.push_back(std::move(units[i].nodes[0]));
        continue;
      }
      const auto is_output = [&](ValueId id) {
        const auto use = last_use.find(id);
        return use != last_use.end() && use->second > i;
      };
      add_call(around, block, std::move(units[i]), own, is_output, replacements);
    }
    replacements.apply(block.outputs);
    replacements.apply(around.graph.of_program);
  }

  void outline_blocks(const Surroundings& around, Node& node, ScopeId own) {
    for (Attribute& attribute : node.attributes) {
      auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
      if (inner) outline(around, **inner, own);
    }
  }

  // ---- one call ---------------------------------------------------------------------------------

  struct Body {
    Graph graph;
    Weights weights;
    std::vector<ValueId> arguments, results;  // outside, of its inputs and outputs
    std::unordered_map<ValueId, ValueId> inside;
  };

  template <typename IsOutput>
  void add_call(const Surroundings& around, Block& block, Unit unit, ScopeId own,
                const IsOutput& is_output, Replacements& replacements) {
    const ScopeId call = unit.call;
    const OriginId origin = unit.nodes[0].origin;
    Body body = take_body(around, std::move(unit), is_output);
    outline(Surroundings(body.graph, body.weights), body.graph.body, call);
    run_passes(body.graph, program_);
    pass_through(body, replacements);
    drop_unused_inputs(body);
    if (body.results.empty()) return;
    const Function& function = function_of(std::move(body.graph), body.weights, call);
    block.nodes.push_back({.op_type = function.name,
                           .domain = function.domain,
                           .inputs = std::move(body.arguments),
                           .outputs = std::move(body.results),
                           .origin = origin,
                           .scope = own,
                           .call = call});
  }

  template <typename IsOutput>
  static Body take_body(const Surroundings& around, Unit unit, const IsOutput& is_output) {
    const Graph& graph = around.graph;
    Body body;
    body.graph.opset = graph.opset;
    body.graph.custom_domains = graph.custom_domains;
    for (Node& node : unit.nodes) {
      for (const ValueId id : node.outputs) {
        if (id != kNone && is_output(id)) body.results.push_back(id);
      }
      for_each_definition(node, [&](ValueId& id) { id = add_value(graph, body, id); });
    }
    std::vector<ValueId> parameters;
    for (Node& node : unit.nodes) {
      for_each_use(node, [&](ValueId& id) {
        const auto known = body.inside.find(id);
        if (known != body.inside.end()) {
          id = known->second;
          return;
        }
        const ValueId outside = id;
        id = add_value(graph, body, outside);
        if (const auto at = around.constants.find(outside); at != around.constants.end()) {
          body.graph.initializers.push_back({id, at->second});
        } else if (const auto weight = around.weights.find(outside);
                   weight != around.weights.end()) {
          body.weights[id] = weight->second;
          parameters.push_back(outside);
        } else {
          body.arguments.push_back(outside);
        }
      });
    }
    body.arguments.insert(body.arguments.end(), parameters.begin(), parameters.end());
    for (const ValueId id : body.arguments) body.graph.body.inputs.push_back(body.inside.at(id));
    for (const ValueId id : body.results) body.graph.body.outputs.push_back(body.inside.at(id));
    body.graph.body.nodes = std::move(unit.nodes);
    for (const ValueId id : graph.of_program) {
      const auto known = body.inside.find(id);
      body.graph.of_program.push_back(known == body.inside.end() ? kNone : known->second);
    }
    return body;
  }

  static ValueId add_value(const Graph& graph, Body& body, ValueId id) {
    const auto inside = static_cast<ValueId>(body.graph.values.size());
    body.graph.values.push_back(graph.values[id]);
    body.inside.emplace(id, inside);
    return inside;
  }

  // What the body gives back as it is needs no function.
  static void pass_through(Body& body, Replacements& replacements) {
    Block& block = body.graph.body;
    std::vector<ValueId> outputs, results;
    for (size_t i = 0; i < block.outputs.size(); ++i) {
      const auto input = std::find(block.inputs.begin(), block.inputs.end(), block.outputs[i]);
      if (input != block.inputs.end()) {
        replacements.replace(body.results[i], body.arguments[input - block.inputs.begin()]);
      } else {
        outputs.push_back(block.outputs[i]);
        results.push_back(body.results[i]);
      }
    }
    block.outputs = std::move(outputs);
    body.results = std::move(results);
  }

  static void drop_unused_inputs(Body& body) {
    std::unordered_set<ValueId> used;
    for (Node& node : body.graph.body.nodes) {
      for_each_use(node, [&](ValueId id) { used.insert(id); });
    }
    std::vector<ValueId> inputs, arguments;
    for (size_t i = 0; i < body.arguments.size(); ++i) {
      if (!used.contains(body.graph.body.inputs[i])) continue;
      inputs.push_back(body.graph.body.inputs[i]);
      arguments.push_back(body.arguments[i]);
    }
    body.graph.body.inputs = std::move(inputs);
    body.arguments = std::move(arguments);
  }

  // ---- functions --------------------------------------------------------------------------------

  const Function& function_of(Graph body, const Weights& weights, ScopeId call) {
    const auto [known, is_new] =
        known_.try_emplace(body_key(body, program_, call), top_.functions.size());
    if (!is_new) return top_.functions[known->second];
    const std::string& class_name = program_.scopes[call].class_name;
    const size_t dot = class_name.rfind('.');
    Function function{.scope = call};
    // TorchScript leaves out the package that Python gives to what is in no package.
    function.domain = dot == std::string::npos ? "__main__" : class_name.substr(0, dot);
    const std::string name = class_name.substr(dot == std::string::npos ? 0 : dot + 1);
    function.name = name;
    int& number = numbers_[class_name];
    while (!names_.insert({function.domain, function.name}).second)
      function.name = fmt::format("{}_{}", name, ++number);

    const Scope& scope = program_.scopes[call];
    for (const ValueId id : body.body.inputs) {
      const auto weight = weights.find(id);
      function.inputs.push_back(weight == weights.end() || weight->second.empty()
                                    ? port_name(body, id, scope.inputs, "input")
                                    : std::string(relative_path(weight->second, scope.path)));
    }
    for (const ValueId id : body.body.outputs) {
      function.outputs.push_back(port_name(body, id, scope.outputs, "output"));
    }
    function.body = std::make_shared<Graph>(std::move(body));
    top_.functions.push_back(std::move(function));
    return top_.functions.back();
  }

  static std::string port_name(const Graph& body, ValueId id, const std::vector<Port>& ports,
                               const char* otherwise) {
    for (const Port& port : ports) {
      if (body.of_program[port.value] == id && !port.name.empty()) return port.name;
    }
    return otherwise;
  }

  Graph& top_;
  const Program& program_;
  std::map<std::string, size_t> known_;                  // functions, by contents
  std::set<std::pair<std::string, std::string>> names_;  // domains and names
  std::map<std::string, int> numbers_;                   // given last, by class
};

}  // namespace

void outline_calls(Graph& graph, const Program& program) { Outliner(graph, program).run(); }

}  // namespace modelexport::graph
