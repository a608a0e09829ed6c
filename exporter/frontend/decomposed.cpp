// Operators that have no lowering, walked as the operators that LibTorch's kernel of them calls.
#include "exporter/frontend/decomposition.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

// The tensors of an argument, in the order of tensors_in().
void collect_cells(const Val& val, std::vector<Val>& cells) {
  if (get_if<TensorCell>(val)) cells.push_back(val);
  if (const auto* list = get_if<ListVal>(val)) {
    for (const Val& element : (*list)->elements) collect_cells(element, cells);
  }
}

// Whether a number was given that the decomposition would take for a constant. One that differs in
// the lanes is found again among the sizes, or the decomposition fails.
bool has_number_from_data(const Val& val, const Program& program) {
  if (const auto* number = get_if<SymbolicNumber>(val))
    return !program.values[(*number)->value].size;
  const auto* list = get_if<ListVal>(val);
  if (list == nullptr) return get_if<OptionalVal>(val) != nullptr;
  return (*list)->sequence ||
         std::any_of((*list)->elements.begin(), (*list)->elements.end(),
                     [&](const Val& element) { return has_number_from_data(element, program); });
}

bool same(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) {
    const at::Tensor &x = a.toTensor(), &y = b.toTensor();
    if (!x.defined() || !y.defined()) return x.defined() == y.defined();
    if (x.sizes() != y.sizes() || x.scalar_type() != y.scalar_type()) return false;
    if (x.is_quantized()) return same(x.dequantize(), y.dequantize());
    return at::allclose(x, y, 1e-5, 1e-8, true);
  }
  if (a.isList() && b.isList()) {
    return std::equal(a.toListRef().begin(), a.toListRef().end(), b.toListRef().begin(),
                      b.toListRef().end(), same);
  }
  return a == b;
}

}  // namespace

bool Interpreter::run_decomposed(Node* node, const NodeInfo& info, const std::vector<Val>& inputs,
                                 const std::vector<std::vector<c10::IValue>>& results,
                                 Frame& frame) {
  for (const Val& input : inputs) {
    if (has_number_from_data(input, recorder_.program())) return false;
  }
  // What the operator calls is found, and compared with the operator, by what tensors hold.
  std::vector<torch::jit::Stack> lanes(lanes_);
  for (size_t lane = 0; lane < lanes_; ++lane) {
    for (const Val& input : inputs) {
      lanes[lane].push_back(in_lane(input, lane));
      stand_ins_.require_numbers(lanes[lane].back());
    }
    for (const auto& result : results) stand_ins_.require_numbers(result[lane]);
  }
  const auto graph = decompose(*info.op, lanes);
  if (!graph) return false;
  decompositions_.push_back(graph);
  Frame inner{.scope = frame.scope,
              .callers = frame.callers,
              .function = frame.function,
              .decomposed = frame.decomposed != nullptr ? frame.decomposed : node,
              .origin = origin_of(node, frame)};
  std::vector<Val> tensors;
  for (const Val& input : inputs) collect_cells(input, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) set(inner, graph->inputs()[i], tensors[i]);
  run_nodes(graph->block(), inner);
  std::vector<Val> outputs;
  for (size_t i = 0; i < results.size(); ++i) {
    outputs.push_back(get(inner, graph->outputs()[i]));
    for (size_t lane = 0; lane < lanes_ && !info.random; ++lane) {
      const c10::IValue output = in_lane(outputs[i], lane);
      stand_ins_.require_numbers(output);
      if (!same(output, results[i][lane])) return false;
    }
  }
  for (size_t i = 0; i < outputs.size(); ++i) set(frame, node->output(i), outputs[i]);
  return true;
}

}  // namespace modelexport::frontend
