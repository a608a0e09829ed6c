// Views and in-place updates, made functional here and nowhere else. A view remembers the operator
// that made it; a write to it becomes a new value that is scattered back into what it is a view of,
// and other views of that are recomputed when they are next read.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

void collect_tensors(const Val& val, std::vector<std::shared_ptr<TensorCell>>& cells) {
  if (const auto* cell = get_if<TensorCell>(val)) cells.push_back(*cell);
  if (const auto* list = get_if<ListVal>(val)) {
    for (const Val& element : (*list)->elements) collect_tensors(element, cells);
  }
  if (const auto* tuple = get_if<TupleVal>(val)) {
    for (const Val& element : (*tuple)->elements) collect_tensors(element, cells);
  }
}

// In-place operators that change nothing that a program can see.
bool is_no_op(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = {
      "aten::requires_grad_", "aten::detach_",       "aten::retain_grad", "aten::rename_",
      "aten::pin_memory",     "aten::share_memory_", "aten::_set_conj"};
  return kNames.contains(name);
}

// In-place operators that change the shape of the tensor object, not the elements it shares.
bool changes_shape_only(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = {
      "aten::squeeze_",  "aten::unsqueeze_", "aten::transpose_", "aten::t_",
      "aten::swapaxes_", "aten::swapdims_",  "aten::as_strided_"};
  return kNames.contains(name);
}

int64_t integer(const Argument& argument) {
  if (const auto* value = std::get_if<int64_t>(&argument)) return *value;
  throw Error(ErrorKind::unsupported, "a write to a view whose dimension depends on the inputs");
}

std::vector<int64_t> integers(const Argument& argument) {
  std::vector<int64_t> result;
  for (const Argument& element : std::get<ArgumentList>(argument))
    result.push_back(integer(element));
  return result;
}

int64_t wrapped(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

// The permutation that undoes a transposing view, or nothing if it is no such view.
std::optional<ArgumentList> inverse_permutation(const std::string& key, const ViewStep& step,
                                                int64_t rank) {
  std::vector<int64_t> order(rank);
  for (int64_t i = 0; i < rank; ++i) order[i] = i;
  if (key == "aten::transpose.int" || key == "aten::swapaxes" || key == "aten::swapdims") {
    if (rank > 0) {
      std::swap(order[wrapped(integer(step.arguments.at(1)), rank)],
                order[wrapped(integer(step.arguments.at(2)), rank)]);
    }
  } else if (key == "aten::t" || key == "aten::numpy_T" || key == "aten::matrix_H") {
    std::reverse(order.begin(), order.end());
  } else if (key == "aten::mT" || key == "aten::adjoint" || key == "aten::mH") {
    std::swap(order.at(rank - 1), order.at(rank - 2));
  } else if (key == "aten::permute") {
    const auto dims = integers(step.arguments.at(1));
    for (int64_t i = 0; i < rank; ++i) order[wrapped(dims.at(i), rank)] = i;
  } else {
    return std::nullopt;
  }
  ArgumentList result;
  for (int64_t axis : order) result.emplace_back(axis);
  return result;
}

// Whether the view shows the conjugate of its parent's elements.
bool is_conjugate(const TensorCell& view, const TensorCell& parent) {
  return view.lanes[0].is_complex() && view.lanes[0].is_conj() != parent.lanes[0].is_conj();
}

// The axis along which a view is a contiguous part of its parent, and where it begins there.
std::pair<int64_t, int64_t> part_of(const TensorCell& view, const TensorCell& parent,
                                    int64_t axis) {
  axis = wrapped(axis, parent.lanes[0].dim());
  std::optional<int64_t> start;
  for (size_t lane = 0; lane < view.lanes.size(); ++lane) {
    const auto& whole = parent.lanes[lane];
    const int64_t here =
        (view.lanes[lane].storage_offset() - whole.storage_offset()) / whole.stride(axis);
    if (start.value_or(here) != here || view.lanes[lane].size(axis) != view.lanes[0].size(axis)) {
      throw Error(ErrorKind::unsupported,
                  "a write to a part of a tensor whose place depends on the inputs");
    }
    start = here;
  }
  return {axis, *start};
}

}  // namespace

bool Interpreter::adopt_same(const std::vector<Val>& inputs,
                             const std::vector<std::vector<c10::IValue>>& lanes,
                             std::vector<Val>& results) {
  for (const auto& output : lanes) {
    const Val* found = nullptr;
    for (const Val& input : inputs) {
      const auto* cell = get_if<TensorCell>(input);
      if (cell == nullptr) continue;
      bool same = true;
      for (size_t lane = 0; lane < output.size() && same; ++lane) {
        same = output[lane].isTensor() && output[lane].toTensor().is_same((*cell)->lanes[lane]);
      }
      if (same) {
        found = &input;
        break;
      }
    }
    if (found == nullptr) {
      results.clear();
      return false;
    }
    results.push_back(*found);
  }
  return !results.empty();
}

