#include "exporter/frontend/packed_parameters.h"

#include <ATen/Functions.h>
#include <ATen/core/class_type.h>
#include <ATen/native/quantized/PackedParams.h>
#include <ATen/native/quantized/cpu/EmbeddingPackedParams.h>
#include <torch/custom_class.h>

#include <string_view>

#include "exporter/error.h"

namespace modelexport::frontend {
namespace {

c10::IValue or_none(const std::optional<at::Tensor>& tensor) {
  return tensor && tensor->defined() ? c10::IValue(*tensor) : c10::IValue();
}

std::vector<PackedField> open_linear(const c10::IValue& value) {
  const auto [weight, bias] = value.toCustomClass<LinearPackedParamsBase>()->unpack();
  return {{"weight", weight}, {"bias", or_none(bias)}};
}

template <int kSpatial>
std::vector<PackedField> open_convolution(const c10::IValue& value) {
  const auto packed = value.toCustomClass<ConvPackedParamsBase<kSpatial>>();
  const auto [weight, bias] = packed->unpack();
  return {{"weight", weight},
          {"bias", or_none(bias)},
          {"stride", packed->stride()},
          {"padding", packed->padding()},
          {"output_padding", packed->output_padding()},
          {"dilation", packed->dilation()},
          {"groups", packed->groups()},
          {"transposed", packed->transpose()}};
}

std::vector<PackedField> open_embedding(const c10::IValue& value) {
  const at::Tensor weight = value.toCustomClass<EmbeddingPackedParamsBase>()->unpack();
  at::Tensor scales = weight.q_per_channel_scales().to(at::kFloat);
  at::Tensor zero_points = weight.q_per_channel_zero_points().to(at::kFloat);
  if (weight.scalar_type() != at::kQUInt4x2) {
    return {{"weight", weight.int_repr()}, {"scales", scales}, {"zero_points", zero_points}};
  }
  // LibTorch computes integer * scale + bias, and with 4 bits it keeps scale and bias in float16.
  const at::Tensor bias = (-zero_points * scales).to(at::kHalf).to(at::kFloat);
  scales = scales.to(at::kHalf).to(at::kFloat);
  zero_points = -bias / scales;
  const at::Tensor bytes = at::from_blob(
      weight.data_ptr(), {weight.size(0), (weight.size(1) + 1) / 2}, [weight](void*) {}, at::kByte);
  return {{"weight", bytes}, {"scales", scales}, {"zero_points", zero_points}};
}

// LibTorch has no header for these: what they write to a checkpoint is (kind, tensors, doubles,
// integers, linear objects).
std::vector<PackedField> open_cell(const c10::IValue& value) {
  const c10::IValue state = value.toObject()->type()->getMethod("__getstate__")({value});
  const auto& parts = state.toTupleRef().elements();
  const std::string& kind = parts.at(0).toStringRef();
  const auto linear = parts.at(4).toListRef();
  if (kind == "quantized_dynamic") {
    const auto biases = parts.at(1).toTensorVector();
    return {{"ih", linear.at(0)},
            {"hh", linear.at(1)},
            {"bias_ih", biases.at(0)},
            {"bias_hh", biases.at(1)},
            {"reduce_range", parts.at(3).toIntVector().at(0) != 0}};
  }
  if (kind == "quantized_fp16") {
    return {{"ih", linear.at(0)}, {"hh", linear.at(1)}};
  }
  throw Error(ErrorKind::unsupported,
              "recurrent layers whose weights are packed as '" + kind + "' cannot be exported");
}

}  // namespace

std::optional<std::vector<PackedField>> open_packed(const c10::IValue& value) {
  if (!value.isObject()) return std::nullopt;
  static constexpr std::string_view kPrefix = "__torch__.torch.classes.";
  std::string_view name = value.toObjectRef().type()->name()->qualifiedName();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  if (name == "quantized.LinearPackedParamsBase") return open_linear(value);
  if (name == "quantized.Conv2dPackedParamsBase") return open_convolution<2>(value);
  if (name == "quantized.Conv3dPackedParamsBase") return open_convolution<3>(value);
  if (name == "quantized.EmbeddingPackedParamsBase") return open_embedding(value);
  if (name == "rnn.CellParamsBase") return open_cell(value);
  return std::nullopt;
}

}  // namespace modelexport::frontend
