#include "exporter/frontend/live_module.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/profiling_graph_executor_impl.h>
#include <torch/version.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "exporter/error.h"
#include "exporter/frontend/checkpoint.h"
#include "exporter/frontend/examples.h"
#include "exporter/frontend/host_values.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/meta_kernels.h"
#include "exporter/frontend/module_state.h"
#include "exporter/frontend/selected_call.h"
#include "exporter/frontend/torchvision.h"
#include "exporter/program/part.h"

namespace modelexport::frontend {
namespace {

constexpr int kMaxRestarts = 1000;

// Flattens what forward returns in the order of Program::outputs (see Interpreter::output), with
// lists as one value where `sequences` says so.
void flatten_output(const c10::IValue& value, std::vector<HostValue>& flat,
                    const std::vector<bool>& sequences = {}) {
  const size_t first = flat.size();
  if (value.isTensor() && value.toTensor().defined()) {
    flat.push_back(host_value("", value.toTensor()));
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) {
      flatten_output(element, flat, sequences);
    }
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) flatten_output(element, flat, sequences);
    if (first >= sequences.size() || !sequences[first]) return;
    HostValue sequence{"", true, {}};
    for (size_t i = first; i < flat.size(); ++i) {
      sequence.tensors.push_back(std::move(flat[i].tensors.at(0)));
    }
    flat.resize(first);
    flat.push_back(std::move(sequence));
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) flatten_output(entry.value(), flat, sequences);
  } else if (value.isBool() || value.isInt() || value.isDouble() || value.isComplexDouble()) {
    flat.push_back(host_value("", value));
  }
}

// LibTorch's warnings are for those who write the module: deprecated operators, above all.
class Silence : public c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

void load_library(const std::string& path) {
  const auto fail = [&](std::string_view why) {
    throw Error(ErrorKind::usage, fmt::format("cannot load the library {}: {}", path, why));
  };
  // A file in the working folder comes before what the loader's path has of that name.
  std::error_code ignored;
  const bool is_file = std::filesystem::exists(path, ignored);
  const std::string file = is_file ? std::filesystem::absolute(path).string() : path;
  try {
    if (dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) fail(dlerror());
  } catch (const c10::Error& error) {  // of registering what is there already
    fail(error.what_without_backtrace());
  }
}

Checkpoint load(const std::string& path, const std::vector<std::string>& libraries) {
  // One thread: the walk consists of many tiny operators, for which more only wait for each other.
  at::set_num_threads(1);
  // oneDNN's LSTM writes beyond its outputs where the hidden size is small (seen with 4).
  at::globalContext().setUserEnabledMkldnn(false);
  const auto& engines = at::globalContext().supportedQEngines();
  if (std::find(engines.begin(), engines.end(), at::QEngine::FBGEMM) != engines.end()) {
    at::globalContext().setQEngine(at::QEngine::FBGEMM);  // the default one may choose oneDNN
  }
  static Silence silence;
  c10::WarningUtils::set_warning_handler(&silence);
  torch::jit::setGraphExecutorOptimize(false);
  torch::jit::getExecutorMode() = false;
  for (const auto& library : libraries) load_library(library);
  register_torchvision();
  register_meta_kernels();
  Checkpoint checkpoint = load_checkpoint(path);
  if (!checkpoint.module.find_method("forward")) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: the module has no method forward to export", path));
  }
  return checkpoint;
}

// Adds what forward changes: to `state` what is to be ports, to `written` the storages of weights
// that it writes to besides.
Program walk(const Checkpoint& checkpoint, const Examples& examples, const IsLowered& is_lowered,
             const Interpreter::Watch& watch, State& state, std::set<const void*>& written) {
  // Whether what is computed from large weights is asked for, or the walk depends on it.
  bool numbers = watch.value || watch.call;
  for (int attempt = 0; attempt < kMaxRestarts; ++attempt) {
    try {
      const Examples calls =
          state.slots.empty() ? examples : examples_of_calls(checkpoint.module, examples, state);
      return Interpreter(checkpoint, calls, written, state, is_lowered, numbers, watch).run();
    } catch (const WeightWritten& weight) {
      const bool is_port =
          state.as_ports && state.add_in_storage(checkpoint.module, weight.storage);
      if (!is_port) written.insert(weight.storage);
    } catch (const StateChanged& changed) {
      state.add(changed.slot);
    } catch (const NeedsNumbers&) {
      numbers = true;
    }
  }
  throw Error(ErrorKind::internal, "the walk does not settle which weights forward writes to");
}

}  // namespace

// What select() chose: what it gets, and the whole that gives it.
struct Selected {
  SelectedCall call;
  std::vector<Port> ports;          // its inputs
  std::vector<Value> whole_inputs;  // of the model
};

struct LiveModule::Impl {
  Checkpoint checkpoint;
  Examples examples;
  State state;
  IsLowered is_lowered;
  std::optional<Selected> selected;
  std::vector<bool> sequences;  // which outputs of the trace are lists of unknown length

