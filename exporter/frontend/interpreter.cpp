#include "exporter/frontend/interpreter.h"

#include <ATen/core/class_type.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/ir/constants.h>

#include "exporter/error.h"

namespace modelexport::frontend {

using torch::jit::Node;

namespace {

// Instances of C++ classes (torch.classes.*) are opaque; all others have attributes to look into.
bool is_custom_class(const c10::IValue& object) {
  static constexpr std::string_view kPrefix = "__torch__.torch.classes.";
  return object.toObject()->type()->name()->qualifiedName().starts_with(kPrefix);
}

}  // namespace

Interpreter::Interpreter(const Checkpoint& checkpoint, const Examples& examples,
                         const std::set<const void*>& written_weights, const State& state,
                         const IsLowered& is_lowered, bool numbers, const Watch& watch)
    : checkpoint_(checkpoint),
      examples_(examples),
      written_weights_(written_weights),
      state_(state),
      is_lowered_(is_lowered),
      watched_call_(watch.call),
      recorder_(checkpoint, watch.value),
      stand_ins_(checkpoint.mapping, !numbers) {
  WorldSet worlds;
  for (size_t i = 0; i < examples.examples.size(); ++i) {
    worlds.ids.push_back(world_tree_.add_root());
  }
  enter(std::make_shared<const WorldSet>(std::move(worlds)));
  examples_worlds_ = worlds_;
  worlds_changed_ = false;
}

// ---- inputs and outputs
// --------------------------------------------------------------------------------

Program Interpreter::run() {
  const auto method = checkpoint_.module.get_method("forward");
  const auto& formals = method.function().getSchema().arguments();
  auto self = std::make_shared<ModuleRef>();
  self->object = checkpoint_.module._ivalue();
  const ScopeId scope = recorder_.scope(kNone, 0, "", recorder_.program().class_name, "forward");
  recorder_.count_call(0);
  origin_ = recorder_.origin(scope, kNone, "model");

  std::vector<Val> arguments{self};
  for (size_t i = 0; i + 1 < formals.size(); ++i) {
    std::vector<c10::IValue> lanes;
    for (const Example& example : examples_.examples) lanes.push_back(example.arguments.at(i));
    arguments.push_back(input(lanes, formals[i + 1].name(), false));
  }
  add_state_inputs();
  Program& program = recorder_.program();
  for (const Port& port : program.inputs) {  // dimensions that the user gave no name
    const Shape& shape = program.values[port.value].shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      recorder_.name_symbol(shape[axis], fmt::format("{}_dim{}", port.name, axis));
    }
  }
  const Val returned = call_function(method.function(), std::move(arguments), scope, {});
  program.outputs = ports_of_result(returned, Known::included);
  find_changed_containers();
  if (program.outputs.empty()) {
    throw Error(ErrorKind::unsupported, "forward returns nothing that ONNX can express");
  }
  std::set<std::string> names;
  for (const Port& port : program.inputs) names.insert(port.name);
  add_state_outputs();
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    Port& port = program.outputs[i];
    port.position = i;
    // An output may be called as an input is, which ONNX does not allow.
    const std::string wanted = port.name;
    for (int number = 1; !names.insert(port.name).second; ++number) {
      port.name = fmt::format("{}_{}", wanted, number);
    }
    const Shape& shape = program.values[port.value].shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      recorder_.name_symbol(shape[axis], fmt::format("{}_dim{}", port.name, axis));
    }
  }
  for (size_t i = 0; i < program.symbols.size(); ++i) {
    recorder_.name_symbol(symbol_dim(i), fmt::format("s{}", i));
  }
  warn_of_complex_ports();
  for (const Port& port : program.inputs) program.body.inputs.push_back(port.value);
  for (const Port& port : program.outputs) program.body.outputs.push_back(port.value);
  program.scopes[scope].inputs = program.inputs;
  program.scopes[scope].outputs = program.outputs;
  return recorder_.take();
}

// ---- calls
// ------------------------------------------------------------------------------------------------

Val Interpreter::call_function(torch::jit::Function& function, std::vector<Val> arguments,
                               ScopeId scope, const Source& callers) {
  const auto& graph = torch::jit::toGraphFunction(function).graph();
  Frame frame{.scope = scope, .callers = &callers, .function = function.name()};
  const auto& formals = function.getSchema().arguments();
  for (size_t i = arguments.size(); i < formals.size(); ++i) {
    arguments.push_back(constant(formals[i].default_value().value()));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    set(frame, graph->inputs()[i], std::move(arguments[i]));
  }
  run_nodes(graph->block(), frame);
  if (graph->outputs().size() == 1) return get(frame, graph->outputs()[0]);
  auto tuple = std::make_shared<TupleVal>();
  for (const auto* output : graph->outputs()) tuple->elements.push_back(get(frame, output));
  return tuple;
}

