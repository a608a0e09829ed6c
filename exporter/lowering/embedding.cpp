// Rows of a table: one per index, or combined into bags.
#include <limits>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/side_results.h"

namespace modelexport::lowering {
namespace {

V as_index(Call& c, V index) {
  return c.dtype_of(index) == DType::i32 ? index : c.cast(index, DType::i64);
}

// aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1,
//     bool scale_grad_by_freq=False, bool sparse=False) -> Tensor
V embedding(Call& c) {
  c.ignore({"padding_idx", "scale_grad_by_freq", "sparse"});
  return c.gather(c.tensor("weight"), as_index(c, c.tensor("indices")), 0);
}

// aten::embedding_renorm(Tensor self, Tensor indices, float max_norm, float norm_type) -> Tensor
V embedding_renorm(Call& c) {
  const V table = c.tensor("self");
  const DType dtype = c.dtype_of(table);
  const double p = c.number("norm_type");
  if (p != 1 && p != 2) throw Unsupported{"a norm other than 1 and 2"};
  const V indices = c.tensor("indices", DType::i64);
  const V rows = c.gather(table, indices, 0);
  const V norms = reduce(c, p == 2 ? "ReduceL2" : "ReduceL1", rows, {c.rank(indices)}, true);
  const V limit = c.constant(c.number("max_norm"), dtype);
  const V scale = run(c, "Div", {limit, run(c, "Add", {norms, c.constant(1e-7, dtype)})});
  const V is_long = c.node("Greater", {norms, limit});
  const V shorter = choose(c, is_long, run(c, "Mul", {rows, scale}), rows);
  return c.node("ScatterND", {table, c.unsqueeze(indices, {c.rank(indices)}), shorter});
}

// ---- bags
// ------------------------------------------------------------------------------------------

enum Mode : int64_t { kSum = 0, kMean = 1, kMax = 2 };

// The number of the bag that each index is in, counted from the bags' first positions.
V bag_numbers(Call& c, V indices, V starts) {
  const V size = c.size_of(indices, 0);
  // Bags may begin behind the last index: they are empty.
  const V none = expand_to(c, c.constant_int(0), c.add(size, c.constant_ints({1})));
  const V one_each = expand_to(c, c.constant_int(1), c.shape_of(starts));
  const V marks = c.node("ScatterElements", {none, starts, one_each}, {attr("reduction", "add")});
  const V begun = c.node("CumSum", {marks, c.constant_int(0)});
  return c.sub(c.slice(begun, 0, 0, -1), c.constant_ints({1}));
}

// How many indices are in each bag: [bags, 1].
V bag_sizes(Call& c, V bags, V bag_count) {
  const V none = expand_to(c, c.constant_int(0), bag_count);
  const V one_each = expand_to(c, c.constant_int(1), c.shape_of(bags));
  const V sizes = c.node("ScatterElements", {none, bags, one_each}, {attr("reduction", "add")});
  return c.unsqueeze(sizes, {1});
}

// The sum, mean or maximum of the rows of each bag; zero for an empty one.
V combine(Call& c, V rows, V bags, V bag_count, int64_t mode) {
  const DType dtype = c.dtype_of(rows);
  const double neutral = mode == kMax ? -std::numeric_limits<double>::infinity() : 0;
  const V shape = concat_sizes(c, {bag_count, c.size_of(rows, 1)});
  const V none = expand_to(c, c.constant(neutral, dtype), shape);
  const V combined = c.node("ScatterND", {none, c.unsqueeze(bags, {1}), rows},
                            {attr("reduction", mode == kMax ? "max" : "add")});
  if (mode == kSum) return combined;
  const V sizes = bag_sizes(c, bags, bag_count);
  if (mode == kMax) {
    const V is_empty = c.node("Equal", {sizes, c.constant_int(0)});
    return c.where(is_empty, c.constant(0, dtype), combined);
  }
  return c.div(combined, c.cast(c.node("Max", {sizes, c.constant_int(1)}), dtype));
}

// Rows of a table, each with its weight.
V weighted(Call& c, V rows) {
  const DType wide = c.dtype_of(rows) == DType::f64 ? DType::f64 : DType::f32;
  const V weights = c.optional_tensor("per_sample_weights");
  rows = c.cast(rows, wide);
  if (weights == kOmitted) return rows;
  return c.mul(rows, c.unsqueeze(c.cast(weights, wide), {c.rank(weights)}));
}

std::vector<V> embedding_bags(Call& c, std::optional<int64_t> padding) {
  c.ignore({"scale_grad_by_freq", "sparse"});
  const int64_t mode = c.integer("mode");
  if (mode == kMax && c.opset() < 18) throw Unsupported{"mode \"max\" before opset 18"};
  const V table = c.tensor("weight"), indices = c.tensor("indices", DType::i64);
  const V starts = c.tensor("offsets", DType::i64);
  V bags = bag_numbers(c, indices, starts), bag_count = c.size_of(starts, 0);
  // What comes after the last offset, and padding, go into a bag behind the others.
  const bool has_end = c.boolean("include_last_offset");
  if (padding) {
    const V last = has_end ? c.sub(bag_count, c.constant_ints({1})) : bag_count;
    bags = c.where(c.node("Equal", {indices, c.constant_int(*padding)}), last, bags);
  }
  if (padding && !has_end) bag_count = add_sizes(c, bag_count, c.constant_ints({1}));
  const V result = combine(c, weighted(c, c.gather(table, indices, 0)), bags, bag_count, mode);
  return {c.cast(padding || has_end ? c.slice(result, 0, 0, -1) : result, c.dtype_of(table)),
          unused_result(c, 1, "the bag of each index"),
          unused_result(c, 2, "the sizes of the bags"),
          unused_result(c, 3, "the rows with the maxima")};
}

// aten::embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False,
//     int mode=0, bool sparse=False, Tensor? per_sample_weights=None,
//     bool include_last_offset=False) -> (Tensor, Tensor, Tensor, Tensor)
std::vector<V> embedding_bag(Call& c) { return embedding_bags(c, std::nullopt); }

// aten::embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets,
//     bool scale_grad_by_freq, int mode, bool sparse, Tensor? per_sample_weights,
//     bool include_last_offset, int? padding_idx) -> (Tensor, Tensor, Tensor, Tensor)
std::vector<V> embedding_bag_padding(Call& c) {
  std::optional<int64_t> padding = c.optional_integer("padding_idx");
  if (padding && *padding < 0) *padding += c.shape(c.tensor("weight"))[0];
  return embedding_bags(c, padding);
}

// aten::_embedding_bag(Tensor weight, Tensor indices, Tensor offsets,
//     bool scale_grad_by_freq=False, int mode=0, bool sparse=False,
//     Tensor? per_sample_weights=None, bool include_last_offset=False, int padding_idx=-1)
//     -> (Tensor, Tensor, Tensor, Tensor)
std::vector<V> embedding_bag_internal(Call& c) {
  const int64_t padding = c.integer("padding_idx");
  return embedding_bags(c, padding < 0 ? std::nullopt : std::optional(padding));
}

// ---- tables of small integers
// ------------------------------------------------------------------------------------------

// Two 4-bit integers from each byte, the lower one first.
V halves(Call& c, V bytes) {
  const int64_t axis = c.rank(bytes);
  const V low = c.node("Mod", {bytes, c.constant_int(16, DType::u8)});
  const V high =
      c.node("BitShift", {bytes, c.constant_int(4, DType::u8)}, {attr("direction", "RIGHT")});
  const V pairs = c.concat({c.unsqueeze(low, {axis}), c.unsqueeze(high, {axis})}, axis);
  Shape shape = c.shape(bytes);
  shape.back() *= 2;
  return c.reshape(pairs, shape);
}

// Each row has a scale and a zero point of its own.
V quantized_rows(Call& c, V indices, int bits) {
  const auto& table = std::get<ArgumentList>(c.argument_at(0));  // integers, scales, zero points
  const auto gathered = [&](size_t part) {
    const V all = c.value_of(table.at(part));
    Shape shape = c.shape(indices);
    if (part == 0) shape.push_back(c.shape(all)[1]);
    return c.typed(c.gather(all, indices, 0), c.dtype_of(all), shape);
  };
  const auto by_row = [&](V x) { return c.unsqueeze(x, {c.rank(indices)}); };
  V rows = gathered(0);
  if (bits == 4) rows = halves(c, rows);
  return c.mul(c.sub(c.cast(rows, DType::f32), by_row(gathered(2))), by_row(gathered(1)));
}

// quantized::embedding_byte(EmbeddingPackedParamsBase weight, Tensor indices,
//     bool pruned_weights=False) -> Tensor
// quantized::embedding_4bit(EmbeddingPackedParamsBase weight, Tensor indices,
//     bool pruned_weights=False) -> Tensor
template <int bits>
V quantized_embedding(Call& c) {
  c.ignore({"pruned_weights"});
  return quantized_rows(c, as_index(c, c.tensor("indices")), bits);
}

// quantized::embedding_bag_byte(EmbeddingPackedParamsBase weight, Tensor indices,
//     Tensor? offsets=None, bool scale_grad_by_freq=False, int mode=0, bool pruned_weights=False,
//     Tensor? per_sample_weights=None, Tensor? compressed_indices_mapping=None,
//     bool include_last_offset=False) -> Tensor
// quantized::embedding_bag_4bit likewise; it is always the sum, whatever the mode
template <int bits>
V quantized_bags(Call& c) {
  c.ignore({"scale_grad_by_freq", "mode", "pruned_weights"});
  if (!c.is_none("compressed_indices_mapping")) throw Unsupported{"a table with rows left out"};
  const V indices = c.tensor("indices", DType::i64);
  const V rows = weighted(c, quantized_rows(c, indices, bits));
  const bool has_end = c.boolean("include_last_offset");
  const V starts = c.is_none("offsets") ? kOmitted : c.tensor("offsets", DType::i64);
  if (c.rank(indices) == 2) return reduce(c, "ReduceSum", rows, {1}, false);  // a bag each row
  const V bags = bag_numbers(c, indices, starts);
  const V result = combine(c, rows, bags, c.size_of(starts, 0), kSum);
  return has_end ? c.slice(result, 0, 0, -1) : result;
}

}  // namespace

std::span<const Row> embedding_table() {
  static constexpr Row kRows[] = {
      {"aten::_embedding_bag", embedding_bag_internal},
      {"aten::_embedding_bag_forward_only", embedding_bag_internal},
      {"aten::embedding", embedding},
      {"aten::embedding_bag", embedding_bag},
      {"aten::embedding_bag.padding_idx", embedding_bag_padding},
      {"aten::embedding_renorm", embedding_renorm},
      {"quantized::embedding_4bit", quantized_embedding<4>},
      {"quantized::embedding_bag_4bit", quantized_bags<4>},
      {"quantized::embedding_bag_byte", quantized_bags<8>},
      {"quantized::embedding_byte", quantized_embedding<8>},
  };
  return kRows;
}

}  // namespace modelexport::lowering
