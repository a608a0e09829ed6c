#include "exporter/frontend/decomposition.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

namespace modelexport::frontend {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;
namespace tracer = torch::jit::tracer;

// Dispatch keys of kernels that may call other operators.
constexpr c10::DispatchKey kCompositeKeys[] = {c10::DispatchKey::CompositeImplicitAutograd,
                                               c10::DispatchKey::CompositeExplicitAutograd};

// Of LibTorch's operators only: those of other libraries may write memory themselves, whatever key
// they are registered for, and no operator shows it.
std::optional<c10::DispatchKey> composite_key(const c10::OperatorHandle& op) {
  if (!op.operator_name().name.starts_with("aten::")) return std::nullopt;
  for (const c10::DispatchKey key : kCompositeKeys) {
    if (op.hasKernelForDispatchKey(key)) return key;
  }
  return std::nullopt;
}

std::optional<c10::OperatorHandle> handle_of(const torch::jit::Operator& op) {
  return c10::Dispatcher::singleton().findSchema(op.schema().operator_name());
}

// Notices when a kernel makes numbers of what tensors hold, which tracing does not show. What only
// checks them (it has no result) may do so, and so may the operators that are traced.
class DataWatch {
 public:
  DataWatch() : outer_(current_) {
    current_ = this;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(&begin, &end).scopes({at::RecordScope::FUNCTION}));
  }
  ~DataWatch() {
    at::removeCallback(handle_);
    current_ = outer_;
  }
  DataWatch(const DataWatch&) = delete;
  DataWatch& operator=(const DataWatch&) = delete;

  bool data_was_read() const { return read_; }

 private:
  struct Check : at::ObserverContext {};

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    const auto schema = function.operator_schema();
    if (!schema || current_ == nullptr) return nullptr;
    if (schema->returns().empty()) {
      ++current_->checks_;
      return std::make_unique<Check>();
    }
    static constexpr std::string_view kReaders[] = {"aten::_local_scalar_dense", "aten::item",
                                                    "aten::equal", "aten::is_nonzero",
                                                    "aten::allclose"};
    const bool reads =
        std::find(std::begin(kReaders), std::end(kReaders), schema->name()) != std::end(kReaders);
    if (reads && current_->checks_ == 0 && tracer::isTracing()) current_->read_ = true;
    return nullptr;
  }
  static void end(const at::RecordFunction&, at::ObserverContext* context) {
    if (context != nullptr && current_ != nullptr) --current_->checks_;
  }

  static thread_local DataWatch* current_;
  DataWatch* outer_;
  at::CallbackHandle handle_ = 0;
  int checks_ = 0;
  bool read_ = false;
};

thread_local DataWatch* DataWatch::current_ = nullptr;

struct TracingScope {
  explicit TracingScope(std::shared_ptr<tracer::TracingState> state) {
    tracer::setTracingState(std::move(state));
  }
  ~TracingScope() { tracer::setTracingState(nullptr); }
};

// The argument with its tensors replaced by views of their own, which are inputs of the graph: the
// tracer knows tensors by identity.
c10::IValue with_inputs(const c10::IValue& argument, tracer::TracingState& state) {
  if (argument.isTensor() && argument.toTensor().defined()) {
    const at::Tensor tensor = argument.toTensor().alias();
    const bool is_number = argument.toTensor().unsafeGetTensorImpl()->is_wrapped_number();
    if (is_number) tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
    Value* input = state.graph->addInput();
    input->inferTypeFrom(tensor);
    state.setValue(tensor, input);
    return tensor;
  }
  if (argument.isTensorList() || argument.isOptionalTensorList()) {
    c10::impl::GenericList list(argument.toList().elementType());
    for (const c10::IValue& element : argument.toListRef()) {
      list.push_back(with_inputs(element, state));
    }
    return list;
  }
  return argument;
}

bool calls(const Graph& graph, const c10::OperatorName& name) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const Node* node) {
    const auto* schema = node->maybeSchema();
    return schema != nullptr && schema->operator_name() == name;
  });
}

// What the kernel calls for these arguments.
std::shared_ptr<Graph> trace(const c10::OperatorHandle& op, c10::DispatchKey key,
                             const Stack& arguments) {
  auto state = std::make_shared<tracer::TracingState>();
  state->graph = std::make_shared<Graph>();
  state->strict = false;  // lists may be results
  state->enterFrame();
  Stack stack;
  for (const c10::IValue& argument : arguments) stack.push_back(with_inputs(argument, *state));
  const DataWatch watch;
  try {
    const TracingScope scope(state);
    op.callBoxedForDispatchKey(key, stack);
    for (size_t i = 0; i < stack.size(); ++i) {
      state->graph->registerOutput(state->getOutput(stack[i], i));
    }
  } catch (const std::exception&) {  // a result that no operator made
    return nullptr;
  }
  if (watch.data_was_read() || calls(*state->graph, op.operator_name())) return nullptr;
  return state->graph;
}

