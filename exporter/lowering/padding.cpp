// Padding: constant, reflecting, replicating, circular. PyTorch lists (before, after) from the last
// axis on; negative numbers take elements away.
#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

// One number per axis of the input, in its order.
struct Pads {
  std::vector<int64_t> before, after;
};

Pads in_axis_order(const std::vector<int64_t>& pad, int64_t rank) {
  Pads pads{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  for (size_t i = 0; i + 1 < pad.size(); i += 2) {
    const int64_t axis = rank - 1 - static_cast<int64_t>(i / 2);
    pads.before[axis] = pad[i];
    pads.after[axis] = pad[i + 1];
  }
  return pads;
}

bool is_zero(const Pads& pads) {
  const auto zero = [](int64_t size) { return size == 0; };
  return std::ranges::all_of(pads.before, zero) && std::ranges::all_of(pads.after, zero);
}

// Takes away what is negative, and leaves the rest in `pads`.
V crop(Call& c, V x, Pads& pads) {
  for (size_t axis = 0; axis < pads.before.size(); ++axis) {
    const int64_t start = std::max<int64_t>(-pads.before[axis], 0);
    const int64_t end = pads.after[axis] < 0 ? pads.after[axis] : kToTheEnd;
    x = c.slice(x, static_cast<int64_t>(axis), start, end);
    pads.before[axis] = std::max<int64_t>(pads.before[axis], 0);
    pads.after[axis] = std::max<int64_t>(pads.after[axis], 0);
  }
  return x;
}

V pad_node(Call& c, V x, V pads, const char* mode, V value = kOmitted) {
  return run(c, "Pad", {x, pads, value}, {attr("mode", mode)});
}

V pads_vector(Call& c, const Pads& pads) {
  return c.constant_ints(joined(pads.before, pads.after));
}

// Pads that depend on the inputs: [(before, after) of the last axis, ...] to ONNX's order.
V pads_vector(Call& c, V pad, int64_t rank) {
  const int64_t axes = c.shape(pad)[0] / 2;
  const V pairs = c.reshape(pad, {axes, 2});
  std::vector<int64_t> reversed = axes_from(0, axes);
  std::ranges::reverse(reversed);
  const V by_side = c.transpose(c.gather(pairs, c.constant_ints(reversed), 0), {1, 0});
  if (axes == rank) return c.flatten_to_1d(by_side);
  const V none = filled_with(c, 0, DType::i64, {2, rank - axes});
  return c.flatten_to_1d(c.concat({none, by_side}, 1));
}

V pad_constant(Call& c, V x, std::string_view pad_name, V value) {
  if (!c.is_known(pad_name))
    return pad_node(c, x, pads_vector(c, c.int_list(pad_name), c.rank(x)), "constant", value);
  const Pads pads = in_axis_order(c.integers(pad_name), c.rank(x));
  return is_zero(pads) ? x : pad_node(c, x, pads_vector(c, pads), "constant", value);
}

V pad_edges(Call& c, V x, std::string_view pad_name, const char* mode) {
  if (!c.is_known(pad_name))
    return pad_node(c, x, pads_vector(c, c.int_list(pad_name), c.rank(x)), mode);
  Pads pads = in_axis_order(c.integers(pad_name), c.rank(x));
  // PyTorch reflects before it takes away.
  Pads negative = pads;
  for (size_t axis = 0; axis < pads.before.size(); ++axis) {
    pads.before[axis] = std::max<int64_t>(pads.before[axis], 0);
    pads.after[axis] = std::max<int64_t>(pads.after[axis], 0);
    negative.before[axis] = std::min<int64_t>(negative.before[axis], 0);
    negative.after[axis] = std::min<int64_t>(negative.after[axis], 0);
  }
  const V padded = is_zero(pads) ? x : pad_node(c, x, pads_vector(c, pads), mode);
  return crop(c, padded, negative);
}

V pad_around(Call& c, V x, std::string_view pad_name) {
  if (!c.is_known(pad_name)) {
    if (c.opset() < 19) throw Unsupported{"circular padding of dynamic width before opset 19"};
    return pad_node(c, x, pads_vector(c, c.int_list(pad_name), c.rank(x)), "wrap");
  }
  Pads pads = in_axis_order(c.integers(pad_name), c.rank(x));
  x = crop(c, x, pads);
  if (is_zero(pads)) return x;
  if (c.opset() >= 19) return pad_node(c, x, pads_vector(c, pads), "wrap");
  for (size_t i = 0; i < pads.before.size(); ++i) {
    const int64_t axis = static_cast<int64_t>(i);
    std::vector<V> parts{x};
    if (pads.before[i] > 0)
      parts.insert(parts.begin(), c.slice(x, axis, -pads.before[i], kToTheEnd));
    if (pads.after[i] > 0) parts.push_back(c.slice(x, axis, 0, pads.after[i]));
    x = c.concat(parts, axis);
  }
  return x;
}

// aten::pad(Tensor self, SymInt[] pad, str mode="constant", float? value=None) -> Tensor
V pad(Call& c) {
  const std::string mode = c.text("mode");
  const V x = c.tensor("self");
  if (mode == "constant") {
    const V value =
        c.is_none("value") ? c.constant(0, c.dtype_of(x)) : c.scalar("value", c.dtype_of(x));
    return pad_constant(c, x, "pad", value);
  }
  c.ignore({"value"});
  if (mode == "circular") return pad_around(c, x, "pad");
  return pad_edges(c, x, "pad", mode == "reflect" ? "reflect" : "edge");
}

// aten::_pad_enum(Tensor self, SymInt[] pad, int mode, float? value=None) -> Tensor
V pad_enum(Call& c) {
  const int64_t mode = c.integer("mode");  // at::padding_mode
  const V x = c.tensor("self");
  if (mode == 3) {
    const V value =
        c.is_none("value") ? c.constant(0, c.dtype_of(x)) : c.scalar("value", c.dtype_of(x));
    return pad_constant(c, x, "pad", value);
  }
  c.ignore({"value"});
  if (mode == 2) return pad_around(c, x, "pad");
  return pad_edges(c, x, "pad", mode == 0 ? "reflect" : "edge");
}

// aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor
V constant_pad_nd(Call& c) {
  const V x = c.tensor("self");
  return pad_constant(c, x, "pad", c.scalar("value", c.dtype_of(x)));
}

// aten::reflection_pad2d(Tensor self, SymInt[4] padding) -> Tensor
V reflection_pad(Call& c) { return pad_edges(c, c.tensor("self"), "padding", "reflect"); }

// aten::replication_pad2d(Tensor self, SymInt[4] padding) -> Tensor
V replication_pad(Call& c) { return pad_edges(c, c.tensor("self"), "padding", "edge"); }

// aten::_pad_circular(Tensor self, SymInt[] pad) -> Tensor
V pad_circular(Call& c) { return pad_around(c, c.tensor("self"), "pad"); }

// aten::pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0.,
//   str padding_side="right") -> Tensor
V pad_sequence(Call& c) {
  const bool batch_first = c.boolean("batch_first");
  const bool on_right = c.text("padding_side") == "right";
  c.ignore({"padding_value"});  // where all are of one length
  std::vector<V> sequences = c.tensors("sequences"), lengths;
  for (V x : sequences) lengths.push_back(c.size_of(x, 0));
  const Dim longest = c.out_shape()[batch_first ? 1 : 0];
  const V length =
      is_static(longest) ? c.constant_ints({longest}) : c.node("Max", std::move(lengths));
  for (V& x : sequences) {
    if (c.shape(x)[0] != longest) {
      const V none = c.constant_ints({0}),
              missing = add_sizes(c, length, negated(c, c.size_of(x, 0)));
      const V others = c.constant_ints(std::vector<int64_t>(c.rank(x) - 1, 0));
      const V before = on_right ? none : missing, after = on_right ? missing : none;
      const V value = c.scalar("padding_value", c.dtype_of(x));
      x = pad_node(c, x, concat_sizes(c, {before, others, after, others}), "constant", value);
    }
    x = c.unsqueeze(x, {batch_first ? 0 : 1});
  }
  return c.concat(sequences, batch_first ? 0 : 1);
}

constexpr Row kRows[] = {
    {"aten::_pad_circular", pad_circular},        {"aten::_pad_enum", pad_enum},
    {"aten::constant_pad_nd", constant_pad_nd},   {"aten::pad", pad},
    {"aten::pad_sequence", pad_sequence},         {"aten::reflection_pad1d", reflection_pad},
    {"aten::reflection_pad2d", reflection_pad},   {"aten::reflection_pad3d", reflection_pad},
    {"aten::replication_pad1d", replication_pad}, {"aten::replication_pad2d", replication_pad},
    {"aten::replication_pad3d", replication_pad},
};

}  // namespace

std::span<const Row> padding_rows() { return kRows; }

}  // namespace modelexport::lowering
