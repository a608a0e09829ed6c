// Nodes that take or give quantised tensors, or take packed weights.
#include <ATen/Functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/quantization.h"
#include "exporter/frontend/quantized_operators.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

bool any_quantized(const c10::IValue& value) {
  if (value.isTensor()) return value.toTensor().defined() && value.toTensor().is_quantized();
  if (value.isTensorList()) {
    const auto tensors = value.toTensorVector();
    return std::any_of(tensors.begin(), tensors.end(),
                       [](const at::Tensor& tensor) { return any_quantized(tensor); });
  }
  if (value.isList()) {
    const auto elements = value.toListRef();
    return std::any_of(elements.begin(), elements.end(), any_quantized);
  }
  if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    return std::any_of(elements.begin(), elements.end(), any_quantized);
  }
  return value.isObject();  // packed parameters
}

// Operators that give the same elements in other places, or look at the integers as such.
bool moves_elements(const std::string& name) {
  static const std::unordered_set<std::string> kNames = {"aten::cat",
                                                         "aten::channel_shuffle",
                                                         "aten::clone",
                                                         "aten::contiguous",
                                                         "aten::flatten",
                                                         "aten::flip",
                                                         "aten::index",
                                                         "aten::index_select",
                                                         "aten::int_repr",
                                                         "aten::pixel_shuffle",
                                                         "aten::pixel_unshuffle",
                                                         "aten::repeat",
                                                         "aten::reshape",
                                                         "aten::roll",
                                                         "aten::stack",
                                                         "aten::to"};
  return kNames.contains(name);
}

}  // namespace

bool Interpreter::involves_quantized(const std::vector<Val>& inputs,
                                     const std::vector<std::vector<c10::IValue>>& lanes) {
  const auto in_first_lane = [](const auto& output) { return any_quantized(output[0]); };
  return std::any_of(lanes.begin(), lanes.end(), in_first_lane) ||
         std::any_of(inputs.begin(), inputs.end(),
                     [](const Val& val) { return !is_none(val) && holds_quantized(val); });
}

bool Interpreter::holds_quantized(const Val& val) {
  if (const auto* value = known(val)) return any_quantized(*value);
  if (const auto* list = get_if<ListVal>(val)) {
    return std::any_of((*list)->elements.begin(), (*list)->elements.end(), holds_quantized);
  }
  return !quantized_cells({val}).empty();
}

// Whether an operator works on the integers: their scale and zero point stay what they are.
bool Interpreter::keeps_integers(const NodeInfo& info, const std::vector<Val>& inputs,
                                 const std::vector<Val>& results) {
  if (info.metadata_only || info.op->schema().name() == "aten::int_repr") return true;
  const auto from = quantized_cells(inputs), to = quantized_cells(results);
  if (from.empty() || to.empty()) return false;
  const bool is_view = to[0]->lanes[0].is_alias_of(from[0]->lanes[0]);
  if (!is_view && !moves_elements(info.op->schema().name())) return false;
  const auto& quantization = *this->quantization(*from[0]);
  return std::all_of(
             from.begin(), from.end(),
             [&](const auto& cell) { return same(*this->quantization(*cell), quantization); }) &&
         std::all_of(to.begin(), to.end(), [&](const auto& cell) {
           return look_alike(cell->lanes[0], from[0]->lanes[0]);
         });
}

void Interpreter::run_quantized(const NodeInfo& info, const std::vector<Val>& inputs,
                                const std::vector<std::vector<c10::IValue>>& lanes, bool symbolic,
                                bool weights, std::vector<Val>& results) {
  const auto& schema = info.op->schema();
  // Scales are taken from what tensors hold.
  for (size_t lane = 0; lane < lanes_; ++lane) {
    for (const Val& input : inputs) stand_ins_.require_numbers(in_lane(input, lane));
    for (const auto& output : lanes) stand_ins_.require_numbers(output[lane]);
  }
  if (read_quantization(schema.name(), inputs, lanes, results)) return;
  std::vector<ValueId> values;
  for (const auto& output : lanes) {
    results.push_back(result(output, symbolic, info.metadata_only, weights, values));
  }
  const bool recorded =
      std::any_of(values.begin(), values.end(), [](ValueId id) { return id != kNone; });
  if (!recorded || (!symbolic && !weights)) return;
  const auto cells = quantized_cells(results);
  if (keeps_integers(info, inputs, results)) {
    std::vector<Argument> arguments = this->arguments(inputs, true);
    for (const auto& cell : cells) cell->quantization = quantization(*quantized_cells(inputs)[0]);
    link_views(inputs, arguments, info.schema, values, results);
    recorder_.emit({info.schema, std::move(arguments), std::move(values), origin_, {}});
    return;
  }
  Quantizations quantizations;
  for (const auto& cell : cells) {
    cell->quantization = quantization_of_result(schema, inputs, *cell);
    quantizations.emplace(cell->value, cell->quantization);
  }
  if (schema.name().starts_with("aten::_make_per_")) {  // its first argument is the integers
    recorder_.emit({recorder_.schema(schema_of("aten::alias")),
                    {argument(inputs[0])},
                    std::move(values),
                    origin_,
                    {}});
    return;
  }
  const auto* steps = real_steps(key_of(schema));
  emit_quantizing({info.schema, {}, std::move(values), origin_, {}}, quantizations, [&](Op op) {
    if (steps != nullptr) return emit_steps(*steps, schema, inputs, op.outputs);
    op.arguments = arguments(inputs);
    recorder_.emit(std::move(op));
  });
}

