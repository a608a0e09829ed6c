// Nodes that LibTorch has an operator for: run in every lane, recorded if the result depends on
// inputs or is a tensor that later operators may use.
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <unordered_set>

#include "exporter/error.h"
#include "exporter/frontend/constant_numbers.h"
#include "exporter/frontend/decomposition.h"
#include "exporter/frontend/functional_twin.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

// Operators that look only at shapes, dtypes and the like of their tensor arguments.
bool is_metadata_only(const std::string& name) {
  static const std::unordered_set<std::string> kNames = {"aten::size",
                                                         "aten::sym_size",
                                                         "aten::dim",
                                                         "aten::stride",
                                                         "aten::sym_stride",
                                                         "aten::numel",
                                                         "aten::sym_numel",
                                                         "aten::is_floating_point",
                                                         "aten::is_complex",
                                                         "aten::is_signed",
                                                         "aten::is_contiguous",
                                                         "aten::storage_offset",
                                                         "aten::element_size",
                                                         "aten::get_device",
                                                         "aten::is_same_size",
                                                         "aten::q_per_channel_axis",
                                                         "aten::qscheme",
                                                         "aten::result_type",
                                                         "aten::can_cast",
                                                         "aten::promote_types",
                                                         "aten::requires_grad",
                                                         "aten::is_leaf",
                                                         "aten::is_conj",
                                                         "aten::is_neg",
                                                         "aten::is_inference",
                                                         "aten::is_pinned",
                                                         "aten::is_nested",
                                                         "aten::has_torch_function",
                                                         "aten::is_autocast_enabled",
                                                         "aten::is_grad_enabled",
                                                         "aten::_has_compatible_shallow_copy_type",
                                                         "aten::is_distributed",
                                                         "prim::device",
                                                         "prim::dtype",
                                                         "prim::layout",
                                                         "prim::shape",
                                                         "prim::is_cuda",
                                                         "prim::is_cpu",
                                                         "prim::is_xla",
                                                         "prim::is_xpu",
                                                         "prim::is_mps",
                                                         "prim::is_mkldnn",
                                                         "prim::is_quantized",
                                                         "prim::is_meta",
                                                         "prim::is_sparse",
                                                         "prim::is_nested",
                                                         "prim::is_vulkan",
                                                         "prim::is_ipu",
                                                         "prim::is_maia",
                                                         "prim::is_hpu",
                                                         "prim::is_ort",
                                                         "prim::requires_grad",
                                                         "prim::type",
                                                         "prim::itemsize",
                                                         "prim::nbytes",
                                                         "prim::ndim",
                                                         "prim::name",
                                                         "prim::index"};
  return kNames.contains(name);
}

bool has_tag(const torch::jit::Operator& op, at::Tag tag) {
  const auto tags = op.getTags();
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

// Whether a number is the same in all lanes.
bool all_equal(const std::vector<c10::IValue>& lanes) {
  return std::all_of(lanes.begin(), lanes.end(),
                     [&](const c10::IValue& lane) { return lane == lanes[0]; });
}

// Whether the tensors on the stack have the ranks and dtypes of the first lane's.
bool same_kinds(const torch::jit::Stack& stack,
                const std::vector<std::vector<c10::IValue>>& results) {
  for (size_t i = 0; i < results.size(); ++i) {
    const c10::IValue& first = results[i][0];
    if (!first.isTensor() || !first.toTensor().defined()) continue;
    const at::Tensor& tensor = stack[i].toTensor();
    if (tensor.dim() != first.toTensor().dim()) return false;
    if (tensor.scalar_type() != first.toTensor().scalar_type()) return false;
  }
  return true;
}

bool holds_nested(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() && value.toTensor().is_nested();
}

bool is_number(const c10::IValue& value) {
  return value.isInt() || value.isDouble() || value.isBool() || value.isComplexDouble();
}

}  // namespace

