#include "exporter/frontend/quantized_operators.h"

#include <algorithm>
#include <map>

namespace modelexport::frontend {
namespace {

struct Row {
  std::string_view key, steps;
};

#define CONVOLUTION(x, w)                                                              \
  "aten::convolution(" x ", " w ".weight, " w ".bias, " w ".stride, " w ".padding, " w \
  ".dilation, " w ".transposed, " w ".output_padding, " w ".groups)"
// Packed as two-dimensional, with a height of 1.
#define CONVOLUTION_1D(x, w)                                                                       \
  "aten::convolution(" x ", " w ".weight_1d, " w ".bias, [" w ".stride.1], [" w ".padding.1], [" w \
  ".dilation.1], " w ".transposed, [" w ".output_padding.1], " w ".groups)"
#define LINEAR(x) "aten::linear(" x ", W_prepack.weight, W_prepack.bias)"
#define BATCH_NORM(x) "aten::batch_norm(" x ", weight, bias, mean, var, False, 0.1, eps, False)"
#define RELU " | aten::relu($)"
// FBGEMM's dynamic convolutions quantise their result with the input's scale and zero point.
#define AS_INPUT " | requantize($)"

constexpr Row kRows[] = {
    {"aten::quantized_batch_norm", BATCH_NORM("input")},
    {"aten::quantized_max_pool1d",
     "aten::max_pool1d(self, kernel_size, stride, padding, dilation, ceil_mode)"},
    {"aten::quantized_max_pool2d",
     "aten::max_pool2d(self, kernel_size, stride, padding, dilation, ceil_mode)"},
    {"aten::quantized_max_pool3d",
     "aten::max_pool3d(self, kernel_size, stride, padding, dilation, ceil_mode)"},
    {"quantized::add", "aten::add.Tensor(qa, qb, 1)"},
    {"quantized::add.Scalar", "aten::add.Scalar(qa, #b, 1)"},
    {"quantized::add.Scalar2", "aten::add.Scalar(qa, #b, 1)"},
    {"quantized::add_relu", "aten::add.Tensor(qa, qb, 1)" RELU},
    {"quantized::add_relu.Scalar", "aten::add.Scalar(qa, #b, 1)" RELU},
    {"quantized::add_relu.Scalar2", "aten::add.Scalar(qa, #b, 1)" RELU},
    {"quantized::add_scalar", "aten::add.Scalar(qa, #b, 1)"},
    {"quantized::add_scalar.Tensor", "aten::add.Tensor(qa, b, 1)"},
    {"quantized::add_scalar_relu", "aten::add.Scalar(qa, #b, 1)" RELU},
    {"quantized::add_scalar_relu.Tensor", "aten::add.Tensor(qa, b, 1)" RELU},
    {"quantized::batch_norm", BATCH_NORM("qx")},
    {"quantized::batch_norm1d", BATCH_NORM("qx")},
    {"quantized::batch_norm1d_relu", BATCH_NORM("qx") RELU},
    {"quantized::batch_norm2d", BATCH_NORM("qx")},
    {"quantized::batch_norm2d_relu", BATCH_NORM("qx") RELU},
    {"quantized::batch_norm3d", BATCH_NORM("qx")},
    {"quantized::batch_norm3d_relu", BATCH_NORM("qx") RELU},
    {"quantized::batch_norm_relu", BATCH_NORM("qx") RELU},
    {"quantized::cat", "aten::cat(qx, dim)"},
    {"quantized::cat_relu", "aten::cat(qx, dim)" RELU},
    {"quantized::celu", "aten::celu(self, alpha)"},
    {"quantized::clamp", "aten::clamp(qx, min, max)"},
    {"quantized::conv1d", CONVOLUTION_1D("qx", "packed_weight")},
    {"quantized::conv1d_dynamic", CONVOLUTION_1D("~qx", "packed_weight") AS_INPUT},
    {"quantized::conv1d_relu", CONVOLUTION_1D("qx", "packed_weight") RELU},
    {"quantized::conv2d", CONVOLUTION("qx", "weight")},
    {"quantized::conv2d.new", CONVOLUTION("qx", "packed_weight")},
    {"quantized::conv2d_add",
     CONVOLUTION("qx", "packed_weight") " | aten::add.Tensor($, qaccum, 1)"},
    {"quantized::conv2d_add_relu",
     CONVOLUTION("qx", "packed_weight") " | aten::add.Tensor($, qaccum, 1)" RELU},
    {"quantized::conv2d_dynamic", CONVOLUTION("~qx", "packed_weight") AS_INPUT},
    {"quantized::conv2d_relu", CONVOLUTION("qx", "weight") RELU},
    {"quantized::conv2d_relu.new", CONVOLUTION("qx", "packed_weight") RELU},
    {"quantized::conv3d", CONVOLUTION("qx", "weight")},
    {"quantized::conv3d.new", CONVOLUTION("qx", "packed_weight")},
    {"quantized::conv3d_dynamic", CONVOLUTION("~qx", "packed_weight") AS_INPUT},
    {"quantized::conv3d_relu", CONVOLUTION("qx", "weight") RELU},
    {"quantized::conv3d_relu.new", CONVOLUTION("qx", "packed_weight") RELU},
    {"quantized::conv_transpose1d", CONVOLUTION_1D("qx", "packed_weight")},
    {"quantized::conv_transpose1d_dynamic", CONVOLUTION_1D("~qx", "packed_weight") AS_INPUT},
    {"quantized::conv_transpose2d", CONVOLUTION("qx", "packed_weight")},
    {"quantized::conv_transpose2d_dynamic", CONVOLUTION("~qx", "packed_weight") AS_INPUT},
    {"quantized::conv_transpose3d", CONVOLUTION("qx", "packed_weight")},
    {"quantized::conv_transpose3d_dynamic", CONVOLUTION("~qx", "packed_weight") AS_INPUT},
    {"quantized::dropout", "aten::alias(self)"},
    {"quantized::elu", "aten::elu(self, alpha, scale, input_scale)"},
    {"quantized::group_norm", "aten::group_norm(input, num_groups, weight, bias, eps, False)"},
    {"quantized::hardswish", "aten::hardswish(input)"},
    {"quantized::instance_norm",
     "aten::instance_norm(input, weight, bias, None, None, True, 0.1, eps, False)"},
    {"quantized::layer_norm",
     "aten::layer_norm(input, normalized_shape, weight, bias, eps, False)"},
    {"quantized::leaky_relu", "aten::leaky_relu(qx, negative_slope)"},
    {"quantized::linear", LINEAR("X")},
    {"quantized::linear_dynamic", LINEAR("~X")},
    {"quantized::linear_dynamic_fp16", LINEAR("X")},
    {"quantized::linear_leaky_relu", LINEAR("X") " | aten::leaky_relu($, negative_slope)"},
    {"quantized::linear_relu", LINEAR("X") RELU},
    {"quantized::linear_relu_dynamic", LINEAR("~X") RELU},
    {"quantized::linear_relu_dynamic_fp16", LINEAR("X") RELU},
    {"quantized::linear_tanh", LINEAR("X") " | aten::tanh($)"},
    {"quantized::matmul", "aten::matmul(qa, qb)"},
    {"quantized::max_pool1d",
     "aten::max_pool1d(qx, kernel_size, stride, padding, dilation, ceil_mode)"},
    {"quantized::max_pool2d",
     "aten::max_pool2d(qx, kernel_size, stride, padding, dilation, ceil_mode)"},
    {"quantized::mul", "aten::mul.Tensor(qa, qb)"},
    {"quantized::mul.Scalar", "aten::mul.Scalar(qa, b)"},
    {"quantized::mul.Scalar2", "aten::mul.Scalar(qa, b)"},
    {"quantized::mul_relu", "aten::mul.Tensor(qa, qb)" RELU},
    {"quantized::mul_relu.Scalar", "aten::mul.Scalar(qa, b)" RELU},
    {"quantized::mul_relu.Scalar2", "aten::mul.Scalar(qa, b)" RELU},
    {"quantized::mul_scalar", "aten::mul.Scalar(qa, b)"},
    {"quantized::mul_scalar.Tensor", "aten::mul.Tensor(qa, b)"},
    {"quantized::mul_scalar_relu", "aten::mul.Scalar(qa, b)" RELU},
    {"quantized::mul_scalar_relu.Tensor", "aten::mul.Tensor(qa, b)" RELU},
    {"quantized::prelu", "aten::prelu(qx, weight)"},
    {"quantized::relu6", "aten::relu6(qx)"},
    {"quantized::sigmoid", "aten::sigmoid(qx)"},
    {"quantized::softmax", "aten::softmax.int(qx, dim, None)"},
    {"quantized::threshold", "aten::threshold(qx, threshold, value)"},
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) depth += text[i] == '[' ? 1 : text[i] == ']' ? -1 : 0;
    if (i < text.size() && (text[i] != separator || depth > 0)) continue;
    parts.emplace_back(trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  return parts;
}

std::vector<RealStep> parse(std::string_view text) {
  std::vector<RealStep> steps;
  for (const std::string& step : split(text, '|')) {
    const size_t open = step.find('(');
    const std::string_view list = std::string_view(step).substr(open + 1);
    steps.push_back({step.substr(0, open), split(list.substr(0, list.size() - 1), ',')});
  }
  return steps;
}

const std::map<std::string_view, std::vector<RealStep>>& table() {
  static const std::map<std::string_view, std::vector<RealStep>> kTable = [] {
    std::map<std::string_view, std::vector<RealStep>> table;
    for (const Row& row : kRows) table.emplace(row.key, parse(row.steps));
    return table;
  }();
  return kTable;
}

}  // namespace

const std::vector<RealStep>* real_steps(std::string_view key) {
  const auto found = table().find(key);
  return found == table().end() ? nullptr : &found->second;
}

bool reads_quantization(std::string_view key) {
  static constexpr std::string_view kKeys[] = {"aten::q_per_channel_scales",
                                               "aten::q_per_channel_zero_points", "aten::q_scale",
                                               "aten::q_zero_point"};
  return std::ranges::find(kKeys, key) != std::end(kKeys);
}

bool is_quantized_operator(std::string_view key) {
  return real_steps(key) != nullptr || reads_quantization(key);
}

std::vector<std::string> split_arguments(std::string_view list) { return split(list, ','); }

std::vector<std::string_view> quantized_operators() {
  std::vector<std::string_view> keys;
  for (const auto& [key, steps] : table()) keys.push_back(key);
  return keys;
}

}  // namespace modelexport::frontend