// Fake quantisation with an observer writes to the observer's state, but not while it is off.
bool Interpreter::run_fake_quantize(Node* node, const NodeInfo& info,
                                    const std::vector<Val>& inputs, Frame& frame) {
  enum { kSelf, kObserver, kOn, kMin, kMax, kScale, kZeroPoint, kRate, kLow, kHigh, kAxis, kByRow };
  if (info.op->schema().name() != "aten::fused_moving_avg_obs_fake_quant") return false;
  for (size_t lane = 0; lane < lanes_; ++lane) {
    for (const Val& input : inputs) stand_ins_.require_numbers(in_lane(input, lane));
  }
  const auto is_on = [&](size_t index) {
    return in_lane(inputs.at(index), 0).toTensor().item().toBool();
  };
  if (is_on(kObserver)) {
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{} {}: its observer is on, so that every call changes the scale; before "
                    "saving the module, call "
                    "module.apply(torch.ao.quantization.disable_observer)",
                    info.op->schema().name(), place_of(node, frame)));
  }
  if (!is_on(kOn)) {
    set(frame, node->output(), inputs[kSelf]);
    return true;
  }
  origin_ = origin_of(node, frame);
  // LibTorch writes the scale that it uses, off or on: to a copy. It is the same if the observer
  // ran before.
  std::vector<c10::IValue> lanes;
  at::Tensor scale, zero_point;
  for (size_t lane = 0; lane < lanes_; ++lane) {
    torch::jit::Stack stack;
    for (const Val& input : inputs) stack.push_back(in_lane(input, lane));
    for (size_t index : info.written) stack[index] = stack[index].toTensor().clone();
    scale = stack[kScale].toTensor();
    zero_point = stack[kZeroPoint].toTensor();
    info.operation(stack);
    lanes.push_back(stack.at(0));
  }
  const auto as_used = [&](size_t index, const at::Tensor& used) {
    const bool same = at::equal(in_lane(inputs.at(index), 0).toTensor(), used);
    return argument(same ? inputs[index] : constant(used));
  };
  const bool by_row = known(inputs.at(kByRow))->toBool();
  std::vector<Argument> arguments = {argument(inputs[kSelf]), as_used(kScale, scale),
                                     as_used(kZeroPoint, zero_point)};
  if (by_row) arguments.push_back(argument(inputs.at(kAxis)));
  arguments.push_back(argument(inputs.at(kLow)));
  arguments.push_back(argument(inputs.at(kHigh)));
  std::vector<ValueId> values;
  const bool symbolic = is_symbolic(inputs[kSelf]);
  set(frame, node->output(), result(lanes, symbolic, false, !symbolic, values));
  const char* key = by_row ? "aten::fake_quantize_per_channel_affine"
                           : "aten::fake_quantize_per_tensor_affine.tensor_qparams";
  recorder_.emit(
      {recorder_.schema(schema_of(key)), std::move(arguments), std::move(values), origin_, {}});
  return true;
}

// Operators that ask for scale and zero point.
bool Interpreter::read_quantization(const std::string& name, const std::vector<Val>& inputs,
                                    const std::vector<std::vector<c10::IValue>>& lanes,
                                    std::vector<Val>& results) {
  if (!reads_quantization(name)) return false;
  if (name.starts_with("aten::q_per_channel")) {
    results.push_back(constant(lanes[0][0]));
    return true;
  }
  const auto& quantization = *this->quantization(*quantized_cells(inputs).at(0));
  const Argument& part = name == "aten::q_scale" ? quantization.scale : quantization.zero_point;
  if (const auto* ref = std::get_if<ValueRef>(&part)) {
    results.push_back(std::make_shared<SymbolicNumber>(SymbolicNumber{ref->id, lanes[0], worlds_}));
  } else {
    results.push_back(lanes[0][0]);
  }
  return true;
}