void Interpreter::link_views(const std::vector<Val>& inputs, const std::vector<Argument>& arguments,
                             SchemaId schema, const std::vector<ValueId>& values,
                             const std::vector<Val>& results) {
  std::vector<std::shared_ptr<TensorCell>> cells;
  for (const Val& result : results) collect_tensors(result, cells);
  for (const auto& cell : cells) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto* parent = get_if<TensorCell>(inputs[i]);
      if (parent == nullptr || !cell->lanes[0].is_alias_of((*parent)->lanes[0])) continue;
      const auto output = std::find(values.begin(), values.end(), cell->value) - values.begin();
      cell->parent = *parent;
      cell->base = (*parent)->base;
      cell->version = cell->base->version;
      cell->step = {schema, arguments, i, values.size(), static_cast<size_t>(output)};
      break;
    }
  }
}

// aten::as_strided looks at the storage, whatever the strides of the tensor it is given. What it is
// recorded with has its elements in the order of the storage: the tensor that all views are of,
// with its axes in order.
void Interpreter::refer_to_storage(std::vector<Val>& inputs) {
  const auto& given = std::get<std::shared_ptr<TensorCell>>(inputs[0]);
  auto root = given;
  while (root->parent) root = root->parent;
  const at::Tensor& first = root->lanes[0];
  std::vector<int64_t> order(first.dim());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](int64_t axis) { return first.stride(axis); });
  bool is_whole = true;
  std::optional<int64_t> offset;
  for (size_t lane = 0; lane < lanes_; ++lane) {
    const at::Tensor &whole = root->lanes[lane], &part = given->lanes[lane];
    is_whole &= part.is_contiguous() && part.numel() == whole.numel();
    const int64_t start =
        is_none(inputs[3]) ? part.storage_offset() : in_lane(inputs[3], lane).toInt();
    const int64_t here = start - whole.storage_offset();
    if (offset.value_or(here) != here || !whole.permute(order).is_contiguous()) {
      throw Error(ErrorKind::unsupported,
                  "aten::as_strided of a tensor whose place in its storage depends on the inputs");
    }
    offset = here;
  }
  if (is_whole) return;
  inputs[3] = c10::IValue(*offset);
  inputs[0] = root;
  if (std::ranges::is_sorted(order)) return;
  auto sorted = std::make_shared<TensorCell>(*root);
  for (at::Tensor& lane : sorted->lanes) lane = lane.permute(order);
  const ArgumentList dims(order.begin(), order.end());
  const std::vector<Argument> arguments{ValueRef{current(root)}, dims};
  sorted->value = emit("aten::permute", {"self", "dims"}, arguments, sorted->lanes);
  sorted->version = root->base->version;
  sorted->parent = root;
  sorted->step = {recorder_.schema("aten::permute", {"self", "dims"}), arguments, 0, 1, 0};
  inputs[0] = sorted;
}

ValueId Interpreter::current(const std::shared_ptr<TensorCell>& cell) {
  if (!cell->parent || cell->version == cell->base->version) return cell->value;
  const ValueId parent = current(cell->parent);
  std::vector<Argument> arguments = cell->step.arguments;
  arguments[cell->step.parent_argument] = ValueRef{parent};
  std::vector<ValueId> outputs(cell->step.outputs);
  for (ValueId& output : outputs) output = recorder_.tensor_value(cell->lanes);
  change(cell, outputs[cell->step.output], is_symbolic(Val(cell)), cell->base->version, false);
  recorder_.emit({cell->step.schema, std::move(arguments), std::move(outputs), origin_, {}});
  return cell->value;
}

ValueId Interpreter::emit(const std::string& key, std::vector<std::string> names,
                          std::vector<Argument> arguments, const std::vector<at::Tensor>& like) {
  const ValueId value = recorder_.tensor_value(like);
  recorder_.emit(
      {recorder_.schema(key, std::move(names)), std::move(arguments), {value}, origin_, {}});
  return value;
}

