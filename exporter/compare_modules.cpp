#include "exporter/compare_modules.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/export.h"
#include "exporter/graph/functions.h"
#include "exporter/lower_program.h"
#include "exporter/lowering/lower.h"
#include "exporter/onnx/expose.h"
#include "exporter/onnx/reader.h"
#include "exporter/quantization_steps.h"
#include "exporter/runtime/session.h"

namespace modelexport {
namespace {

using analysis::Difference;

int opset_of(const onnx::ModelFile& file) {
  for (const auto& [domain, version] : file.opsets) {
    if (domain.empty()) return static_cast<int>(version);
  }
  return 0;
}

graph::Graph graph_of(Program program, const onnx::ModelFile& file) {
  return lower_program(program, {.opset = opset_of(file),
                                 .on_unsupported = lowering::OnUnsupported::skip,
                                 .functions = std::any_of(
                                     file.functions.begin(), file.functions.end(),
                                     [](const auto& function) { return function.is_module_call; })})
      .graph;
}

// The calls within each call, in order.
std::vector<std::vector<ScopeId>> children_of(const Program& program) {
  std::vector<std::vector<ScopeId>> children(program.scopes.size());
  for (ScopeId id = 0; id < program.scopes.size(); ++id) {
    if (program.scopes[id].parent != kNone) children[program.scopes[id].parent].push_back(id);
  }
  return children;
}

class ModuleComparison {
 public:
  ModuleComparison(frontend::LiveModule& module, const Program& program,
                   const std::string& onnx_path, const std::string& runtime)
      : module_(module),
        program_(program),
        path_(onnx_path),
        runtime_(runtime),
        file_(onnx::read_model(onnx_path)),
        graph_(graph_of(program, file_)),
        children_(children_of(program)),
        steps_(program) {
    note_nodes(file_.graph);
    note_loops(program.body, kNone);
    graph::for_each_body(graph_, program,
                         [&](const graph::ExpandedBody& body) { name_values(body); });
  }

  ModuleNumbers run() {
    std::vector<ValueId> passed_on;
    for (const Scope& scope : program_.scopes) {
      for (const auto* ports : {&scope.inputs, &scope.outputs}) {
        for (const Port& port : *ports) passed_on.push_back(port.value);
      }
    }
    compare(passed_on);
    if (differences_.empty()) {
      throw Error(ErrorKind::usage,
                  fmt::format("no value of {} has a name that modelexport gives; modules can be "
                              "compared only in files that it wrote",
                              path_));
    }
    result_.inputs = describe_inputs(module_.example(0));
    visit(program_.entry, 0);
    if (failing_ != kNone) find_operator();
    return std::move(result_);
  }

 private:
  // Finds out what the values are called in the file. A function stands for several calls, whose
  // values are those of the call that it was made of, in the same order.
  void name_values(const graph::ExpandedBody& body) {
    const std::vector<ValueId> made_of = values_of(body.made_of), here = values_of(body.call);
    if (made_of.size() != here.size()) return;
    const auto is_port = [&](graph::ValueId id) {  // of a function: the call's names count
      const auto holds = [&](const auto& ports) {
        return std::find(ports.begin(), ports.end(), id) != ports.end();
      };
      return body.call != kNone &&
             (holds(body.graph.body.inputs) || holds(body.graph.body.outputs));
    };
    for (size_t i = 0; i < here.size(); ++i) {
      const graph::ValueId holder = body.graph.of_program[made_of[i]];
      if (holder == kNone || is_port(holder)) continue;
      const std::string& name = body.graph.values[holder].name;
      const bool separate = body.call != kNone && !name.starts_with('/');
      if (name.empty()) continue;
      holders_.try_emplace(here[i], onnx::ExposedValue{body.prefix + (separate ? "/" : "") + name,
                                                       body.graph.values[holder].dtype});
    }
  }

  void note_nodes(const onnx::GraphView& graph) {
    for (const onnx::NodeView& node : graph.nodes) {
      for (const std::string& output : node.outputs) node_of_.emplace(output, node.name);
      for (const auto& [attribute, block] : node.subgraphs) note_nodes(block);
    }
  }