// ---- the same for other values
// -------------------------------------------------------------------

at::Tensor other_values(const at::Tensor& tensor) {
  if (tensor.is_quantized()) {
    if (tensor.qscheme() != at::kPerTensorAffine) return tensor;
    return at::_make_per_tensor_quantized_tensor(tensor.int_repr().bitwise_not(), tensor.q_scale(),
                                                 tensor.q_zero_point());
  }
  if (tensor.scalar_type() == at::kBool) return tensor.logical_not();
  if (at::isIntegralType(tensor.scalar_type(), false))
    return tensor.sub(tensor.gt(0).to(tensor.scalar_type()));
  return tensor.mul(0.75).add(0.125);
}

c10::IValue other_values(const c10::IValue& argument) {
  if (argument.isTensor() && argument.toTensor().defined())
    return other_values(argument.toTensor());
  if (!argument.isTensorList()) return argument;
  c10::List<at::Tensor> list;
  for (const at::Tensor& tensor : argument.toTensorVector()) list.push_back(other_values(tensor));
  return list;
}

bool same_calls(const Node& a, const Node& b) {
  if (a.kind() != b.kind() || a.inputs().size() != b.inputs().size() ||
      a.outputs().size() != b.outputs().size()) {
    return false;
  }
  const auto* schema = a.maybeSchema();
  const auto* other = b.maybeSchema();
  return (schema == nullptr) == (other == nullptr) && (schema == nullptr || *schema == *other);
}

bool same_value(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) return at::equal(a.toTensor(), b.toTensor());
  if (a.isDouble() && b.isDouble() && std::isnan(a.toDouble())) return std::isnan(b.toDouble());
  return a == b;
}

bool same_graphs(const Graph& a, const Graph& b) {
  return std::equal(a.nodes().begin(), a.nodes().end(), b.nodes().begin(), b.nodes().end(),
                    [](const Node* x, const Node* y) {
                      if (!same_calls(*x, *y)) return false;
                      if (x->kind() != c10::prim::Constant || x->mustBeNone()) return true;
                      return same_value(*torch::jit::toIValue(x->output()),
                                        *torch::jit::toIValue(y->output()));
                    });
}

// Kernels may read memory without any operator. What they make of it would differ for other values;
// those that do not take any others tell nothing.
bool depends_on_values(const c10::OperatorHandle& op, c10::DispatchKey key, const Stack& arguments,
                       const Graph& graph) {
  Stack changed;
  for (const c10::IValue& argument : arguments) changed.push_back(other_values(argument));
  const auto other = trace(op, key, changed);
  return other && !same_graphs(graph, *other);
}

// ---- putting the lanes together -----------------------------------------------------------------

using Sizes = std::vector<int64_t>;  // one number per lane

// A tensor of the graph and where it stands in each lane's.
struct Known {
  Value* value;
  std::vector<Sizes> dims;
};

std::optional<Known> known_sizes(const std::vector<Value*>& values) {
  Known known{values[0], {}};
  for (size_t lane = 0; lane < values.size(); ++lane) {
    const auto type = values[lane]->type()->cast<c10::TensorType>();
    const auto sizes = type ? type->sizes().concrete_sizes() : std::nullopt;
    if (!sizes || (lane > 0 && sizes->size() != known.dims.size())) return std::nullopt;
    known.dims.resize(sizes->size());
    for (size_t i = 0; i < sizes->size(); ++i) known.dims[i].push_back(sizes->at(i));
  }
  return known;
}

Sizes each(const Sizes& a, const Sizes& b, const std::function<int64_t(int64_t, int64_t)>& f) {
  Sizes result;
  for (size_t i = 0; i < a.size(); ++i) result.push_back(f(a[i], b[i]));
  return result;
}

// The number `wanted` as a node before the insert point: a size, the count of elements, a size plus
// or times something constant, or the product of two sizes. nullptr if it is none of those.
Value* size_expression(Graph& graph, const std::vector<Known>& known, const Sizes& wanted) {
  const auto size = [&](const Known& tensor, size_t dim) {
    return graph.insert(c10::aten::size, {tensor.value, static_cast<int64_t>(dim)});
  };
  struct Dim {
    const Known* tensor;
    size_t dim;
    const Sizes& sizes() const { return tensor->dims[dim]; }
  };
  std::vector<Dim> dims;
  for (const Known& tensor : known) {
    for (size_t i = 0; i < tensor.dims.size(); ++i) {
      if (tensor.dims[i] == wanted) return size(tensor, i);
      const Sizes& sizes = tensor.dims[i];
      if (std::adjacent_find(sizes.begin(), sizes.end(), std::not_equal_to<>()) == sizes.end())
        continue;
      const bool seen = std::any_of(dims.begin(), dims.end(),
                                    [&](const Dim& dim) { return dim.sizes() == tensor.dims[i]; });
      if (!seen) dims.push_back({&tensor, i});
    }
  }
  for (const Known& tensor : known) {
    Sizes count(wanted.size(), 1);
    for (const Sizes& dim : tensor.dims) count = each(count, dim, std::multiplies<>());
    if (count == wanted) return graph.insert(c10::aten::numel, {tensor.value});
  }
  for (const Dim& a : dims) {
    for (const Dim& b : dims) {
      if (each(a.sizes(), b.sizes(), std::multiplies<>()) != wanted) continue;
      return graph.insert(c10::aten::mul, {size(*a.tensor, a.dim), size(*b.tensor, b.dim)});
    }
  }
  for (const Dim& a : dims) {
    const int64_t factor = a.sizes()[0] == 0 ? 0 : wanted[0] / a.sizes()[0];
    const Sizes times = each(a.sizes(), a.sizes(), [&](int64_t n, int64_t) { return n * factor; });
    if (times == wanted) return graph.insert(c10::aten::mul, {size(*a.tensor, a.dim), factor});
    const int64_t offset = wanted[0] - a.sizes()[0];
    const Sizes plus = each(a.sizes(), a.sizes(), [&](int64_t n, int64_t) { return n + offset; });
    if (plus == wanted) return graph.insert(c10::aten::add, {size(*a.tensor, a.dim), offset});
  }
  return nullptr;
}

