// Whole layers as one operator: what torch.nn.MultiheadAttention and TransformerEncoderLayer run in
// evaluation mode.
#include <string_view>

#include "exporter/lowering/attention.h"
#include "exporter/lowering/expression.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linear.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/side_results.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- multi-head attention
// --------------------------------------------------------------------------

// What a mask is of: PyTorch's mask_type.
enum MaskType : int64_t { kAttention = 0, kPadding = 1, kBoth = 2 };

struct MultiHead {
  V query, key, value;  // [batch, length, features]
  V mask;               // not zero: hidden
  int64_t mask_type = kBoth;
  int64_t heads = 1;
};

// Projects to [batch, heads, length, features per head]; `part`: 0 query, 1 key, 2 value.
V project(Call& c, V x, int64_t heads, int64_t part) {
  const V weight = c.tensor("qkv_weight"), bias = c.tensor("qkv_bias");
  const int64_t features = c.shape(weight)[0] / 3, start = part * features;
  const V projected = linear_layer(c, x, c.slice(weight, 0, start, start + features),
                                   c.slice(bias, 0, start, start + features));
  const Shape shape = c.shape(x);
  const V split = c.reshape(projected, {shape[0], shape[1], heads, features / heads});
  return c.transpose(split, {0, 2, 1, 3});
}

// Query, key and value of one tensor, projected together.
std::vector<V> project_all(Call& c, V x, int64_t heads) {
  const V weight = c.tensor("qkv_weight");
  const int64_t features = c.shape(weight)[0] / 3;
  const V projected = linear_layer(c, x, weight, c.tensor("qkv_bias"));
  const Shape shape = c.shape(x);
  const V split = c.reshape(projected, {shape[0], shape[1], 3, heads, features / heads});
  const V by_part = c.transpose(split, {2, 0, 3, 1, 4});
  std::vector<V> parts;
  for (int64_t part : {0, 1, 2}) parts.push_back(c.gather(by_part, c.constant_int(part), 0));
  return parts;
}

// What each query may see: [batch or 1, heads or 1, queries or 1, keys].
V visible(Call& c, const MultiHead& layer) {
  if (layer.mask == kOmitted) return kOmitted;
  const V hidden = c.cast(layer.mask, DType::boolean);
  const V seen = c.node("Not", {hidden});
  return layer.mask_type == kPadding ? c.unsqueeze(seen, {1, 2}) : seen;
}

Attended multi_head(Call& c, const MultiHead& layer, bool needs_weights) {
  std::vector<V> parts;
  if (layer.query == layer.key && layer.key == layer.value) {
    parts = project_all(c, layer.query, layer.heads);
  } else {
    parts = {project(c, layer.query, layer.heads, 0), project(c, layer.key, layer.heads, 1),
             project(c, layer.value, layer.heads, 2)};
  }
  const Attended attended = attend(c,
                                   {.query = parts[0],
                                    .key = parts[1],
                                    .value = parts[2],
                                    .mask = visible(c, layer),
                                    .is_nan_if_blind = true},
                                   needs_weights);
  const Shape shape = c.shape(layer.query);
  const V merged = c.reshape(c.transpose(attended.output, {0, 2, 1, 3}), shape);
  return {linear_layer(c, merged, c.tensor("proj_weight"), c.tensor("proj_bias")),
          attended.weights};
}

// aten::_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim,
//     int num_head, Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias,
//     Tensor? mask=None, bool need_weights=True, bool average_attn_weights=True,
//     int? mask_type=None) -> (Tensor, Tensor)
std::vector<V> native_multi_head_attention(Call& c) {
  c.ignore({"embed_dim"});
  const bool needs_weights = c.boolean("need_weights");
  const bool averages = c.boolean("average_attn_weights");
  const auto [output, weights] =
      multi_head(c,
                 {.query = c.tensor("query"),
                  .key = c.tensor("key"),
                  .value = c.tensor("value"),
                  .mask = c.optional_tensor("mask"),
                  .mask_type = c.optional_integer("mask_type").value_or(kBoth),
                  .heads = c.integer("num_head")},
                 needs_weights);
  if (!needs_weights) return {output, unused_result(c, 1, "the attention weights")};
  return {output, averages ? reduce(c, "ReduceMean", weights, {1}, false) : weights};
}

// ---- encoder layer
// ---------------------------------------------------------------------------------

V layer_norm(Call& c, V x, std::string_view weight, std::string_view bias) {
  return run(c, "LayerNormalization", {x, c.tensor(weight), c.tensor(bias)},
             {attr("axis", int64_t{-1}), attr("epsilon", c.number("eps"))});
}

V feed_forward(Call& c, V x) {
  V inner = linear_layer(c, x, c.tensor("ffn_weight_1"), c.tensor("ffn_bias_1"));
  const Expr gate(c, inner);
  if (!c.boolean("use_gelu")) {
    inner = run(c, "Relu", {inner});
  } else if (c.opset() >= 20) {
    inner = run(c, "Gelu", {inner});
  } else {
    inner = gate * 0.5 * (erf(gate * 0.70710678118654752) + 1.0);
  }
  return linear_layer(c, inner, c.tensor("ffn_weight_2"), c.tensor("ffn_bias_2"));
}

// aten::_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight,
//     Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first,
//     float eps, Tensor norm_weight_1, Tensor norm_bias_1, Tensor norm_weight_2,
//     Tensor norm_bias_2, Tensor ffn_weight_1, Tensor ffn_bias_1, Tensor ffn_weight_2,
//     Tensor ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor
V transformer_encoder_layer(Call& c) {
  c.ignore({"embed_dim"});
  const V source = c.tensor("src");
  const bool norm_first = c.boolean("norm_first");
  const auto norm_1 = [&](V x) { return layer_norm(c, x, "norm_weight_1", "norm_bias_1"); };
  const auto norm_2 = [&](V x) { return layer_norm(c, x, "norm_weight_2", "norm_bias_2"); };
  const V x = c.typed(norm_first ? norm_1(source) : source, c.out_dtype(), c.shape(source));
  const MultiHead layer{.query = x,
                        .key = x,
                        .value = x,
                        .mask = c.optional_tensor("mask"),
                        .mask_type = c.optional_integer("mask_type").value_or(kBoth),
                        .heads = c.integer("num_heads")};
  const V attended = multi_head(c, layer, false).output;
  V sum = run(c, "Add", {source, attended});
  if (!norm_first) sum = norm_1(sum);
  sum = c.typed(sum, c.out_dtype(), c.shape(source));
  const V result = run(c, "Add", {sum, feed_forward(c, norm_first ? norm_2(sum) : sum)});
  return norm_first ? result : norm_2(result);
}

}  // namespace

std::span<const Row> transformer_rows() {
  static constexpr Row kRows[] = {
      {"aten::_native_multi_head_attention", native_multi_head_attention},
      {"aten::_transformer_encoder_layer_fwd", transformer_encoder_layer},
  };
  return kRows;
}

}  // namespace modelexport::lowering
