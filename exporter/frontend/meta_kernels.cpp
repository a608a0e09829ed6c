#include "exporter/frontend/meta_kernels.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/ConvUtils.h>
#include <ATen/native/layer_norm.h>
#include <ATen/ops/_fused_sdp_choice_cpu_dispatch.h>
#include <ATen/ops/group_norm_native.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

namespace modelexport::frontend {
namespace {

using Optional = std::optional<at::Tensor>;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

// What at::convolution calls on other devices than those it knows; its arguments have been checked.
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const Optional& /*bias*/,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                       bool transposed, at::IntArrayRef output_padding, int64_t groups) {
  const auto sizes =
      transposed
          ? at::native::conv_input_size(input.sizes(), weight.sizes(), padding, output_padding,
                                        stride, dilation, groups)
          : at::native::conv_output_size(input.sizes(), weight.sizes(), padding, stride, dilation);
  const bool channels_last = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast ||
                             weight.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  return at::empty(sizes,
                   input.options().memory_format(channels_last ? at::MemoryFormat::ChannelsLast
                                                               : at::MemoryFormat::Contiguous));
}

// Of mean and deviation: floats where parameters are more precise than the input.
at::TensorOptions statistics(const at::Tensor& input, const Optional& parameter) {
  const bool mixed = parameter && parameter->defined() && parameter->dtype() != input.dtype();
  return mixed ? input.options().dtype(at::kFloat) : input.options();
}

Three layer_norm(const at::Tensor& input, at::IntArrayRef normalized_shape, const Optional& weight,
                 const Optional& bias, double /*eps*/) {
  at::native::_check_layer_norm_inputs(input, normalized_shape, weight.value_or(at::Tensor()),
                                       bias.value_or(at::Tensor()));
  std::vector<int64_t> sizes = input.sizes().vec();
  std::fill(sizes.end() - static_cast<int64_t>(normalized_shape.size()), sizes.end(), 1);
  const auto options = statistics(input, weight);
  return {at::empty_like(input, at::MemoryFormat::Contiguous), at::empty(sizes, options),
          at::empty(sizes, options)};
}

Three native_group_norm(const at::Tensor& input, const Optional& weight, const Optional& /*bias*/,
                        int64_t batch, int64_t /*channels*/, int64_t /*elements*/, int64_t groups,
                        double /*eps*/) {
  const auto options = statistics(input, weight);
  return {at::empty_like(input, input.suggest_memory_format()), at::empty({batch, groups}, options),
          at::empty({batch, groups}, options)};
}

// LibTorch's own keeps the memory format on the CPU alone.
at::Tensor group_norm(const at::Tensor& input, int64_t groups, const Optional& weight,
                      const Optional& bias, double eps, bool cudnn) {
  at::native::group_norm(input, groups, weight, bias, eps, cudnn);
  return at::empty_like(input, input.suggest_memory_format());
}

Three batch_norm(const at::Tensor& input, const Optional& weight, const Optional& /*bias*/,
                 const Optional& mean, const Optional& /*variance*/, bool training,
                 double /*momentum*/, double /*eps*/) {
  const int64_t channels = training ? input.size(1) : 0;
  const auto options = statistics(input, weight && weight->defined() ? weight : mean);
  return {at::empty_like(input, input.suggest_memory_format()), at::empty({channels}, options),
          at::empty({channels}, options)};
}

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const Optional& mask, double dropout, bool causal, std::optional<double> scale,
                     bool grouped) {
  constexpr int64_t kFlash = 1;  // of sdp::SDPBackend
  const int64_t choice =
      at::cpu::_fused_sdp_choice(query, key, value, mask, dropout, causal, scale, grouped);
  if (choice == kFlash) return at::empty_like(query);
  const auto for_each_head = [&](const at::Tensor& shared) {
    return grouped ? shared.repeat_interleave(query.size(-3) / shared.size(-3), -3) : shared;
  };
  const at::Tensor weights = at::matmul(query, for_each_head(key).transpose(-2, -1));
  if (mask && mask->defined()) weights.add_(mask->to(query.scalar_type()));
  return at::matmul(weights, for_each_head(value));
}

// Each element by itself.
at::Tensor relu(const at::Tensor& self) {
  TORCH_CHECK(self.scalar_type() != at::kBool, "relu of booleans");
  return at::clamp_min(self, 0);
}
at::Tensor hardswish(const at::Tensor& self) {
  TORCH_CHECK(self.is_floating_point(), "hardswish of integers");
  return at::hardsigmoid(self);
}
at::Tensor hardtanh(const at::Tensor& self, const at::Scalar& least, const at::Scalar& most) {
  TORCH_CHECK(self.scalar_type() != at::kBool, "hardtanh of booleans");
  return at::clamp(self, least, most);
}
at::Tensor& same(at::Tensor& self) { return self; }
at::Tensor& same_hardtanh(at::Tensor& self, const at::Scalar& /*least*/,
                          const at::Scalar& /*most*/) {
  return self;
}

}  // namespace

void register_meta_kernels() {
  static torch::Library library(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__,
                                __LINE__);
  const auto add = [&](const char* name, auto* kernel) {
    const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
    const std::string unqualified = std::string(name).substr(sizeof("aten::") - 1);
    if (!handle.hasKernelForDispatchKey(c10::DispatchKey::Meta)) {
      library.impl(unqualified.c_str(), kernel);
    }
  };
  add("aten::convolution_overrideable", &convolution);
  add("aten::native_layer_norm", &layer_norm);
  add("aten::native_group_norm", &native_group_norm);
  add("aten::group_norm", &group_norm);
  add("aten::native_batch_norm", &batch_norm);
  add("aten::scaled_dot_product_attention", &attention);
  add("aten::relu", &relu);
  add("aten::relu_", &same);
  add("aten::hardswish", &hardswish);
  add("aten::hardswish_", &same);
  add("aten::hardtanh", &hardtanh);
  add("aten::hardtanh_", &same_hardtanh);
}

}  // namespace modelexport::frontend