void Interpreter::emit_steps(const std::vector<RealStep>& steps, const c10::FunctionSchema& schema,
                             const std::vector<Val>& inputs, const std::vector<ValueId>& outputs) {
  Argument previous;
  for (const RealStep& step : steps) {
    std::vector<Argument> arguments;
    for (const std::string& text : step.arguments) {
      arguments.push_back(step_argument(text, schema, inputs, previous));
    }
    if (step.key == "requantize") {
      const ValueId real = std::get<ValueRef>(previous).id;
      emit_round_trip(real, chosen_, outputs.at(0));
      return;
    }
    const SchemaId id = recorder_.schema(schema_of(step.key));
    // The steps before the last give what has the shape of the result.
    const bool last = &step == &steps.back();
    std::vector<ValueId> values = last ? outputs : std::vector{real_value(outputs.at(0))};
    previous = ValueRef{values[0]};
    recorder_.emit({id, std::move(arguments), std::move(values), origin_, {}});
  }
}

Argument Interpreter::step_argument(const std::string& text, const c10::FunctionSchema& schema,
                                    const std::vector<Val>& inputs, const Argument& previous) {
  if (text == "$") return previous;
  if (text == "None") return std::monostate{};
  if (text == "True") return true;
  if (text == "False") return false;
  if (std::isdigit(static_cast<unsigned char>(text[0]))) {
    if (text.find('.') != std::string::npos) return std::stod(text);
    return int64_t{std::stoll(text)};
  }
  if (text[0] == '[') {
    ArgumentList list;
    for (const std::string& element : split_arguments(text.substr(1, text.size() - 2))) {
      list.push_back(step_argument(element, schema, inputs, previous));
    }
    return list;
  }
  if (text[0] == '~') {
    const auto reduce = schema.argumentIndexWithName("reduce_range");
    return round_trip(named_part(text.substr(1), schema, inputs),
                      reduce ? known(inputs.at(*reduce))->toBool() : true);
  }
  if (text[0] == '#') {
    const auto& scale = quantization(*quantized_cells(inputs).at(0))->scale;
    const Val val = named_part(text.substr(1), schema, inputs);
    const auto* number = known(val);
    if (number == nullptr || !std::holds_alternative<double>(scale)) {
      throw Error(
          ErrorKind::unsupported,
          schema.name() + ": the number, or the scale it is a multiple of, depends on the inputs");
    }
    const double step = std::get<double>(scale);
    return std::nearbyint(number->toScalar().toDouble() / step) * step;
  }
  static constexpr std::string_view kSqueezed = ".weight_1d";
  if (text.ends_with(kSqueezed)) {
    return weight_1d(named_part(text.substr(0, text.size() - 3), schema, inputs));
  }
  return argument(named_part(text, schema, inputs));
}

// "w.bias": a field of packed parameters; "hx.0": an element of a list.
Val Interpreter::named_part(const std::string& path, const c10::FunctionSchema& schema,
                            const std::vector<Val>& inputs) {
  size_t dot = path.find('.');
  Val val = inputs.at(schema.argumentIndexWithName(path.substr(0, dot)).value());
  while (dot != std::string::npos) {
    const size_t next = path.find('.', dot + 1);
    const std::string name = path.substr(dot + 1, next - dot - 1);
    if (const auto* list = get_if<ListVal>(val)) {
      val = (*list)->elements.at(std::stoul(name));
    } else {
      val = packed_field(*known(val), name);
    }
    dot = next;
  }
  return val;
}

Val Interpreter::packed_field(const c10::IValue& object, const std::string& name) {
  for (const auto& [field, val] : packed_fields(object)) {
    if (field == name) return val;
  }
  throw Error(ErrorKind::unsupported,
              fmt::format("packed parameters of {} have no {}", object.type()->repr_str(), name));
}

const Interpreter::PackedVals& Interpreter::packed_fields(const c10::IValue& object) {
  PackedVals& vals = packed_[object.toObject().get()];
  if (vals.empty()) {
    for (const PackedField& field : recorder_.packed(object)) {
      vals.emplace_back(field.name, constant(field.value));
    }
  }
  for (const auto& [name, val] : vals) adopt(val);
  return vals;
}

// A weight of a one-dimensional convolution, which is packed with a height of 1.
Argument Interpreter::weight_1d(const Val& val) {
  const auto& cell = std::get<std::shared_ptr<TensorCell>>(val);
  Value squeezed = recorder_.program().values[cell->value];
  squeezed.constant = kNone;
  squeezed.shape.erase(squeezed.shape.begin() + 2);
  recorder_.program().values.push_back(squeezed);
  const auto value = static_cast<ValueId>(recorder_.program().values.size() - 1);
  recorder_.emit({recorder_.schema(schema_of("aten::squeeze.dim")),
                  {ValueRef{current(cell)}, int64_t{2}},
                  {value},
                  origin_,
                  {}});
  const ValueId real = real_value(value);
  emit_conversion(false, value, *quantization(*cell), real);
  return ValueRef{real};
}

}  // namespace modelexport::frontend
