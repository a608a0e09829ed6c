// Convolutions: ONNX Conv and ConvTranspose.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/spatial.h"

namespace modelexport::lowering {
namespace {

struct Convolution {
  V input, weight, bias = kOmitted;
  // One value per spatial axis, or one for all.
  std::vector<int64_t> stride, dilation = {1};
  std::vector<int64_t> begin, end;  // padding on both sides
  int64_t groups = 1;
  bool transposed = false;
  std::vector<int64_t> output_padding = {0};
};

// ONNX Runtime wants output padding below the stride. What is more of it is less padding at the
// end.
void absorb_output_padding(Convolution& conv) {
  for (size_t i = 0; i < conv.stride.size(); ++i) {
    if (conv.output_padding[i] < conv.stride[i]) continue;
    const int64_t moved = std::min(conv.output_padding[i], conv.end[i]);
    conv.end[i] -= moved;
    conv.output_padding[i] -= moved;
  }
}

V emit(Call& c, Convolution conv) {
  if (!is_floating(c.dtype_of(conv.input))) throw Unsupported{"convolution of integers"};
  const int64_t spatial = c.rank(conv.weight) - 2;
  const V x = with_batch(c, conv.input, spatial);
  for (std::vector<int64_t>* values :
       {&conv.stride, &conv.dilation, &conv.begin, &conv.end, &conv.output_padding})
    *values = per_axis(*values, spatial);
  if (conv.transposed) absorb_output_padding(conv);
  Attributes attributes{attr("dilations", conv.dilation), attr("group", conv.groups),
                        attr("pads", joined(conv.begin, conv.end)), attr("strides", conv.stride)};
  if (conv.transposed) attributes.push_back(attr("output_padding", conv.output_padding));
  std::vector<V> inputs{x, conv.weight};
  if (conv.bias != kOmitted) inputs.push_back(conv.bias);
  const V y = run(c, conv.transposed ? "ConvTranspose" : "Conv", inputs, attributes);
  return c.rank(conv.input) == spatial + 1 ? c.squeeze(y, {0}) : y;
}

// "same" pads by what the kernel overlaps, the odd element on the right; "valid" not at all.
void pad_by_name(Call& c, Convolution& conv, const std::string& padding) {
  const int64_t spatial = c.rank(conv.weight) - 2;
  conv.begin.assign(spatial, 0);
  conv.end.assign(spatial, 0);
  if (padding == "valid") return;
  const std::vector<int64_t> dilation = per_axis(conv.dilation, spatial);
  for (int64_t i = 0; i < spatial; ++i) {
    const Dim kernel = c.shape(conv.weight)[i + 2];
    if (!is_static(kernel)) throw Unsupported{"padding='same' with a kernel of dynamic size"};
    const int64_t total = dilation[i] * (kernel - 1);
    conv.begin[i] = total / 2;
    conv.end[i] = total - total / 2;
  }
}

// aten::conv2d(Tensor input, Tensor weight, Tensor? bias, SymInt[2] stride, SymInt[2] padding,
//   SymInt[2] dilation, SymInt groups) -> Tensor
V conv(Call& c) {
  Convolution conv{c.tensor("input"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.begin = conv.end = c.integers("padding");
  conv.groups = c.integer("groups");
  return emit(c, conv);
}

// aten::conv2d.padding(Tensor input, Tensor weight, Tensor? bias, SymInt[2] stride, str padding,
//   SymInt[2] dilation, SymInt groups) -> Tensor
V conv_named_padding(Call& c) {
  Convolution conv{c.tensor("input"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.groups = c.integer("groups");
  pad_by_name(c, conv, c.text("padding"));
  return emit(c, conv);
}

// aten::conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias, SymInt[2] stride,
//   SymInt[2] padding, SymInt[2] output_padding, SymInt groups, SymInt[2] dilation) -> Tensor
V conv_transpose(Call& c) {
  Convolution conv{c.tensor("input"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.transposed = true;
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.begin = conv.end = c.integers("padding");
  conv.output_padding = c.integers("output_padding");
  conv.groups = c.integer("groups");
  return emit(c, conv);
}

// aten::convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding,
//   SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups) -> Tensor
V convolution(Call& c) {
  Convolution conv{c.tensor("input"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.begin = conv.end = c.integers("padding");
  conv.transposed = c.boolean("transposed");
  conv.output_padding = c.integers("output_padding");
  conv.groups = c.integer("groups");
  return emit(c, conv);
}

// aten::_convolution.deprecated(..., bool transposed, int[] output_padding, int groups,
//   bool benchmark, bool deterministic, bool cudnn_enabled) -> Tensor
V _convolution_deprecated(Call& c) {
  c.ignore({"benchmark", "deterministic", "cudnn_enabled"});
  return convolution(c);
}

// aten::_convolution(..., bool transposed, SymInt[] output_padding, SymInt groups, bool benchmark,
//   bool deterministic, bool cudnn_enabled, bool allow_tf32) -> Tensor
V _convolution(Call& c) {
  c.ignore({"allow_tf32"});
  return _convolution_deprecated(c);
}

// aten::mkldnn_convolution(Tensor self, Tensor weight, Tensor? bias, SymInt[] padding,
//   SymInt[] stride, SymInt[] dilation, SymInt groups) -> Tensor
V mkldnn_convolution(Call& c) {
  Convolution conv{c.tensor("self"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.begin = conv.end = c.integers("padding");
  conv.groups = c.integer("groups");
  return emit(c, conv);
}

// aten::thnn_conv2d(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias=None,
//   SymInt[2] stride=1, SymInt[2] padding=0) -> Tensor
V thnn_conv(Call& c) {
  c.ignore({"kernel_size"});  // that of the weight
  Convolution conv{c.tensor("self"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.stride = c.integers("stride");
  conv.begin = conv.end = c.integers("padding");
  return emit(c, conv);
}

// aten::slow_conv_dilated2d(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias=None,
//   SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] dilation=1) -> Tensor
V slow_conv_dilated(Call& c) {
  c.ignore({"kernel_size"});
  Convolution conv{c.tensor("self"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.begin = conv.end = c.integers("padding");
  return emit(c, conv);
}

// aten::slow_conv_transpose2d(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias=None,
//   SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] output_padding=0, SymInt[2] dilation=1)
//   -> Tensor
V slow_conv_transpose(Call& c) {
  c.ignore({"kernel_size"});
  Convolution conv{c.tensor("self"), c.tensor("weight"), c.optional_tensor("bias")};
  conv.transposed = true;
  conv.stride = c.integers("stride");
  conv.dilation = c.integers("dilation");
  conv.begin = conv.end = c.integers("padding");
  conv.output_padding = c.integers("output_padding");
  return emit(c, conv);
}

// aten::conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor
V conv_tbc(Call& c) {
  // [time, batch, channels] with a weight of [kernel, in, out].
  Convolution conv{c.transpose(c.tensor("self"), {1, 2, 0}),
                   c.transpose(c.tensor("weight"), {2, 1, 0}), c.tensor("bias")};
  conv.stride = {1};
  conv.begin = conv.end = {c.integer("pad")};
  return c.transpose(emit(c, conv), {2, 0, 1});
}

constexpr Row kTable[] = {
    {"aten::_convolution", _convolution},
    {"aten::_convolution.deprecated", _convolution_deprecated},
    {"aten::_convolution_mode", conv_named_padding},
    {"aten::_slow_conv2d_forward", thnn_conv},
    {"aten::conv1d", conv},
    {"aten::conv1d.padding", conv_named_padding},
    {"aten::conv2d", conv},
    {"aten::conv2d.padding", conv_named_padding},
    {"aten::conv3d", conv},
    {"aten::conv3d.padding", conv_named_padding},
    {"aten::conv_tbc", conv_tbc},
    {"aten::conv_transpose1d", conv_transpose},
    {"aten::conv_transpose2d.input", conv_transpose},
    {"aten::conv_transpose3d.input", conv_transpose},
    {"aten::convolution", convolution},
    {"aten::mkldnn_convolution", mkldnn_convolution},
    {"aten::slow_conv3d", thnn_conv},
    {"aten::slow_conv3d_forward", thnn_conv},
    {"aten::slow_conv_dilated2d", slow_conv_dilated},
    {"aten::slow_conv_dilated3d", slow_conv_dilated},
    {"aten::slow_conv_transpose2d", slow_conv_transpose},
    {"aten::slow_conv_transpose3d", slow_conv_transpose},
    {"aten::thnn_conv2d", thnn_conv},
};

}  // namespace

std::span<const Row> convolution_table() { return kTable; }

}  // namespace modelexport::lowering