const Interpreter::NodeInfo& Interpreter::info(Node* node) {
  const auto [found, is_new] = infos_.try_emplace(node);
  NodeInfo& info = found->second;
  if (!is_new) return info;
  info.op = node->maybeOperator();
  if (info.op == nullptr) {
    throw Error(ErrorKind::unsupported,
                fmt::format("LibTorch has no operator {} (a custom operator? load its library with "
                            "--load-library)",
                            node->kind().toQualString()));
  }
  const auto& schema = info.op->schema();
  info.operation = [operation = info.op->getOperation(node),
                    variadic = info.op->hasOperation() &&
                               schema.is_vararg()](torch::jit::Stack& stack) mutable {
    if (variadic) stack.emplace_back(static_cast<int64_t>(stack.size()));
    operation(stack);
  };
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto* alias = schema.arguments()[i].alias_info();
    if (alias != nullptr && alias->isWrite()) info.written.push_back(i);
  }
  info.functional = info.written.empty() ? &schema : functional_twin(schema);
  if (info.functional != nullptr) info.schema = recorder_.schema(*info.functional);
  info.random = has_tag(*info.op, at::Tag::nondeterministic_seeded);
  info.metadata_only = is_metadata_only(schema.name());
  info.number = becomes_number(node);
  const std::string key = key_of(schema);
  info.composite = info.written.empty() && !is_lowered_(key) && !is_quantized_operator(key) &&
                   is_composite(*info.op);
  return info;
}

std::vector<std::vector<c10::IValue>> Interpreter::run_lanes(Node* node, const NodeInfo& info,
                                                             const std::vector<Val>& inputs,
                                                             Frame& frame) {
  const auto raise = [&](const std::string& what) {
    throw Error(ErrorKind::usage, fmt::format("the module raises {}: {}: {}", place_of(node, frame),
                                              node->kind().toQualString(), what));
  };
  std::vector<std::vector<c10::IValue>> results(node->outputs().size());
  const bool may_retry = info.written.empty();
  const bool symbolic = std::any_of(inputs.begin(), inputs.end(), is_symbolic);
  const StandIns::Call call{*info.op, info.operation, info.written, info.metadata_only, symbolic};
  for (size_t lane = 0; lane < lanes_; ++lane) {
    torch::jit::Stack stack;
    for (const Val& input : inputs) stack.push_back(in_lane(input, lane));
    std::string failure;
    try {
      stand_ins_.run(call, stack);
    } catch (const c10::Error& error) {
      failure = error.what_without_backtrace();
    } catch (const std::exception& error) {
      failure = error.what();
    }
    if (failure.empty() && lane > 0 && is_what_if(lane) && !same_kinds(stack, results)) {
      failure = "the result has another rank or dtype";
    }
    if (!failure.empty() && is_what_if(lane) && may_retry) {
      drop_what_ifs(fmt::format("{}: {}", place_of(node, frame), failure));
      for (const Val& input : inputs) adopt(input);
      return run_lanes(node, info, inputs, frame);
    }
    if (!failure.empty() && are_what_ifs_from(lane)) {
      // What the lanes before this one hold is written already.
      for (auto& output : results) keep_real_lanes(output);
      drop_what_ifs(fmt::format("{}: {}", place_of(node, frame), failure));
      for (const Val& input : inputs) adopt(input);
      return results;
    }
    if (!failure.empty()) raise(failure);
    if (std::any_of(stack.begin(), stack.end(), holds_nested)) {
      throw Error(ErrorKind::unsupported,
                  fmt::format("{} {}: ONNX has no nested tensors", key_of(info.op->schema()),
                              place_of(node, frame)));
    }
    for (size_t i = 0; i < results.size(); ++i) results[i].push_back(std::move(stack[i]));
  }
  return results;
}

std::shared_ptr<TensorCell> Interpreter::new_tensor(std::vector<at::Tensor> lanes, bool symbolic,
                                                    bool from_weights) {
  if (lanes[0].layout() != at::kStrided) {
    throw Error(ErrorKind::unsupported, "sparse tensors have no counterpart in ONNX");
  }
  auto cell = std::make_shared<TensorCell>();
  cell->value = recorder_.tensor_value(lanes);
  cell->lanes = std::move(lanes);
  cell->worlds = worlds_;
  cell->known = !symbolic;
  cell->from_weights = from_weights;
  cell->base = std::make_shared<AliasBase>();
  // What is computed from weights stays an operator on them, so that weights are never rewritten;
  // but small integers are indices and sizes, not weights.
  const at::Tensor& first = cell->lanes[0];
  const bool integers = !first.is_floating_point() && !first.is_complex() && !first.is_quantized();
  const bool small_integers = integers && first.numel() <= 1024;
  const bool is_constant = !symbolic && (!from_weights || small_integers);
  const bool is_quantized = !symbolic && first.is_quantized();
  if (is_constant || is_quantized) stand_ins_.require_numbers(first);
  if (is_quantized) cell->quantization = quantization_of(first);
  if (is_constant) recorder_.set_constant(cell->value, is_quantized ? first.int_repr() : first);
  return cell;
}

