// Attention: from queries, keys and values. Whole layers with projections are in transformer.cpp.
#include "exporter/lowering/attention.h"

#include <cmath>
#include <limits>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linear.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/side_results.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- ONNX's own operator
// -----------------------------------------------------------------------------

bool has_attention_operator(Call& c, const Attention& attention) {
  const DType dtype = c.dtype_of(attention.query);
  const auto is_batch_of_heads = [&](V x) { return c.rank(x) == 4; };
  if (c.opset() < 23 || (dtype != DType::f32 && dtype != DType::f16)) return false;
  if (const V mask = attention.mask; mask != kOmitted) {
    // ONNX Runtime 1.32 takes the lowest float for minus infinity, which LibTorch does not.
    if (c.dtype_of(mask) != DType::boolean || attention.is_nan_if_blind) return false;
    if (c.rank(mask) < 2) return false;
  }
  return is_batch_of_heads(attention.query) && is_batch_of_heads(attention.key) &&
         is_batch_of_heads(attention.value) &&
         c.shape(attention.query)[0] == c.shape(attention.key)[0];
}

V attention_operator(Call& c, const Attention& attention) {
  V mask = attention.mask;
  if (mask != kOmitted) {
    // Its last two axes do not broadcast.
    Shape shape = c.shape(mask);
    shape[shape.size() - 2] = c.shape(attention.query)[2];
    shape[shape.size() - 1] = c.shape(attention.key)[2];
    mask = expand(c, mask, shape);
  }
  Attributes attributes;
  if (attention.is_causal) attributes.push_back(attr("is_causal", 1));
  if (attention.scale) attributes.push_back(attr("scale", *attention.scale));
  return c.node("Attention", {attention.query, attention.key, attention.value, mask}, attributes);
}

// ---- decomposition
// -----------------------------------------------------------------------------------

V scale_query(Call& c, const Attention& attention) {
  const DType dtype = c.dtype_of(attention.query);
  const int64_t last = c.rank(attention.query) - 1;
  const std::optional<int64_t> features = static_size(c, attention.query, last);
  if (attention.scale || features) {
    const double scale =
        attention.scale.value_or(1 / std::sqrt(static_cast<double>(features.value_or(1))));
    return c.mul(attention.query, c.constant(scale, dtype));
  }
  const V size = c.cast(size_number(c, attention.query, last), dtype);
  return c.div(attention.query, c.node("Sqrt", {size}));
}

// Minus infinity for what lies in the future of a query.
V causal_bias(Call& c, const Attention& attention, DType dtype) {
  const V lengths = concat_sizes(c, {c.size_of(attention.query, c.rank(attention.query) - 2),
                                     c.size_of(attention.key, c.rank(attention.key) - 2)});
  const V hidden = expand_to(c, c.constant(-kInfinity, dtype), lengths);
  return c.node("Trilu", {hidden, c.constant_int(1)}, {attr("upper", 1)});
}

// Whether each query may look at anything, by its row of the mask.
V sees_anything(Call& c, V mask) {
  const int64_t last = c.rank(mask) - 1;
  if (c.dtype_of(mask) == DType::boolean) return reduce(c, "ReduceMax", mask, {last}, true);
  const V largest = reduce(c, "ReduceMax", mask, {last}, true);
  return c.node("Greater", {largest, c.constant(-kInfinity, c.dtype_of(mask))});
}

V masked(Call& c, V scores, const Attention& attention) {
  const DType dtype = c.dtype_of(scores);
  const V mask = attention.mask;
  if (mask == kOmitted) return scores;
  if (c.dtype_of(mask) != DType::boolean) return c.add(scores, mask);
  // As a number to add, it is made once for all layers.
  const double hidden =
      attention.is_nan_if_blind ? -kInfinity : std::numeric_limits<float>::lowest();
  return c.add(scores, c.where(mask, c.constant(0, dtype), c.constant(hidden, dtype)));
}

Attended decompose(Call& c, const Attention& attention) {
  const DType dtype = c.dtype_of(attention.query);
  const V keys = transpose_matrices(c, attention.key);
  V scores = c.node("MatMul", {scale_query(c, attention), keys});
  if (attention.is_causal) scores = c.add(scores, causal_bias(c, attention, dtype));
  scores = masked(c, scores, attention);
  V weights = c.node("Softmax", {scores}, {attr("axis", int64_t{-1})});
  V output = c.node("MatMul", {weights, attention.value});
  if (attention.mask != kOmitted && !attention.is_nan_if_blind) {
    const V sees = sees_anything(c, attention.mask), zero = c.constant(0, dtype);
    weights = c.where(sees, weights, zero);
    output = c.where(sees, output, zero);
  }
  return {output, weights};
}