  // The calls that happen within loops; `within` is the call that has the outermost of them.
  void note_loops(const Block& block, ScopeId within) {
    for (const Op& op : block.ops) {
      const ScopeId own = program_.origins[op.origin].scope;
      if (within != kNone) {
        for (ScopeId at = own; at != within; at = program_.scopes[at].parent) in_loop_.insert(at);
      }
      const bool begins = within == kNone && program_.schemas[op.schema].key == "prim::Loop";
      for (const Block& inner : op.blocks) note_loops(inner, begins ? own : within);
    }
  }

  // In the order in which they are done; those of blocks before what the blocks belong to.
  template <typename Visit>
  static void for_each_op(const Block& block, const Visit& visit) {
    for (const Op& op : block.ops) {
      for (const Block& inner : op.blocks) for_each_op(inner, visit);
      visit(op);
    }
  }

  // All values that a call gets, makes and gives; kNone: all there are.
  std::vector<ValueId> values_of(ScopeId call) const {
    std::vector<ValueId> values;
    if (call == kNone) {
      for (ValueId id = 0; id < program_.values.size(); ++id) values.push_back(id);
      return values;
    }
    const Scope& scope = program_.scopes[call];
    for (const Port& port : scope.inputs) values.push_back(port.value);
    for_each_op(program_.body, [&](const Op& op) {
      if (!is_within(program_.origins[op.origin].scope, call)) return;
      for (const Block& block : op.blocks)
        values.insert(values.end(), block.inputs.begin(), block.inputs.end());
      std::copy_if(op.outputs.begin(), op.outputs.end(), std::back_inserter(values),
                   [](ValueId id) { return id != kNone; });
    });
    for (const Port& port : scope.outputs) values.push_back(port.value);
    return values;
  }

  bool is_within(ScopeId scope, ScopeId call) const {
    while (scope != kNone && scope != call) scope = program_.scopes[scope].parent;
    return scope == call;
  }

  // Adds to `differences_` what can be said of these values.
  void compare(const std::vector<ValueId>& wanted) {
    std::map<std::string, ValueId> by_name;
    std::vector<onnx::ExposedValue> exposing;
    for (const ValueId id : wanted) {
      const auto holder = holders_.find(id);
      if (holder == holders_.end() || differences_.contains(id)) continue;
      exposing.push_back(holder->second);
      by_name.emplace(holder->second.name, id);
    }
    const onnx::ExposedModel exposed = onnx::expose_values(path_, exposing);
    if (exposed.outputs.empty()) return;
    const runtime::Session session(path_, {.library = runtime_, .model_bytes = exposed.bytes});
    std::vector<HostValue> found = session.run(module_.example(0));
    std::map<ValueId, HostValue> expected = module_.values(wanted);
    std::map<std::string, Difference> by_holder;
    for (size_t i = 0; i < found.size(); ++i) {
      const auto live = expected.find(by_name.at(exposed.outputs[i]));
      if (live == expected.end()) continue;
      if (exposed.is_inner[i]) {
        if (live->second.is_sequence || found[i].tensors.empty()) continue;
        found[i].is_sequence = false;
      }
      live->second.name = exposed.outputs[i];
      std::vector<Difference> parts = analysis::compare({live->second}, {found[i]}, {});
      if (parts.empty()) continue;  // an empty sequence
      if (!live->second.is_sequence && !found[i].is_sequence)
        steps_.allow(parts[0], live->first, live->second.tensors[0], found[i].tensors[0]);
      const auto worst = std::find_if(parts.begin(), parts.end(),
                                      [](const Difference& part) { return !part.matches; });
      by_holder.emplace(exposed.outputs[i], worst == parts.end() ? parts[0] : *worst);
    }
    for (const ValueId id : wanted) {
      const auto holder = holders_.find(id);
      if (holder == holders_.end()) continue;
      const auto at = by_holder.find(holder->second.name);
      if (at != by_holder.end()) differences_.emplace(id, at->second);
    }
    steps_.allow_more(differences_);
  }