Val Interpreter::result(const std::vector<c10::IValue>& lanes, bool symbolic,
                        bool numbers_known_if_equal, bool from_weights,
                        std::vector<ValueId>& values, bool length_varies) {
  const auto child = [&](const auto& element_in) {
    std::vector<c10::IValue> elements;
    for (const auto& lane : lanes) elements.push_back(element_in(lane));
    return result(elements, symbolic, numbers_known_if_equal, from_weights, values);
  };
  const c10::IValue& first = lanes[0];
  if (first.isTensor() && first.toTensor().defined()) {
    std::vector<at::Tensor> tensors;
    for (const auto& lane : lanes) tensors.push_back(lane.toTensor());
    auto cell = new_tensor(std::move(tensors), symbolic, from_weights);
    values.push_back(cell->value);
    return cell;
  }
  if (first.isNone() || first.isTensor()) {
    values.push_back(kNone);
    return c10::IValue();
  }
  if (is_number(first)) {
    if (!symbolic || (numbers_known_if_equal && all_equal(lanes))) {
      values.push_back(kNone);
      return first;
    }
    auto number = std::make_shared<SymbolicNumber>();
    number->value = recorder_.number_value(lanes);
    number->lanes = lanes;
    number->worlds = worlds_;
    values.push_back(number->value);
    return number;
  }
  if (first.isList()) {
    const size_t size = first.toListRef().size();
    const bool same_size = std::all_of(lanes.begin(), lanes.end(), [&](const c10::IValue& lane) {
      return lane.toListRef().size() == size;
    });
    auto list = std::make_shared<ListVal>();
    list->element_type = first.toList().elementType();
    if (!same_size || length_varies) {
      list->sequence = std::make_shared<SymbolicSequence>(
          SymbolicSequence{recorder_.sequence_value(lanes), lanes, worlds_});
      values.push_back(list->sequence->value);
      return list;
    }
    for (size_t i = 0; i < size; ++i) {
      list->elements.push_back(child([&](const c10::IValue& lane) { return lane.toListRef()[i]; }));
    }
    return list;
  }
  if (first.isTuple()) {
    auto tuple = std::make_shared<TupleVal>();
    tuple->type = first.type();
    for (size_t i = 0; i < first.toTupleRef().elements().size(); ++i) {
      tuple->elements.push_back(
          child([&](const c10::IValue& lane) { return lane.toTupleRef().elements()[i]; }));
    }
    return tuple;
  }
  if (first.isGenericDict()) return constant(first);
  return first;  // strings, devices, custom classes: the same in all lanes, or not expressible
}

Argument Interpreter::argument(const Val& val, bool integers) {
  if (const auto* cell = get_if<TensorCell>(val)) {
    const bool real = (*cell)->lanes[0].is_quantized() && !integers;
    return ValueRef{real ? dequantized(*cell) : current(*cell)};
  }
  if (const auto* number = get_if<SymbolicNumber>(val)) return ValueRef{(*number)->value};
  if (const auto* list = get_if<ListVal>(val)) {
    if ((*list)->sequence) return ValueRef{(*list)->sequence->value};
    return ArgumentList(arguments((*list)->elements, integers));
  }
  if (const auto* tuple = get_if<TupleVal>(val))
    return ArgumentList(arguments((*tuple)->elements, integers));
  const auto* value = known(val);
  if (value == nullptr || value->isNone() || value->isGenerator()) return std::monostate{};
  if (value->isBool()) return value->toBool();
  if (value->isInt()) return value->toInt();
  if (value->isDouble()) return value->toDouble();
  if (value->isComplexDouble()) {
    const auto number = value->toComplexDouble();
    return std::complex<double>(number.real(), number.imag());
  }
  if (value->isString()) return value->toStringRef();
  if (value->isDevice()) return value->toDevice().str();
  if (value->isObject()) {
    ArgumentList fields;
    for (const auto& [name, field] : packed_fields(*value)) fields.push_back(argument(field));
    if (!fields.empty()) return fields;
  }
  return std::monostate{};
}