  torch::jit::Method forward() const { return checkpoint.module.get_method("forward"); }
  const c10::FunctionSchema& schema() const { return forward().function().getSchema(); }

  const Examples& given() const {
    if (examples.examples.empty()) throw Error(ErrorKind::internal, "set_examples was not called");
    return examples;
  }

  std::optional<std::pair<int64_t, int64_t>> range_of(const std::string& input) const {
    const auto range = examples.ranges.find(input);
    return range == examples.ranges.end() ? std::nullopt : std::optional(range->second);
  }

  // For input `index`: what it is a size of, or else something between what it is in the examples.
  at::Tensor make_number(size_t index, const Value& value, const std::vector<int64_t>& symbol_sizes,
                         uint64_t seed) const {
    std::vector<at::Tensor> seen;
    std::string name;
    for (const Example& example : examples.examples) {
      const FlatInput input = flatten(schema(), example).at(index);
      seen.push_back(input.tensor);
      name = input.name;
    }
    const auto range = range_of(name);
    if (value.size && !is_static(*value.size) && !range) {
      return at::scalar_tensor(symbol_sizes.at(symbol_index(*value.size)), at::kLong);
    }
    const at::Tensor all = at::stack(seen);
    if (!at::isFloatingType(all.scalar_type()) || range) return make_like(all, {}, seed, range);
    const at::Tensor share = make_like(all, {}, seed, std::pair(0, 1));
    return all.min() + (all.max() - all.min()) * share;
  }

  Program walk(const Examples& on, const Interpreter::Watch& watch) {
    const at::NoGradGuard no_grad;
    std::set<const void*> written;
    Program program = frontend::walk(checkpoint, on, is_lowered, watch, state, written);
    for (const auto& name : names_in(written)) program.warnings.push_back(state_warning(name));
    return program;
  }

  Program walk_selected();

  c10::IValue run(const std::vector<HostValue>& inputs) const {
    if (selected) {
      const torch::jit::Module module(selected->call.object);
      return module.get_method(selected->call.method)(
          selected->call.with_inputs(selected->ports, inputs));
    }
    std::vector<at::Tensor> tensors;
    const auto like = flatten(schema(), given().examples[0]);
    for (size_t i = 0; i < inputs.size(); ++i) {
      tensors.push_back(value_of(inputs[i], like.at(i).tensor).toTensor());
    }
    return forward()(unflatten(schema(), given().examples[0], tensors).arguments);
  }

  // Names of the weights that lie in `storages`.
  std::vector<std::string> names_in(const std::set<const void*>& storages) const {
    std::vector<std::string> names;
    const auto collect = [&](const auto& tensors) {
      for (const auto& tensor : tensors) {
        if (tensor.value.has_storage() && storages.contains(tensor.value.storage().data())) {
          names.push_back(tensor.name);
        }
      }
    };
    collect(checkpoint.module.named_parameters());
    collect(checkpoint.module.named_buffers());
    return names;
  }
};

LiveModule::LiveModule(const std::string& path, const std::vector<std::string>& libraries)
    : impl_(new Impl{load(path, libraries), {}, {}, {}, {}, {}}) {}
LiveModule::~LiveModule() = default;
LiveModule::LiveModule(LiveModule&&) noexcept = default;

void LiveModule::set_examples(const InputOptions& options) {
  const at::NoGradGuard no_grad;
  const Checkpoint& checkpoint = impl_->checkpoint;
  impl_->state = {.as_ports = options.state_as_ports};
  // A walk does not read large weights, as running forward does.
  const QuickTrial walks = [&checkpoint](const Example& example) {
    try {
      State as_it_is;
      std::set<const void*> written;
      const IsLowered undecomposed = [](const std::string&) { return true; };
      const Example constants{example.arguments, {}};  // no branch but those it takes
      walk(checkpoint, {.examples = {constants}}, undecomposed, {}, as_it_is, written);
      return std::optional(true);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::usage ? std::optional(false) : std::nullopt;
    }
  };
  Examples& examples = impl_->examples;
  examples = make_examples(checkpoint.module, options, checkpoint.traced_inputs, walks);
  if (options.dynamic_auto) {
    examples = find_dynamic_dims(checkpoint.module, std::move(examples), options.seed, walks);
  }
}

std::string LiveModule::signature() const { return signature_text(impl_->schema()); }

Program LiveModule::tree() const { return Recorder(impl_->checkpoint).take(); }

void LiveModule::select(const std::string& path) {
  require_module(tree(), path);
  impl_->selected.emplace();
  impl_->selected->call.path = path;
}