// Repeats the heads of keys or values (axis -3) so that there are as many as of queries.
V repeat_heads(Call& c, V x, V query) {
  const auto heads = static_size(c, x, c.rank(x) - 3),
             wanted = static_size(c, query, c.rank(query) - 3);
  if (!heads || !wanted) throw Unsupported{"a number of heads that depends on the inputs"};
  if (*heads == *wanted) return x;
  const int64_t axis = c.rank(x) - 3;
  Shape shape = c.shape(x), repeated = shape;
  repeated.insert(repeated.begin() + axis + 1, *wanted / *heads);
  shape[axis] = *wanted;
  return c.reshape(expand(c, c.unsqueeze(x, {axis + 1}), repeated), shape);
}

// ---- operators
// -----------------------------------------------------------------------------------------

// Arguments that all operators have.
Attention attention_of(Call& c) {
  if (c.number("dropout_p") != 0) throw Unsupported{"dropout"};
  V query = c.tensor("query");
  std::optional<double> scale;
  if (!c.is_none("scale") && !c.is_known("scale")) {
    query = run(c, "Mul", {query, c.scalar("scale", c.dtype_of(query))});
    scale = 1;
  } else {
    scale = c.optional_number("scale");
  }
  return {.query = query,
          .key = c.tensor("key"),
          .value = c.tensor("value"),
          .mask = kOmitted,
          .is_causal = c.boolean("is_causal"),
          .scale = scale};
}

void share_heads(Call& c, Attention& attention) {
  if (!c.boolean("enable_gqa")) return;
  attention.key = repeat_heads(c, attention.key, attention.query);
  attention.value = repeat_heads(c, attention.value, attention.query);
}

// aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value,
//     Tensor? attn_mask=None, float dropout_p=0., bool is_causal=False, *, float? scale=None,
//     bool enable_gqa=False) -> Tensor
V scaled_dot_product_attention(Call& c) {
  Attention attention = attention_of(c);
  attention.mask = c.optional_tensor("attn_mask");
  // The operator of ONNX shares heads by itself.
  if (has_attention_operator(c, attention))
    c.ignore({"enable_gqa"});
  else
    share_heads(c, attention);
  return attend(c, attention, false).output;
}

// aten::_scaled_dot_product_attention_math(Tensor query, Tensor key, Tensor value,
//     Tensor? attn_mask=None, float dropout_p=0., bool is_causal=False,
//     Tensor? dropout_mask=None, *, float? scale=None, bool enable_gqa=False) -> (Tensor, Tensor)
std::vector<V> attention_math(Call& c) {
  if (!c.is_none("dropout_mask")) throw Unsupported{"dropout"};
  Attention attention = attention_of(c);
  share_heads(c, attention);
  // Here booleans are numbers to add, too.
  attention.mask = c.optional_tensor("attn_mask");
  if (attention.mask != kOmitted) attention.mask = c.cast(attention.mask, c.out_dtype());
  const Attended attended = attend(c, attention, true);
  return {attended.output, attended.weights};
}

// aten::_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value,
//     float dropout_p=0., bool is_causal=False, *, Tensor? attn_mask=None, float? scale=None)
//     -> (Tensor output, Tensor logsumexp)
std::vector<V> attention_flash(Call& c) {
  Attention attention = attention_of(c);
  attention.mask = c.optional_tensor("attn_mask");
  const V output = attend(c, attention, false).output;
  return {output, unused_result(c, 1, "the logarithms of the sums")};
}

}  // namespace

Attended attend(Call& c, Attention attention, bool needs_weights) {
  if (!needs_weights && has_attention_operator(c, attention)) {
    return {attention_operator(c, attention), kOmitted};
  }
  // Half precision is widened, as PyTorch's kernels do.
  const DType dtype = c.dtype_of(attention.query);
  const DType wide = dtype == DType::f64 ? dtype : DType::f32;
  for (V* x : {&attention.query, &attention.key, &attention.value}) *x = c.cast(*x, wide);
  if (attention.mask != kOmitted && c.dtype_of(attention.mask) != DType::boolean) {
    attention.mask = c.cast(attention.mask, wide);
  }
  const Attended attended = decompose(c, attention);
  return {c.cast(attended.output, dtype), c.cast(attended.weights, dtype)};
}

std::span<const Row> attention_table() {
  static constexpr Row kRows[] = {
      {"aten::_scaled_dot_product_attention_math", attention_math},
      {"aten::_scaled_dot_product_flash_attention_for_cpu", attention_flash},
      {"aten::scaled_dot_product_attention", scaled_dot_product_attention},
  };
  static const std::vector<Row> kAll = joined(kRows, transformer_rows());
  return kAll;
}

}  // namespace modelexport::lowering