std::vector<Argument> Interpreter::arguments(const std::vector<Val>& vals, bool integers) {
  std::vector<Argument> result;
  result.reserve(vals.size());
  for (const Val& val : vals) result.push_back(argument(val, integers));
  return result;
}

namespace {

bool is_sequence(const Val& val) {
  const auto* list = get_if<ListVal>(val);
  return list != nullptr && (*list)->sequence;
}

bool from_weights(const Val& val) {
  if (const auto* cell = get_if<TensorCell>(val)) return (*cell)->from_weights;
  if (const auto* list = get_if<ListVal>(val)) {
    return std::any_of((*list)->elements.begin(), (*list)->elements.end(), from_weights);
  }
  const auto* value = known(val);
  return value != nullptr && value->isObject();  // packed parameters
}

}  // namespace

void Interpreter::run_operator(Node* node, std::vector<Val> inputs, Frame& frame) {
  const NodeInfo& info = this->info(node);
  const auto optional = std::find_if(inputs.begin(), inputs.end(), get_if<OptionalVal>);
  if (optional != inputs.end()) {
    const auto index = static_cast<size_t>(optional - inputs.begin());
    return run_with_optional(node, inputs, index, frame);
  }
  if (run_nested(node, info, inputs, frame)) return;
  if (squeeze_alike(node, info, inputs, frame)) return;
  if (!info.written.empty()) return run_write(node, info, inputs, frame);
  if (info.number) {
    const at::Tensor self = in_lane(inputs[0], 0).toTensor();
    const at::Tensor other = in_lane(inputs[1], 0).toTensor();
    const at::Tensor number = number_of(other);
    if (at::result_type(self, number) != at::result_type(self, other)) inputs[1] = constant(number);
  }

  const bool statistics = updates_statistics(info.op->schema(), inputs);
  if (statistics) before_statistics(inputs);
  const bool symbolic = info.random || std::any_of(inputs.begin(), inputs.end(), is_symbolic);
  const bool weights = std::any_of(inputs.begin(), inputs.end(), from_weights);
  const bool sequences = std::any_of(inputs.begin(), inputs.end(), is_sequence);
  auto lanes = run_lanes(node, info, inputs, frame);
  if (symbolic) vary_found(info.op->schema(), inputs, lanes);

  // A result that is one of the inputs (contiguous, to, dropout that does nothing) is no operator.
  std::vector<Val> results;
  if (adopt_same(inputs, lanes, results)) {
    for (size_t i = 0; i < results.size(); ++i) set(frame, node->output(i), results[i]);
    return;
  }
  if (info.composite && (symbolic || weights) && run_decomposed(node, info, inputs, lanes, frame)) {
    return;
  }
  origin_ = origin_of(node, frame);
  if (involves_quantized(inputs, lanes)) {
    run_quantized(info, inputs, lanes, symbolic, weights, results);
    for (size_t i = 0; i < results.size(); ++i) set(frame, node->output(i), results[i]);
    return;
  }
  if (node->kind() == c10::aten::as_strided) refer_to_storage(inputs);
  std::vector<Argument> arguments = this->arguments(inputs);
  std::vector<ValueId> values;
  for (const auto& output : lanes) {
    results.push_back(result(output, symbolic, info.metadata_only, weights, values, sequences));
  }
  if (std::any_of(values.begin(), values.end(), [](ValueId id) { return id != kNone; })) {
    link_views(inputs, arguments, info.schema, values, results);
    recorder_.emit({info.schema, std::move(arguments), std::move(values), origin_, {}});
  }
  if (statistics) {
    update_statistics(inputs, info.op->schema().name() == "aten::instance_norm",
                      stand_ins_.contains(lanes[0][0].toTensor()));
  }
  for (size_t i = 0; i < results.size(); ++i) set(frame, node->output(i), results[i]);
}

}  // namespace modelexport::frontend