Val Interpreter::call_source(const std::string& source, std::vector<Val> arguments,
                             const Frame& frame, const Source& callers) {
  auto& unit = compiled_[source];
  if (!unit) {
    unit = std::make_shared<torch::jit::CompilationUnit>();
    unit->define(std::nullopt, source, torch::jit::nativeResolver(), nullptr);
  }
  return call_function(*unit->get_functions().at(0), std::move(arguments), frame.scope, callers);
}

Val Interpreter::call_method(const Node* node, const std::string& name, std::vector<Val> arguments,
                             Frame& frame) {
  if (const auto* object = known(arguments.at(0)); object != nullptr && object->isObject()) {
    return call_custom_class(node, name, arguments, frame);
  }
  const auto* target = get_if<ModuleRef>(arguments.at(0));
  if (target == nullptr) {
    throw Error(ErrorKind::internal,
                "a method of something that is no object: " + place_of(node, frame));
  }
  const auto& object = (*target)->object;
  auto& function = object->type()->getMethod(name);
  const Source callers = source_of(node, frame);
  const ModuleId module = recorder_.module_of(object.get());
  if (module == kNone) return call_function(function, std::move(arguments), frame.scope, callers);
  auto& program = recorder_.program();
  // Another method of the module that is running already is part of the same call.
  const bool same = program.scopes[frame.scope].path == (*target)->path && name != "forward";
  const ModuleId at_path = recorder_.module_at((*target)->path);
  const ModuleId called = at_path != kNone ? at_path : module;
  recorder_.count_call(called);
  if (same) return call_function(function, std::move(arguments), frame.scope, callers);

  const ScopeId scope = recorder_.scope(frame.scope, called, (*target)->path,
                                        program.modules[called].class_name, name);
  const auto& formals = function.getSchema().arguments();
  std::vector<Port> inputs;
  for (size_t i = 1; i < arguments.size(); ++i) {
    add_ports(arguments[i], formals.at(i).name(), inputs, Known::left_out);
  }
  program.scopes[scope].callers = callers.size();
  program.scopes[scope].inputs = std::move(inputs);
  watch_call(**target, name, arguments);
  Val returned = call_function(function, std::move(arguments), scope, callers);
  program.scopes[scope].outputs = ports_of_result(returned, Known::left_out);
  return returned;
}

void Interpreter::run_nodes(const torch::jit::Block* block, Frame& frame) {
  const LastUses& last_uses = last_uses_of(block);
  for (Node* node : const_cast<torch::jit::Block*>(block)->nodes()) {
    run_node(node, frame);
    if (const auto used = last_uses.find(node); used != last_uses.end()) {
      for (const auto* value : used->second) frame.values.erase(value);
    }
  }
}

void Interpreter::run_node(Node* node, Frame& frame) {
  if (run_structural(node, frame)) return;
  if (run_container(node, frame)) return;
  run_operator(node, inputs_of(node, frame), frame);
}

// Values that a block defines, by the node after which nothing reads them any more. Those it
// returns are not among them.
const Interpreter::LastUses& Interpreter::last_uses_of(const torch::jit::Block* block) {
  const auto [found, is_new] = last_uses_.try_emplace(block);
  if (!is_new) return found->second;
  const auto add = [&](const torch::jit::Value* value, const Node* last) {
    for (const auto& use : value->uses()) {
      const Node* user = use.user;
      while (user->owningBlock() != block) user = user->owningBlock()->owningNode();
      if (user == block->return_node()) return;
      if (last == nullptr || user->isAfter(last)) last = user;
    }
    if (last != nullptr) found->second[last].push_back(value);
  };
  for (const auto* input : block->inputs()) add(input, nullptr);
  for (const Node* node : block->nodes()) {
    for (const auto* output : node->outputs()) add(output, node);
  }
  return found->second;
}

// ---- values of a frame
// --------------------------------------------------------------------------------------

Val Interpreter::get(Frame& frame, const torch::jit::Value* value) {
  const auto found = frame.values.find(value);
  if (found != frame.values.end()) {
    adopt(found->second);
    return found->second;
  }
  throw Error(ErrorKind::internal,
              fmt::format("value %{} of {} was not computed", value->debugName(), frame.function));
}

void Interpreter::set(Frame& frame, const torch::jit::Value* value, Val val) {
  frame.values.insert_or_assign(value, std::move(val));
}

std::vector<Val> Interpreter::inputs_of(const Node* node, Frame& frame) {
  std::vector<Val> result;
  result.reserve(node->inputs().size());
  for (const auto* value : node->inputs()) result.push_back(get(frame, value));
  return result;
}

