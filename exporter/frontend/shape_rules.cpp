#include "exporter/frontend/shape_rules.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>

namespace modelexport::frontend {
namespace {

// Much work for each element: what costs most in a module.
bool is_product(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = {
      // matrices
      "linear", "matmul", "mm", "bmm", "mv", "dot", "addmm", "addmv", "addbmm", "baddbmm", "einsum",
      "tensordot", "inner", "outer", "ger", "bilinear", "linalg_matmul", "linalg_vecdot", "cdist",
      "scaled_dot_product_attention",
      // convolutions
      "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
      "convolution", "_convolution",
      // recurrent layers
      "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell",
      "rnn_relu_cell"};
  return kNames.contains(name);
}

// Others that may have no meta kernel, and whose results' shapes follow from their inputs'.
bool is_known_by_shapes(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = {
      // normalization
      "layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "batch_norm",
      "instance_norm", "rms_norm", "softmax", "log_softmax", "_softmax", "_log_softmax",
      "_weight_norm", "cosine_similarity", "norm", "linalg_norm", "linalg_vector_norm", "normalize",
      // views and copies
      "to", "type_as", "contiguous", "clone", "copy", "detach", "alias", "lift_fresh", "data",
      "reshape", "reshape_as", "view", "view_as", "_unsafe_view", "flatten", "ravel", "unflatten",
      "expand", "expand_as", "broadcast_to", "broadcast_tensors", "squeeze", "unsqueeze", "permute",
      "transpose", "t", "numpy_T", "mT", "mH", "adjoint", "movedim", "moveaxis", "swapaxes",
      "swapdims", "select", "slice", "narrow", "diagonal", "unbind", "split", "split_with_sizes",
      "chunk", "unsafe_chunk", "unsafe_split", "unfold", "as_strided", "atleast_1d", "atleast_2d",
      "atleast_3d", "_cast_Float", "_cast_Half", "_cast_Double", "_cast_Long", "_cast_Int",
      // joining and rearranging
      "cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack",
      "meshgrid", "repeat", "tile", "flip", "fliplr", "flipud", "roll", "rot90", "pad",
      "constant_pad_nd", "pixel_shuffle", "pixel_unshuffle", "index_select", "gather", "embedding",
      "take_along_dim", "slice_scatter", "select_scatter", "diagonal_scatter", "index_put",
      "index_fill", "masked_fill", "masked_scatter", "scatter", "diag_embed", "argsort", "sort",
      // elementwise and reductions
      "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "relu6", "selu",
      "relu", "hardtanh", "hardswish", "isnan", "angle", "logit", "log_sigmoid_forward", "prod",
      "nansum", "nanmedian", "trace", "take", "remainder", "index", "bucketize", "searchsorted",
      "celu", "prelu", "rrelu", "log_sigmoid", "square", "where", "max", "min", "mean", "sum",
      "std", "var", "var_mean", "std_mean", "logsumexp", "median", "mode", "kthvalue", "rsub",
      "isinf", "isfinite", "isclose", "logical_and", "logical_or", "logical_not", "logical_xor",
      "__and__", "__or__", "__xor__", "multiply", "true_divide", "divide", "subtract", "negative",
      "absolute", "clip", "greater", "greater_equal", "less", "less_equal", "not_equal",
      "floor_divide", "float_power", "nan_to_num", "ones_like", "zeros_like", "full_like",
      "empty_like", "rand_like", "randn_like", "fill", "new_zeros", "new_ones", "new_full",
      "new_empty",
      // pooling and resizing
      "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "adaptive_avg_pool1d",
      "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "upsample_nearest1d",
      "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d",
      "upsample_trilinear3d", "upsample_bicubic2d", "grid_sampler", "grid_sampler_2d",
      "grid_sampler_3d", "im2col", "col2im", "reflection_pad2d", "max_pool3d_with_indices",
      "channel_shuffle"};
  return kNames.contains(name);
}

// Of operators that have others, the overloads that find sizes in data.
bool finds_sizes_in_data(const c10::FunctionSchema& schema) {
  if (schema.name() == "aten::where") return schema.arguments().size() == 1;
  return schema.overload_name() == "tensor_indices_or_sections" ||
         (schema.name() == "aten::narrow" && schema.overload_name() == "Tensor");
}

bool has_tag(const torch::jit::Operator& op, at::Tag tag) {
  const auto tags = op.getTags();
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

}  // namespace

ShapeRule shape_rule(const torch::jit::Operator& op) {
  const auto& schema = op.schema();
  if (has_tag(op, at::Tag::dynamic_output_shape) || has_tag(op, at::Tag::data_dependent_output) ||
      finds_sizes_in_data(schema)) {
    return {.depends_on_data = true};
  }
  std::string_view name = schema.name();
  const auto handle = c10::Dispatcher::singleton().findSchema(schema.operator_name());
  const bool has_kernel = handle && handle->hasKernelForDispatchKey(c10::DispatchKey::Meta);
  if (!name.starts_with("aten::")) return {.known = has_kernel};
  name.remove_prefix(std::string_view("aten::").size());
  const std::string_view functional =
      name.ends_with('_') && !name.ends_with("__") ? name.substr(0, name.size() - 1) : name;
  const bool product = is_product(functional);
  return {.known = has_kernel || product || is_known_by_shapes(functional), .product = product};
}

}  // namespace modelexport::frontend