void Interpreter::before_write(const TensorCell& cell) {
  for (size_t i = 0; i < cell.lanes.size(); ++i) {
    const at::Tensor& lane = cell.lanes[i];
    if (!journals_.empty()) journals_.back()->save_data(worlds_->ids[i], lane);
    if (!lane.has_storage()) continue;
    const auto& storage = lane.storage();
    if (recorder_.is_weight_storage(storage.data()) && storage.nbytes() > 0) {
      throw WeightWritten{storage.data()};
    }
    recorder_.before_write(storage.unsafeGetStorageImpl());
  }
}

void Interpreter::run_write(Node* node, const NodeInfo& info, std::vector<Val>& inputs,
                            Frame& frame) {
  const auto& schema = info.op->schema();
  if (is_no_op(schema.name())) return set(frame, node->output(), inputs.at(0));
  if (run_fake_quantize(node, info, inputs, frame)) return;
  std::vector<std::shared_ptr<TensorCell>> written;
  for (size_t i : info.written) collect_tensors(inputs[i], written);
  if (info.functional == nullptr || written.size() != info.written.size()) {
    throw Error(ErrorKind::unsupported,
                fmt::format("{} {}: an in-place operator without a functional form", key_of(schema),
                            place_of(node, frame)));
  }
  origin_ = origin_of(node, frame);
  std::vector<Argument> arguments;
  const bool integers = changes_shape_only(schema.name());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!schema.arguments()[i].is_out()) arguments.push_back(argument(inputs[i], integers));
  }
  const auto& twin = info.functional->arguments();
  for (size_t i = arguments.size(); i < twin.size(); ++i) {
    arguments.push_back(argument(Val(twin[i].default_value().value())));
  }
  for (const auto& cell : written) {
    current(cell);
    before_write(*cell);
  }
  const bool symbolic = info.random || std::any_of(inputs.begin(), inputs.end(), is_symbolic);
  const auto hidden = std::make_shared<TensorCell>(*written[0]);  // its shape, should it change
  for (at::Tensor& lane : hidden->lanes) lane = lane.alias();
  const auto lanes = run_lanes(node, info, inputs, frame);
  adopt(Val(hidden));

  std::vector<ValueId> values;
  std::vector<Val> results;  // if it has some of its own
  const bool has_results = info.functional->returns().size() > written.size();
  for (size_t i = 0; i < lanes.size() && has_results; ++i) {
    results.push_back(result(lanes[i], symbolic, false, false, values));
  }
  const auto first_written = static_cast<std::ptrdiff_t>(values.size());
  Quantizations quantizations;
  for (const auto& cell : written) {
    values.push_back(recorder_.tensor_value(cell->lanes));
    const bool is_real = !cell->lanes[0].is_quantized();
    if (!symbolic && !cell->from_weights && is_real) {
      stand_ins_.require_numbers(cell->lanes[0]);
      recorder_.set_constant(values.back(), cell->lanes[0]);
    }
    if (!is_real && !integers) quantizations.emplace(values.back(), quantization(*cell));
  }
  emit_quantizing({info.schema, arguments, values, origin_, {}}, quantizations,
                  [&](Op op) { recorder_.emit(std::move(op)); });
  values.erase(values.begin(), values.begin() + first_written);
  if (changes_shape_only(schema.name())) {
    change(written[0], values[0], symbolic, written[0]->version, true);
    written[0]->parent = hidden;
    written[0]->step = {info.schema, arguments, 0, 1, 0};
  } else {
    for (size_t i = 0; i < written.size(); ++i) write(written[i], values[i], symbolic);
  }
  if (!has_results && !node->outputs().empty() && !adopt_same(inputs, lanes, results)) {
    throw Error(ErrorKind::internal,
                key_of(schema) + " returns something else than what it writes to");
  }
  for (size_t i = 0; i < results.size(); ++i) set(frame, node->output(i), results[i]);
}

void Interpreter::write(const std::shared_ptr<TensorCell>& cell, ValueId value, bool symbolic) {
  for (auto parent = cell->parent; parent; parent = parent->parent) current(parent);
  if (!journals_.empty()) journals_.back()->save(cell, true);  // with the version before
  const uint64_t version = ++cell->base->version;
  change(cell, value, symbolic, version, true);
  for (auto child = cell; child->parent; child = child->parent) {
    const ValueId whole = write_back(*child, child->parent, child->value);
    change(child->parent, whole, symbolic, version, true);
  }
}

void Interpreter::change(const std::shared_ptr<TensorCell>& cell, ValueId value, bool symbolic,
                         uint64_t version, bool written) {
  if (!journals_.empty()) journals_.back()->save(cell, written);
  cell->value = value;
  cell->known = cell->known && !symbolic;
  cell->version = version;
}

