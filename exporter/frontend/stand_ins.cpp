#include "exporter/frontend/stand_ins.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>

namespace modelexport::frontend {
namespace {

constexpr size_t kLarge = size_t{64} << 10;  // bytes; smaller weights are quicker read than avoided

using TensorFunction = std::function<void(const at::Tensor&)>;

// Every tensor in a value, in a fixed order.
void for_each_tensor(const c10::IValue& value, const TensorFunction& take) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) take(value.toTensor());
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) for_each_tensor(element, take);
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) for_each_tensor(element, take);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) for_each_tensor(entry.value(), take);
  }
}

const c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

bool is_tensors(const c10::IValue& value) {
  if (value.isTensor() || value.isTensorList() || value.isNone()) return true;
  const auto all = [](const auto& elements) {
    return std::all_of(elements.begin(), elements.end(), is_tensors);
  };
  if (value.isTuple()) return all(value.toTupleRef().elements());
  return value.isList() && all(value.toListRef());
}

bool is_plain(const at::Tensor& tensor) {
  return tensor.layout() == at::kStrided && !tensor.is_quantized() && !tensor.is_conj() &&
         !tensor.is_neg();
}

// nullopt where meta tensors cannot take the value's place.
std::optional<c10::IValue> to_meta(const c10::IValue& value) {
  const auto meta = [](const at::Tensor& tensor) {
    at::Tensor result = at::empty_strided(tensor.sizes(), tensor.strides(),
                                          tensor.options().device(at::kMeta).requires_grad(false));
    // Numbers made tensors do not take part in type promotion as other tensors do.
    if (tensor.unsafeGetTensorImpl()->is_wrapped_number()) {
      result.unsafeGetTensorImpl()->set_wrapped_number(true);
    }
    return result;
  };
  if (value.isTensor()) {
    if (!value.toTensor().defined()) return value;
    if (!is_plain(value.toTensor())) return std::nullopt;
    return meta(value.toTensor());
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) {
      if (!is_plain(tensor)) return std::nullopt;
      list.push_back(meta(tensor));
    }
    return list;
  }
  bool any = false;
  for_each_tensor(value, [&](const at::Tensor&) { any = true; });
  return any ? std::nullopt : std::optional(value);
}

// Zeros like a meta tensor. Pages that nobody touches take no memory.
at::Tensor zeros_like_meta(const at::Tensor& meta) {
  const size_t bytes = std::max<size_t>(meta.storage().nbytes(), 1);
  void* data = std::calloc(bytes, 1);
  if (data == nullptr) throw std::bad_alloc();
  c10::Storage storage(c10::Storage::use_byte_size_t(), meta.storage().nbytes(),
                       at::DataPtr(data, data, std::free, at::Device(at::kCPU)));
  return at::empty({0}, meta.options().device(at::kCPU))
      .set_(storage, meta.storage_offset(), meta.sizes(), meta.strides());
}

// Operators without a meta kernel of their own whose results' shapes follow from their inputs'.
bool is_known_by_shapes(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = {
      // products
      "linear", "matmul", "mv", "dot", "einsum", "tensordot", "inner", "outer", "ger", "bilinear",
      "linalg_matmul", "linalg_vecdot", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
      "conv_transpose2d", "conv_transpose3d", "convolution", "_convolution",
      "scaled_dot_product_attention", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell",
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
      "upsample_trilinear3d", "upsample_bicubic2d"};
  return kNames.contains(name);
}

// Of those, and of operators with a meta kernel, the overloads that find sizes in data after all.
bool finds_sizes_in_data(const c10::FunctionSchema& schema) {
  if (schema.name() == "aten::where") return schema.arguments().size() == 1;
  return schema.overload_name() == "tensor_indices_or_sections" ||
         (schema.name() == "aten::narrow" && schema.overload_name() == "Tensor");
}

bool has_tag(const torch::jit::Operator& op, at::Tag tag) {
  const auto tags = op.getTags();
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

bool shapes_follow_from_shapes(const torch::jit::Operator& op) {
  const auto& schema = op.schema();
  if (has_tag(op, at::Tag::dynamic_output_shape) || has_tag(op, at::Tag::data_dependent_output) ||
      finds_sizes_in_data(schema)) {
    return false;
  }
  const auto handle = c10::Dispatcher::singleton().findSchema(schema.operator_name());
  if (handle && handle->hasKernelForDispatchKey(c10::DispatchKey::Meta)) return true;
  std::string_view name = schema.name();
  if (!name.starts_with("aten::")) return false;
  name.remove_prefix(std::string_view("aten::").size());
  return is_known_by_shapes(name) ||
         (name.ends_with('_') && is_known_by_shapes(name.substr(0, name.size() - 1)));
}

// Whether an index may point outside of what it is into, which its shape does not tell.
bool points_outside(const c10::FunctionSchema& schema, const torch::jit::Stack& stack) {
  static const std::unordered_set<std::string_view> kAlongDim = {
      "aten::gather",     "aten::take_along_dim", "aten::index_select", "aten::scatter",
      "aten::index_fill", "aten::index_copy",     "aten::index_add"};
  const std::string_view name = schema.name();
  const auto outside = [](const at::Tensor& index, int64_t least, int64_t size) {
    if (!at::isIntegralType(index.scalar_type(), false) || index.numel() == 0) return false;
    const auto [min, max] = at::aminmax(index);
    return min.item<int64_t>() < least || max.item<int64_t>() >= size;
  };
  const auto size = [&](int64_t dim) {
    const at::Tensor& into = stack.at(0).toTensor();
    return into.dim() == 0 ? 1 : into.size(dim);
  };
  if (name == "aten::embedding") return outside(stack.at(1).toTensor(), 0, size(0));
  if (kAlongDim.contains(name) && stack.at(1).isInt()) {
    return outside(stack.at(2).toTensor(), 0, size(stack[1].toInt()));
  }
  if (name != "aten::index" && name != "aten::index_put") return false;
  bool any = false;
  for (int64_t dim = 0; const c10::IValue& index : stack.at(1).toListRef()) {
    if (index.isTensor() && index.toTensor().defined()) {
      any |= outside(index.toTensor(), -size(dim), size(dim));
    }
    ++dim;
  }
  return any;
}

// Boolean masks among the indices of aten::index find sizes; numbers do not.
bool has_mask(const c10::IValue& indices) {
  bool any = false;
  for_each_tensor(indices, [&](const at::Tensor& index) {
    any |= index.scalar_type() == at::kBool || index.scalar_type() == at::kByte;
  });
  return any;
}

}  // namespace