  std::vector<Difference> differences_at(const std::vector<Port>& ports) const {
    std::vector<Difference> out;
    for (const Port& port : ports) {
      const auto at = differences_.find(port.value);
      if (at == differences_.end()) continue;
      out.push_back(at->second);
      out.back().name = port.name.empty() ? "output" : port.name;
    }
    return out;
  }

  // In the order in which things happen: a call begins, those within it happen, it ends.
  void visit(ScopeId id, int depth) {
    const Scope& scope = program_.scopes[id];
    const size_t index = result_.calls.size();
    result_.calls.push_back({.call = id,
                             .depth = depth,
                             .number = ++calls_[scope.path],
                             .in_loop = in_loop_.contains(id),
                             .inputs = differences_at(scope.inputs),
                             .outputs = differences_at(scope.outputs)});
    note(result_.calls[index].inputs, scope.parent);
    for (const ScopeId child : children_[id]) visit(child, depth + 1);
    note(result_.calls[index].outputs, id);
    const CallNumbers& call = result_.calls[index];
    if (failing_ == kNone && call.compared()) settled_.insert(id);
  }

  // The first values that differ were made in `call`, after everything that is settled.
  void note(const std::vector<Difference>& differences, ScopeId call) {
    if (failing_ != kNone) return;
    for (const Difference& difference : differences) {
      if (difference.matches) continue;
      failing_ = call;
      result_.first = FirstDifference{.call = call, .difference = difference};
      return;
    }
  }

  // Looks at each operator of the failing call that no settled call encloses.
  void find_operator() {
    std::vector<const Op*> candidates;
    std::vector<ValueId> results;
    for_each_op(program_.body, [&](const Op& op) {
      ScopeId scope = program_.origins[op.origin].scope;
      while (scope != kNone && scope != failing_ && !settled_.contains(scope)) {
        scope = program_.scopes[scope].parent;
      }
      if (scope != failing_) return;
      candidates.push_back(&op);
      results.insert(results.end(), op.outputs.begin(), op.outputs.end());
    });
    std::erase(results, kNone);
    compare(results);
    for (const Op* op : candidates) {
      for (const ValueId output : op->outputs) {
        const auto at = differences_.find(output);
        if (at == differences_.end() || at->second.matches) continue;
        const ScopeId call = program_.origins[op->origin].scope;
        result_.first = {call, op->origin, node_of_[holders_.at(output).name], at->second};
        return;
      }
    }
  }

  frontend::LiveModule& module_;
  const Program& program_;
  const std::string& path_;
  const std::string& runtime_;
  const onnx::ModelFile file_;
  const graph::Graph graph_;
  const std::vector<std::vector<ScopeId>> children_;
  const QuantizationSteps steps_;
  std::unordered_map<std::string, std::string> node_of_;  // by value of the file
  std::map<ValueId, onnx::ExposedValue> holders_;         // what they are in the file
  std::map<ValueId, Difference> differences_;
  std::map<std::string, int> calls_;  // by path
  std::unordered_set<ScopeId> settled_, in_loop_;
  ScopeId failing_ = kNone;
  ModuleNumbers result_;
};

}  // namespace

ModuleNumbers compare_modules(frontend::LiveModule& module, const Program& program,
                              const std::string& onnx_path, const std::string& runtime) {
  return ModuleComparison(module, program, onnx_path, runtime).run();
}

std::string describe(const FirstDifference& first, const Program& program) {
  Difference of = first.difference;
  of.name.clear();
  const std::string numbers = analysis::describe(of).substr(2);  // without ": " of the name
  if (first.origin == kNone) {
    const Scope& scope = program.scopes[first.call];
    return fmt::format("{} ({}), {}: {}", scope.path.empty() ? "the model" : scope.path,
                       scope.class_name, first.difference.name, numbers);
  }
  return fmt::format("{}, {}, node {}: {}", lowering::place(program, first.origin),
                     program.origins[first.origin].op, first.node, numbers);
}

}  // namespace modelexport