// The parent's value with `value` in the place that the view shows.
ValueId Interpreter::write_back(const TensorCell& view, const std::shared_ptr<TensorCell>& parent,
                                ValueId value) {
  const ViewStep& step = view.step;
  std::string key = recorder_.program().schemas[step.schema].key;
  if (key.ends_with(".a")) key.resize(key.size() - 2);  // attributes of TorchScript: x.T
  const Argument whole = ValueRef{parent->value};
  Argument part = ValueRef{value};
  const auto& like = parent->lanes;
  const auto slice_scatter = [&](int64_t axis) {
    const auto [dim, start] = part_of(view, *parent, axis);
    return emit("aten::slice_scatter", {"self", "src", "dim", "start", "end", "step"},
                {whole, part, dim, start, start + view.lanes[0].size(dim), int64_t{1}}, like);
  };

  // Complex tensors and their parts.
  if (key == "aten::view_as_real") return emit("aten::view_as_complex", {"self"}, {part}, like);
  if (key == "aten::view_as_complex") return emit("aten::view_as_real", {"self"}, {part}, like);
  if (key == "aten::real") {
    const ValueId imag = emit("aten::imag", {"self"}, {whole}, view.lanes);
    return emit("aten::complex", {"real", "imag"}, {part, ValueRef{imag}}, like);
  }
  if (key == "aten::imag") {
    const ValueId real = emit("aten::real", {"self"}, {whole}, view.lanes);
    return emit("aten::complex", {"real", "imag"}, {ValueRef{real}, part}, like);
  }
  if (key == "aten::_neg_view") return emit("aten::neg", {"self"}, {part}, like);
  if (is_conjugate(view, *parent)) {
    part = ValueRef{value = emit("aten::conj", {"self"}, {part}, view.lanes)};
  }

  if (const auto inverse = inverse_permutation(key, step, like[0].dim())) {
    return emit("aten::permute", {"self", "dims"}, {part, *inverse}, like);
  }
  if (key == "aten::select.int") {
    return emit("aten::select_scatter", {"self", "src", "dim", "index"},
                {whole, part, step.arguments.at(1), step.arguments.at(2)}, like);
  }
  if (key == "aten::unbind.int") {
    return emit("aten::select_scatter", {"self", "src", "dim", "index"},
                {whole, part, step.arguments.at(1), static_cast<int64_t>(step.output)}, like);
  }
  if (key == "aten::slice.Tensor") {
    return emit("aten::slice_scatter", {"self", "src", "dim", "start", "end", "step"},
                {whole, part, step.arguments.at(1), step.arguments.at(2), step.arguments.at(3),
                 step.arguments.at(4)},
                like);
  }
  if (key == "aten::diagonal") {
    return emit("aten::diagonal_scatter", {"self", "src", "offset", "dim1", "dim2"},
                {whole, part, step.arguments.at(1), step.arguments.at(2), step.arguments.at(3)},
                like);
  }
  const auto is_zero = [](const Argument& argument) {
    const auto* number = std::get_if<int64_t>(&argument);
    return number != nullptr && *number == 0;
  };
  if (key == "aten::narrow" && is_zero(step.arguments.at(2))) {  // its end is its length
    return emit("aten::slice_scatter", {"self", "src", "dim", "start", "end", "step"},
                {whole, part, step.arguments.at(1), int64_t{0}, step.arguments.at(3), int64_t{1}},
                like);
  }
  if (key == "aten::narrow") return slice_scatter(integer(step.arguments.at(1)));
  if (key == "aten::split.Tensor" || key == "aten::split_with_sizes" || key == "aten::chunk" ||
      key == "aten::split.sizes" || key == "aten::tensor_split.sections" ||
      key == "aten::tensor_split.indices" || key == "aten::unsafe_split.Tensor" ||
      key == "aten::unsafe_chunk") {
    return slice_scatter(integer(step.arguments.at(2)));
  }
  if (view.lanes[0].sizes() == like[0].sizes() && view.lanes[0].strides() == like[0].strides()) {
    return value;  // detach, alias, expand to the same shape
  }
  if (view.lanes[0].numel() == like[0].numel() && key != "aten::as_strided") {
    return emit("aten::reshape_as", {"self", "other"}, {part, whole}, like);
  }
  if (key == "aten::as_strided") {
    return emit("aten::as_strided_scatter", {"self", "src", "size", "stride", "storage_offset"},
                {whole, part, step.arguments.at(1), step.arguments.at(2), step.arguments.at(3)},
                like);
  }
  throw Error(ErrorKind::unsupported, fmt::format("an in-place write to a view made by {}", key));
}

}  // namespace modelexport::frontend