bool StandIns::contains(const at::Tensor& tensor) const {
  return !storages_.empty() && storages_.contains(storage_of(tensor));
}

void StandIns::add(const at::Tensor& tensor) {
  if (!tensor.has_storage()) throw NeedsNumbers();
  storages_.try_emplace(storage_of(tensor), tensor.storage().getWeakStorageImpl());
}

void StandIns::require_numbers(const c10::IValue& value) const {
  for_each_tensor(value, [&](const at::Tensor& tensor) {
    if (contains(tensor)) throw NeedsNumbers();
  });
}

bool StandIns::is_large_weight(const at::Tensor& tensor) const {
  return tensor.has_storage() && tensor.nbytes() >= kLarge &&
         mapping_->offset_of(tensor.storage().data()) >= 0;
}

bool StandIns::run_on_shapes(const torch::jit::Operator& op,
                             const std::function<void(torch::jit::Stack&)>& operation,
                             torch::jit::Stack& stack) {
  if (points_outside(op.schema(), stack)) return false;  // the real run will tell
  torch::jit::Stack metas;
  std::unordered_set<const c10::StorageImpl*> inputs;
  for (const c10::IValue& value : stack) {
    auto meta = to_meta(value);
    if (!meta) return false;
    for_each_tensor(*meta, [&](const at::Tensor& tensor) { inputs.insert(storage_of(tensor)); });
    metas.push_back(*std::move(meta));
  }
  try {
    operation(metas);
  } catch (const c10::NotImplementedError&) {
    without_meta_.insert(&op);
    return false;
  } catch (const std::exception&) {  // the real run will tell
    return false;
  }
  bool fresh = true;  // not views of the inputs, which are to be views of the real ones
  for (const c10::IValue& value : metas) {
    fresh &= value.isTensor() && value.toTensor().defined() && value.toTensor().is_meta() &&
             is_plain(value.toTensor()) && !inputs.contains(storage_of(value.toTensor()));
  }
  if (!fresh) return false;
  for (c10::IValue& value : metas) {
    value = zeros_like_meta(value.toTensor());
    add(value.toTensor());
  }
  stack = std::move(metas);
  return true;
}

void StandIns::run(const torch::jit::Operator& op,
                   const std::function<void(torch::jit::Stack&)>& operation,
                   const std::vector<size_t>& written, bool metadata_only,
                   torch::jit::Stack& stack) {
  bool from_stand_ins = false;
  std::unordered_set<const c10::StorageImpl*> inputs;
  std::vector<at::Tensor> weights, targets;
  for (const c10::IValue& value : stack) {
    for_each_tensor(value, [&](const at::Tensor& tensor) {
      from_stand_ins |= contains(tensor);
      inputs.insert(storage_of(tensor));
      if (is_large_weight(tensor)) weights.push_back(tensor);
    });
  }
  const bool concerned = enabled_ && !metadata_only && (from_stand_ins || !weights.empty());
  bool by_shapes = false;
  if (concerned) {
    const auto [found, is_new] = shapes_from_shapes_.try_emplace(&op, false);
    if (is_new) found->second = shapes_follow_from_shapes(op);
    by_shapes = found->second;
    if (op.schema().name() == "aten::index") by_shapes = !has_mask(stack.at(1));
    if (from_stand_ins && !by_shapes) throw NeedsNumbers();
    if (by_shapes && written.empty() && !without_meta_.contains(&op) &&
        run_on_shapes(op, operation, stack)) {
      return;
    }
  }
  for (size_t i : written) {
    for_each_tensor(stack[i], [&](const at::Tensor& tensor) { targets.push_back(tensor); });
  }
  try {
    operation(stack);
  } catch (const std::exception&) {
    if (from_stand_ins) throw NeedsNumbers();
    throw;
  }
  for (const at::Tensor& weight : weights) mapping_->release(weight.data_ptr(), weight.nbytes());
  if (!concerned || !from_stand_ins) return;
  for (const at::Tensor& target : targets) add(target);
  for (const c10::IValue& value : stack) {
    if (!is_tensors(value)) throw NeedsNumbers();
    for_each_tensor(value, [&](const at::Tensor& tensor) {
      // A view shows what it is a view of.
      if (!inputs.contains(storage_of(tensor))) add(tensor);
    });
  }
}

}  // namespace modelexport::frontend
