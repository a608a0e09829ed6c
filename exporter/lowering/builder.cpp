#include "exporter/lowering/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/graph/literal.h"
#include "exporter/graph/scopes.h"

namespace modelexport::lowering {

Builder::Builder(const Program& program, int opset, bool sizes_per_call)
    : program_(program),
      flow_(program),
      sizes_per_call_(sizes_per_call),
      values_(program.values.size()) {
  graph_.opset = opset;
  frames_.emplace_back();
  for (const Port& input : program.inputs) block_input(input.value);
}

graph::Graph Builder::finish() {
  for (const Port& output : program_.outputs) {
    if (!is_missing(output.value)) frames_.back().block.outputs.push_back(value(output.value).id);
  }
  graph_.body = std::move(frames_.back().block);
  frames_.clear();
  for (const V value : values_) graph_.of_program.push_back(value.id);
  return std::move(graph_);
}

// ---- values -------------------------------------------------------------------------------------

V Builder::new_value(DType dtype, std::optional<Shape> shape, Kind kind) {
  graph_.values.push_back({.kind = kind, .dtype = dtype, .shape = std::move(shape)});
  return V{static_cast<ValueId>(graph_.values.size() - 1)};
}

bool Builder::is_free(modelexport::ValueId id) const {
  const modelexport::Value& value = program_.values[id];
  if (value.constant != kNone) return true;
  if (!value.size || flow_.from_data[id]) return false;
  return is_static(*value.size) || is_input_symbol(symbol_index(*value.size));
}

V Builder::value(modelexport::ValueId id) {
  if (is_bound(id)) return values_[id];
  if (is_missing(id)) throw Missing{};
  const modelexport::Value& value = program_.values[id];
  if (!is_free(id)) {
    throw Error(ErrorKind::internal,
                fmt::format("value %{} of the program is used but never computed", id));
  }
  if (value.constant != kNone) return tensor(value.constant);
  if (is_static(*value.size)) {
    return constant(value.dtype, {}, graph::element_bytes(value.dtype, *value.size));
  }
  // Not bound: where it is made depends on the block that asks.
  return symbol_number(symbol_index(*value.size));
}

void Builder::bind(modelexport::ValueId id, V value) {
  values_[id] = value;
  note_symbols(value);
  const modelexport::Value& of_program = program_.values[id];
  if (of_program.size && !is_static(*of_program.size)) {
    frames_.back().sources.try_emplace({call(), symbol_index(*of_program.size)}, Source{value, -1});
  }
}

// ---- constants ----------------------------------------------------------------------------------

V Builder::constant(DType dtype, std::vector<int64_t> dims, std::string bytes) {
  auto [entry, is_new] = constants_.try_emplace({dtype, dims, bytes});
  if (!is_new) return entry->second;
  const V v = new_value(dtype, dims);
  entry->second = v;
  initializer_of_.emplace(v.id, graph_.initializers.size());
  graph_.initializers.push_back(
      {.value = v.id,
       .tensor = {.dtype = dtype, .dims = std::move(dims), .data = std::move(bytes)}});
  return v;
}

V Builder::tensor(TensorId id) {
  if (auto found = tensors_.find(id); found != tensors_.end()) return found->second;
  const modelexport::Tensor& tensor = program_.tensors[id];
  V v;
  if (tensor.role == Role::constant && tensor.element_count() <= kSmallConstant) {
    v = constant(tensor.dtype, tensor.sizes, graph::contiguous_bytes(program_, tensor));
  } else {
    v = new_value(tensor.dtype, tensor.sizes);
    initializer_of_.emplace(v.id, graph_.initializers.size());
    graph_.initializers.push_back(
        {.value = v.id, .tensor = {.dtype = tensor.dtype, .dims = tensor.sizes, .data = id}});
  }
  tensors_.emplace(id, v);
  return v;
}

const graph::TensorData* Builder::constant_of(V value) const {
  const auto found = initializer_of_.find(value.id);
  return found == initializer_of_.end() ? nullptr : &graph_.initializers[found->second].tensor;
}

std::optional<std::string> Builder::bytes_of(V value) const {
  const graph::TensorData* tensor = constant_of(value);
  if (!tensor || graph::element_count(*tensor) > kSmallConstant) return std::nullopt;
  if (const auto* bytes = std::get_if<std::string>(&tensor->data)) return *bytes;
  return graph::contiguous_bytes(program_, program_.tensors[std::get<TensorId>(tensor->data)]);
}

// ---- custom operators ---------------------------------------------------------------------------

void Builder::import_domain(const std::string& domain, int version) {
  const auto same = std::find_if(graph_.custom_domains.begin(), graph_.custom_domains.end(),
                                 [&](const auto& known) { return known.first == domain; });
  if (same == graph_.custom_domains.end()) {
    graph_.custom_domains.emplace_back(domain, version);
  } else {
    same->second = std::max(same->second, version);
  }
}

void Builder::add_function(const graph::GivenFunction& function) {
  auto& all = graph_.given_functions;
  const bool known = std::any_of(all.begin(), all.end(), [&](const graph::GivenFunction& other) {
    return other.domain == function.domain && other.name == function.name;
  });
  if (!known) all.push_back(function);
}

// ---- quantised values ---------------------------------------------------------------------------

std::optional<Dequantized> Builder::dequantized(V real) const {
  const auto found = dequantized_.find(real.id);
  return found == dequantized_.end() ? std::nullopt : std::optional(found->second);
}

// ---- complex values -----------------------------------------------------------------------------

const std::pair<V, V>* Builder::parts_of(V pair) const {
  for (const Frame& frame : frames_) {
    if (const auto found = frame.parts.find(pair.id); found != frame.parts.end())
      return &found->second;
  }
  return nullptr;
}

void Builder::note_parts(V pair, V real, V imaginary) {
  frames_.back().parts.insert_or_assign(pair.id, std::pair{real, imaginary});
}

// ---- nodes and blocks ---------------------------------------------------------------------------

size_t Builder::append(Frame& frame, std::string op_type, std::string domain, std::vector<V> inputs,
                       std::vector<V> outputs, Attributes attributes) {
  graph::Node node{.op_type = std::move(op_type),
                   .domain = std::move(domain),
                   .attributes = std::move(attributes),
                   .origin = origin_};
  for (V input : inputs) node.inputs.push_back(input.id);
  for (V output : outputs) node.outputs.push_back(output.id);
  frame.block.nodes.push_back(std::move(node));
  return frame.block.nodes.size() - 1;
}

void Builder::emit(std::string op_type, std::string domain, std::vector<V> inputs,
                   std::vector<V> outputs, Attributes attributes) {
  append(frames_.back(), std::move(op_type), std::move(domain), std::move(inputs),
         std::move(outputs), std::move(attributes));
}

void Builder::open_block() { frames_.emplace_back(); }

V Builder::block_input(modelexport::ValueId id) {
  const modelexport::Value& value = program_.values[id];
  const V v = new_value(value.dtype, value.shape, value.kind);
  frames_.back().block.inputs.push_back(v.id);
  bind(id, v);
  return v;
}

V Builder::block_input(DType dtype, Shape shape) {
  const V v = new_value(dtype, std::move(shape));
  frames_.back().block.inputs.push_back(v.id);
  return v;
}

graph::Block Builder::close_block(std::vector<V> outputs) {
  graph::Block block = std::move(frames_.back().block);
  frames_.pop_back();
  for (V output : outputs) block.outputs.push_back(output.id);
  return block;
}

void Builder::unwind(size_t depth) { frames_.resize(depth); }

// ---- symbols ------------------------------------------------------------------------------------

ScopeId Builder::call() const {
  if (!sizes_per_call_) return 0;
  return origin_ == kNone ? program_.entry : program_.origins[origin_].scope;
}

void Builder::note_symbols(V value) {
  const graph::Value& info = at(value);
  if (info.kind != Kind::tensor || !info.shape) return;
  for (size_t axis = 0; axis < info.shape->size(); ++axis) {
    const Dim dim = (*info.shape)[axis];
    if (is_static(dim)) continue;
    frames_.back().sources.try_emplace({call(), symbol_index(dim)},
                                       Source{value, static_cast<int64_t>(axis)});
  }
}

bool Builder::has_symbol(size_t symbol) const {
  return std::any_of(frames_.begin(), frames_.end(), [&](const Frame& frame) {
    return std::any_of(frame.sources.begin(), frame.sources.end(),
                       [&](const auto& source) { return source.first.second == symbol; });
  });
}

std::optional<Builder::Source> Builder::source_in_inputs(ScopeId call, size_t symbol) const {
  for (const Port& port : program_.scopes[call].inputs) {
    if (!is_bound(port.value)) continue;
    const V value = values_[port.value];
    const modelexport::Value& of_program = program_.values[port.value];
    if (of_program.size == symbol_dim(symbol)) return Source{value, -1};
    const graph::Value& info = at(value);
    if (info.kind != Kind::tensor || !info.shape) continue;
    const auto axis = std::find(info.shape->begin(), info.shape->end(), symbol_dim(symbol));
    if (axis != info.shape->end()) return Source{value, axis - info.shape->begin()};
  }
  return std::nullopt;
}

// Of a call, what it gets comes first, then what it makes, then the calls around it.
std::optional<Builder::Found> Builder::find_source(size_t symbol) {
  for (ScopeId from = call(); from != kNone; from = program_.scopes[from].parent) {
    if (sizes_per_call_) {
      if (const auto source = source_in_inputs(from, symbol))
        return Found{*source, &frames_.back()};
    }
    for (Frame& frame : frames_) {
      const auto found = frame.sources.find({from, symbol});
      if (found == frame.sources.end()) continue;
      return Found{found->second, sizes_per_call_ ? &frames_.back() : &frame};
    }
    if (!sizes_per_call_) return std::nullopt;
  }
  for (const Frame& frame : frames_) {
    for (const auto& [key, source] : frame.sources) {
      if (key.second == symbol) return Found{source, &frames_.back()};
    }
  }
  return std::nullopt;
}

// A size that has been computed where the current operator sees it; the node that did now also
// stands for that operator.
Builder::Size* Builder::find_made(std::map<Key, Size> Frame::* sizes, size_t symbol) {
  for (Frame& frame : frames_) {
    const auto made = (frame.*sizes).find({call(), symbol});
    if (made == (frame.*sizes).end()) continue;
    graph::merge_origin(frame.block.nodes[made->second.node], program_, origin_);
    return &made->second;
  }
  return nullptr;
}

V Builder::symbol_size(size_t symbol) {
  if (const Size* made = find_made(&Frame::sizes, symbol)) return made->value;
  const std::optional<Found> found = find_source(symbol);
  if (!found) {
    throw Unsupported{fmt::format("the size '{}' is needed, but no value computed so far has it",
                                  program_.symbols[symbol].name)};
  }
  const auto [value, axis] = found->source;
  const V size = new_value(DType::i64, Shape{1});
  size_t node;
  if (axis < 0) {
    const V axes = constant(DType::i64, {1}, graph::element_bytes(DType::i64, int64_t{0}));
    node = append(*found->frame, "Unsqueeze", "", {value, axes}, {size}, {});
  } else {
    node = append(*found->frame, "Shape", "", {value}, {size},
                  {attr("start", axis), attr("end", axis + 1)});
  }
  found->frame->sizes.emplace(Key{call(), symbol}, Size{size, node});
  return size;
}

V Builder::symbol_number(size_t symbol) {
  if (const Size* made = find_made(&Frame::numbers, symbol)) return made->value;
  const std::optional<Found> found = find_source(symbol);
  if (found && found->source.axis < 0) return found->source.value;
  const V size = symbol_size(symbol);  // in the same frame: it looks in the same order
  Frame& frame = *found->frame;
  const V axes = constant(DType::i64, {1}, graph::element_bytes(DType::i64, int64_t{0}));
  const V number = new_value(DType::i64, Shape{});
  const size_t node = append(frame, "Squeeze", "", {size, axes}, {number}, {});
  frame.numbers.emplace(Key{call(), symbol}, Size{number, node});
  return number;
}

}  // namespace modelexport::lowering
