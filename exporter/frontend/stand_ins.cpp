#include "exporter/frontend/stand_ins.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "exporter/frontend/zero_pages.h"

namespace modelexport::frontend {
namespace {

constexpr size_t kLarge = size_t{64} << 10;  // bytes; smaller tensors are quicker read than avoided
constexpr double kWork = 1 << 28;            // multiplications: some hundredths of a second

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

at::Tensor zeros_like_meta(const at::Tensor& meta) {
  const size_t bytes = meta.storage().nbytes();
  const bool small = bytes < kLarge;  // quicker cleared than mapped
  const at::TensorOptions options = meta.options().device(at::kCPU);
  const c10::Storage storage =
      small ? at::zeros({static_cast<int64_t>(bytes)}, options.dtype(at::kByte)).storage()
            : c10::Storage(c10::Storage::use_byte_size_t(), bytes, zero_pages(bytes));
  return at::empty({0}, options).set_(storage, meta.storage_offset(), meta.sizes(), meta.strides());
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
bool has_mask(const c10::FunctionSchema& schema, const torch::jit::Stack& stack) {
  if (schema.name() != "aten::index") return false;
  bool any = false;
  for_each_tensor(stack.at(1), [&](const at::Tensor& index) {
    any |= index.scalar_type() == at::kBool || index.scalar_type() == at::kByte;
  });
  return any;
}

bool same_shape(const c10::IValue& a, const c10::IValue& b) {
  return a.isTensor() && b.isTensor() && a.toTensor().sizes() == b.toTensor().sizes() &&
         a.toTensor().strides() == b.toTensor().strides();
}

}  // namespace

StandIns::StandIns(std::shared_ptr<Mapping> mapping, bool enabled)
    : mapping_(std::move(mapping)), enabled_(enabled), work_left_(kWork) {}

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

// Estimated from sizes alone: exact for square matrices. Once the budget is spent, all are costly.
bool StandIns::is_costly(const torch::jit::Stack& stack) {
  int64_t largest = 0, second = 0;
  for (const c10::IValue& value : stack) {
    for_each_tensor(value, [&](const at::Tensor& tensor) {
      second = std::max(second, std::min(largest, tensor.numel()));
      largest = std::max(largest, tensor.numel());
    });
  }
  work_left_ -= static_cast<double>(largest) * std::sqrt(static_cast<double>(second));
  return work_left_ < 0;
}

StandIns::ByShapes StandIns::run_on_shapes(const Call& call, torch::jit::Stack& stack) {
  if (without_meta_.contains(&call.op) || points_outside(call.op.schema(), stack)) {
    return ByShapes::unknown;  // the real run will tell
  }
  torch::jit::Stack metas;
  std::unordered_map<const c10::StorageImpl*, size_t> arguments;
  for (const c10::IValue& value : stack) {
    auto meta = to_meta(value);
    if (!meta) return ByShapes::unknown;
    for_each_tensor(*meta, [&](const at::Tensor& tensor) {
      arguments.emplace(storage_of(tensor), metas.size());
    });
    metas.push_back(*std::move(meta));
  }
  const torch::jit::Stack given = metas;
  try {
    call.operation(metas);
  } catch (const c10::NotImplementedError&) {
    without_meta_.insert(&call.op);
    return ByShapes::unknown;
  } catch (const std::exception&) {  // the real run will tell why
    return ByShapes::refused;
  }
  // Writing to zeros that stand for anything changes nothing, unless it is the shape.
  for (const size_t i : call.written) {
    if (!(stack[i].isTensor() && contains(stack[i].toTensor())) || !same_shape(given[i], stack[i]))
      return ByShapes::possible;
  }
  for (c10::IValue& value : metas) {
    if (!value.isTensor() || !value.toTensor().defined()) return ByShapes::possible;
    const auto from = arguments.find(storage_of(value.toTensor()));
    if (from == arguments.end()) {
      if (!value.toTensor().is_meta() || !is_plain(value.toTensor())) return ByShapes::possible;
      continue;
    }
    const auto& written = call.written;
    const bool is_written =
        std::find(written.begin(), written.end(), from->second) != written.end();
    // Views of the inputs are to be views of the real ones.
    if (!is_written || !value.is(given[from->second])) return ByShapes::possible;
    value = stack[from->second];
  }
  for (c10::IValue& value : metas) {
    if (!value.toTensor().is_meta()) continue;
    value = zeros_like_meta(value.toTensor());
    add(value.toTensor());
  }
  stack = std::move(metas);
  return ByShapes::done;
}

void StandIns::run(const Call& call, torch::jit::Stack& stack) {
  bool from_stand_ins = false, refused = false;
  std::vector<at::Tensor> weights;
  for (const c10::IValue& value : stack) {
    for_each_tensor(value, [&](const at::Tensor& tensor) {
      from_stand_ins |= contains(tensor);
      if (is_large_weight(tensor)) weights.push_back(tensor);
    });
  }
  if (enabled_ && !call.metadata_only) {
    const auto [rule, is_new] = rules_.try_emplace(&call.op);
    if (is_new) rule->second = shape_rule(call.op);
    const auto [depends_on_data, known, product] = rule->second;
    if (from_stand_ins || !weights.empty() || (product && call.symbolic && is_costly(stack))) {
      const bool finds = depends_on_data || has_mask(call.op.schema(), stack);
      const ByShapes tried = finds ? ByShapes::unknown : run_on_shapes(call, stack);
      if (tried == ByShapes::done) return;
      const bool follows = !finds && (known || tried == ByShapes::possible);
      if (from_stand_ins && !follows) throw NeedsNumbers();
      refused = known && tried == ByShapes::refused;
    }
  } else {
    from_stand_ins = false;
  }
  try {
    run_for_real(call, from_stand_ins, stack);
  } catch (const std::exception&) {
    if (from_stand_ins && !refused) throw NeedsNumbers();  // it may be for the numbers' sake
    throw;
  }
  for (const at::Tensor& weight : weights) mapping_->release(weight.data_ptr(), weight.nbytes());
}

// Results computed from stand-ins are stand-ins; so is what was written to.
void StandIns::run_for_real(const Call& call, bool from_stand_ins, torch::jit::Stack& stack) {
  if (!from_stand_ins) return call.operation(stack);
  std::unordered_set<const c10::StorageImpl*> inputs;
  for (const c10::IValue& value : stack) {
    for_each_tensor(value, [&](const at::Tensor& tensor) { inputs.insert(storage_of(tensor)); });
  }
  std::vector<at::Tensor> targets;
  for (size_t i : call.written) {
    for_each_tensor(stack[i], [&](const at::Tensor& tensor) { targets.push_back(tensor); });
  }
  call.operation(stack);
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