Val Interpreter::weight(const at::Tensor& tensor) {
  const TensorId id = recorder_.weight(tensor);
  if (id == kNone) return constant(tensor);
  auto& cell = weights_[id];
  if (!cell) {
    cell = std::make_shared<TensorCell>();
    cell->value = recorder_.weight_value(id);
    cell->known = cell->from_weights = true;
    cell->base = std::make_shared<AliasBase>();
    if (tensor.is_quantized()) cell->quantization = quantization_of(tensor);
    cell->worlds = examples_worlds_;  // it may be first read where only some worlds are current
    const bool written = written_weights_.contains(tensor.storage().data());
    for (size_t lane = 0; lane < examples_.examples.size(); ++lane) {
      cell->lanes.push_back(written ? tensor.detach().clone() : tensor.detach());
    }
  }
  adopt(Val(cell));
  return cell;
}

Val Interpreter::constant(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor tensor = value.toTensor();
    if (!tensor.defined()) return c10::IValue();
    if (recorder_.weight(tensor) != kNone) return weight(tensor);
    std::vector<at::Tensor> lanes;
    const bool is_number = tensor.unsafeGetTensorImpl()->is_wrapped_number();
    for (size_t lane = 0; lane < lanes_; ++lane) {
      lanes.push_back(tensor.detach().clone());
      if (is_number) lanes.back().unsafeGetTensorImpl()->set_wrapped_number(true);
    }
    return new_tensor(std::move(lanes), false, false);
  }
  if (value.isList()) {
    auto list = std::make_shared<ListVal>();
    list->element_type = value.toList().elementType();
    for (const auto& element : value.toListRef()) list->elements.push_back(constant(element));
    return list;
  }
  if (value.isTuple()) {
    auto tuple = std::make_shared<TupleVal>();
    tuple->type = value.type();
    for (const auto& element : value.toTupleRef().elements()) {
      tuple->elements.push_back(constant(element));
    }
    return tuple;
  }
  if (value.isGenericDict()) {
    auto dict = std::make_shared<DictVal>();
    const auto entries = value.toGenericDict();
    dict->key_type = entries.keyType();
    dict->value_type = entries.valueType();
    for (const auto& entry : entries) {
      dict->entries.emplace_back(constant(entry.key()), constant(entry.value()));
    }
    return dict;
  }
  if (value.isObject() && !is_custom_class(value)) {
    auto object = std::make_shared<ModuleRef>();
    object->object = value.toObject();
    return object;
  }
  return value;
}

Val Interpreter::attribute(const std::shared_ptr<ModuleRef>& module, const std::string& name) {
  Val result = attribute({module->object.get(), name});
  if (const auto* child = get_if<ModuleRef>(result); child && (*child)->path.empty()) {
    (*child)->path = module->path.empty() ? name : module->path + "." + name;
  }
  return result;
}

Val Interpreter::attribute(const Attributes::key_type& slot) {
  const auto overlaid = attributes_.find(slot);
  if (overlaid != attributes_.end()) {
    adopt(overlaid->second);
    return overlaid->second;
  }
  const c10::IValue value = slot.first->getAttr(slot.second);
  if (value.isTensor() && value.toTensor().defined()) return weight(value.toTensor());
  const Val result = constant(value);
  // Lists and dicts are references: every reader must see the same one.
  if (get_if<ModuleRef>(result)) return result;
  attributes_[slot] = result;
  note_container(slot, result);
  return result;
}

void Interpreter::set_attribute(const std::shared_ptr<ModuleRef>& module, const std::string& name,
                                Val value) {
  state_changed({module->object.get(), name});
  attributes_[{module->object.get(), name}] = std::move(value);
}

// ---- where a node comes from
// ---------------------------------------------------------------------------------

Source Interpreter::source_of(const Node* node, const Frame& frame) const {
  if (frame.decomposed != nullptr) node = frame.decomposed;
  Source frames = frame.callers != nullptr ? *frame.callers : Source{};
  auto range = node->sourceRange();
  if (auto original = range.findSourceRangeThatGenerated()) range = *original;
  // Calls in traced code have no line of their own.
  if (const auto place = range.file_line_col(); place && !std::get<0>(*place).empty()) {
    const auto& [file, line, column] = *place;
    const auto slash = file.rfind('/');
    frames.push_back({slash == std::string::npos ? file : file.substr(slash + 1),
                      static_cast<int64_t>(line), frame.function});
  }
  return frames;
}

OriginId Interpreter::origin_of(const Node* node, Frame& frame) {
  if (frame.decomposed != nullptr) return frame.origin;
  const SourceId source = recorder_.source(source_of(node, frame));
  return recorder_.origin(frame.scope, source, node->kind().toQualString());
}

std::string Interpreter::place_of(const Node* node, const Frame& frame) const {
  const Scope& scope = const_cast<Interpreter*>(this)->recorder_.program().scopes[frame.scope];
  const Source source = source_of(node, frame);
  const std::string module = scope.path.empty()
                                 ? fmt::format("the root module ({})", scope.class_name)
                                 : fmt::format("{} ({})", scope.path, scope.class_name);
  if (source.empty()) return "in " + module;
  return fmt::format("in {}, {}:{}", module, source.back().file, source.back().line);
}

}  // namespace modelexport::frontend