// Makes the number that a constant stands for in the lanes one that holds in all of them.
bool generalize(const std::vector<Node*>& nodes, const std::vector<Known>& known) {
  std::vector<c10::IValue> values;
  for (const Node* node : nodes) values.push_back(torch::jit::toIValue(node->output()).value());
  const auto differs = [&](const c10::IValue& value) { return !same_value(value, values[0]); };
  if (std::none_of(values.begin(), values.end(), differs)) return true;
  Sizes wanted;
  for (const c10::IValue& value : values) {
    if (!value.isInt()) return false;
    wanted.push_back(value.toInt());
  }
  Graph& graph = *nodes[0]->owningGraph();
  const torch::jit::WithInsertPoint here(nodes[0]);
  Value* expression = size_expression(graph, known, wanted);
  if (expression == nullptr) return false;
  nodes[0]->output()->replaceAllUsesWith(expression);
  return true;
}

// graphs[0], changed to hold in all lanes; false if it cannot be.
bool merge(const std::vector<std::shared_ptr<Graph>>& graphs) {
  std::vector<Known> known;
  const auto add = [&](size_t count, const auto& value_in) {
    for (size_t i = 0; i < count; ++i) {
      std::vector<Value*> values;
      for (size_t lane = 0; lane < graphs.size(); ++lane) values.push_back(value_in(lane, i));
      if (auto sizes = known_sizes(values)) known.push_back(std::move(*sizes));
    }
  };
  add(graphs[0]->inputs().size(), [&](size_t lane, size_t i) { return graphs[lane]->inputs()[i]; });
  std::vector<std::vector<Node*>> nodes;  // before any are added
  for (const auto& graph : graphs) nodes.emplace_back(graph->nodes().begin(), graph->nodes().end());
  for (size_t step = 0; step < nodes[0].size(); ++step) {
    std::vector<Node*> row;
    for (const auto& lane : nodes) {
      if (lane.size() != nodes[0].size() || !same_calls(*lane[step], *nodes[0][step])) return false;
      row.push_back(lane[step]);
    }
    if (row[0]->kind() == c10::prim::Constant) {
      if (!row[0]->mustBeNone() && !generalize(row, known)) return false;
      continue;
    }
    add(row[0]->outputs().size(), [&](size_t lane, size_t i) { return row[lane]->outputs()[i]; });
  }
  return true;
}

void collect(const c10::IValue& argument, std::vector<at::Tensor>& tensors) {
  if (argument.isTensor() && argument.toTensor().defined()) tensors.push_back(argument.toTensor());
  if (!argument.isTensorList() && !argument.isOptionalTensorList()) return;
  for (const c10::IValue& element : argument.toListRef()) collect(element, tensors);
}

}  // namespace

bool is_composite(const c10::OperatorHandle& op) { return composite_key(op).has_value(); }

bool is_composite(const torch::jit::Operator& op) {
  const auto handle = handle_of(op);
  return handle && is_composite(*handle);
}

std::vector<at::Tensor> tensors_in(const Stack& arguments) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& argument : arguments) collect(argument, tensors);
  return tensors;
}

std::shared_ptr<Graph> decompose(const torch::jit::Operator& op, const std::vector<Stack>& lanes) {
  const auto handle = handle_of(op);
  const auto key = composite_key(handle.value());
  std::vector<std::shared_ptr<Graph>> graphs;
  for (const Stack& arguments : lanes) {
    graphs.push_back(trace(*handle, key.value(), arguments));
    if (!graphs.back() || graphs.back()->inputs().size() != graphs[0]->inputs().size())
      return nullptr;
  }
  if (depends_on_values(*handle, *key, lanes[0], *graphs[0])) return nullptr;
  return merge(graphs) ? graphs[0] : nullptr;
}

}  // namespace modelexport::frontend