// Of the selected module alone.
Program LiveModule::Impl::walk_selected() {
  auto& [call, ports, whole_inputs] = *selected;
  call = {.path = call.path};
  Program whole = walk(given(), {.call = &call});
  const ScopeId scope = first_call(whole, call.path);
  whole_inputs.clear();
  for (const Port& port : whole.inputs) whole_inputs.push_back(whole.values[port.value]);
  ports = whole.scopes[scope].inputs;
  const auto& scopes = whole.scopes;
  const auto calls = std::count_if(scopes.begin(), scopes.end(),
                                   [&](const Scope& other) { return other.path == call.path; });
  if (calls > 1) {
    whole.warnings.push_back(fmt::format(
        "{} is called {} times; what is looked at alone is the first call", call.path, calls));
  }
  return part_of(std::move(whole), scope);
}

Program LiveModule::trace(const IsLowered& is_lowered) {
  impl_->is_lowered = is_lowered;
  Program program = impl_->selected ? impl_->walk_selected() : impl_->walk(impl_->given(), {});
  impl_->sequences.clear();
  for (const Port& port : program.outputs) {
    impl_->sequences.push_back(program.values[port.value].kind == Kind::sequence);
  }
  return program;
}

std::map<ValueId, HostValue> LiveModule::values(const std::vector<ValueId>& wanted) {
  const std::set<ValueId> ids(wanted.begin(), wanted.end());
  std::map<ValueId, HostValue> values;
  const ValueObserver observer = [&](ValueId id, const c10::IValue& value) {
    if (ids.contains(id)) values[id] = host_value("", value);
  };
  impl_->walk(impl_->given(), {.value = observer});
  return values;
}

size_t LiveModule::example_count() const { return impl_->given().examples.size(); }

std::vector<HostValue> LiveModule::example(size_t index) const {
  const auto& selected = impl_->selected;
  if (selected && selected->call.found()) return selected->call.inputs(selected->ports, index);
  std::vector<HostValue> values;
  for (const auto& input : flatten(impl_->schema(), impl_->given().examples.at(index))) {
    values.push_back(host_value(input.name, input.tensor));
  }
  return values;
}

std::vector<HostValue> LiveModule::make_inputs(const Program& program,
                                               const std::vector<int64_t>& symbol_sizes,
                                               uint64_t seed) const {
  std::vector<at::Tensor> made;
  const Example& like = impl_->given().examples[0];
  const auto flat = flatten(impl_->schema(), like);
  for (size_t i = 0; i < flat.size(); ++i) {
    const Value& value = impl_->selected ? impl_->selected->whole_inputs.at(i)
                                         : program.values[program.inputs.at(i).value];
    if (flat[i].is_number) {
      made.push_back(impl_->make_number(i, value, symbol_sizes, seed + i));
      continue;
    }
    std::vector<int64_t> sizes;
    for (Dim dim : value.shape)
      sizes.push_back(is_static(dim) ? dim : symbol_sizes.at(symbol_index(dim)));
    if (value.is_complex) sizes.pop_back();
    made.push_back(make_like(flat[i].tensor, sizes, seed + i, impl_->range_of(flat[i].name)));
  }
  if (impl_->selected) {
    SelectedCall call{.path = impl_->selected->call.path};
    impl_->walk({.examples = {unflatten(impl_->schema(), like, made)}}, {.call = &call});
    if (!call.found()) {
      throw Error(ErrorKind::usage, fmt::format("the model does not call {}", call.path));
    }
    return call.inputs(impl_->selected->ports, 0);
  }
  std::vector<HostValue> values;
  for (size_t i = 0; i < flat.size(); ++i) values.push_back(host_value(flat[i].name, made[i]));
  return values;
}

std::vector<HostValue> LiveModule::run(const std::vector<HostValue>& inputs) const {
  return run_in_a_row(inputs, 1)[0];
}

std::vector<std::vector<HostValue>> LiveModule::run_in_a_row(const std::vector<HostValue>& inputs,
                                                             size_t count) const {
  const at::NoGradGuard no_grad;
  const ModuleState saved(impl_->checkpoint.module);
  std::vector<std::vector<HostValue>> calls;
  try {
    for (size_t call = 0; call < count; ++call) {
      std::vector<HostValue> outputs;
      flatten_output(impl_->run(inputs), outputs, impl_->sequences);
      for (HostValue& value : state()) outputs.push_back(std::move(value));
      calls.push_back(std::move(outputs));
    }
  } catch (const std::exception& error) {
    saved.restore();
    throw Error(ErrorKind::usage, "the module raises: " + reason_of(error));
  }
  saved.restore();
  return calls;
}

std::vector<HostValue> LiveModule::state() const {
  std::vector<HostValue> values;
  if (impl_->selected) return values;
  std::set<const void*> seen;  // attributes that are one tensor
  for (const StateSlot& slot : impl_->state.slots) {
    const c10::IValue value = slot.object->getAttr(slot.attribute);
    const bool is_tensor = value.isTensor() && value.toTensor().defined();
    if (is_tensor && !seen.insert(value.toTensor().unsafeGetTensorImpl()).second) continue;
    flatten_output(value, values);
  }
  return values;
}

std::string torch_version() { return TORCH_VERSION; }

}  // namespace modelexport::frontend
