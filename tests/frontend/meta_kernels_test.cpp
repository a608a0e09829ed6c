// On meta tensors operators give what they give on the CPU: sizes, strides and dtypes.
#include "exporter/frontend/meta_kernels.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace modelexport::frontend {
namespace {

using Tensors = std::vector<at::Tensor>;
using Operator = std::function<at::Tensor(const Tensors&)>;

std::string text(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << tensor.sizes() << tensor.strides();
  return text.str();
}

// What the operator gives, or "refused".
std::string result(const Operator& run, const Tensors& inputs) {
  try {
    return text(run(inputs));
  } catch (const c10::NotImplementedError&) {
    return inputs[0].is_meta() ? "not implemented" : "refused";
  } catch (const c10::Error&) {
    return "refused";
  }
}

class MetaKernels : public testing::Test {
 protected:
  MetaKernels() {
    at::globalContext().setUserEnabledMkldnn(false);  // as live_module.cpp has it
    register_meta_kernels();
  }

  static void expect_same(const std::string& name, const Tensors& inputs, const Operator& run) {
    const c10::InferenceMode guard;
    Tensors metas;
    for (const at::Tensor& input : inputs) {
      metas.push_back(
          at::empty_strided(input.sizes(), input.strides(), input.options().device(at::kMeta)));
    }
    std::string given;
    for (const at::Tensor& input : inputs) given += text(input) + " ";
    EXPECT_EQ(result(run, metas), result(run, inputs)) << name << " of " << given;
  }

  // Several layouts of a tensor of these sizes.
  static Tensors layouts(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
    const at::Tensor plain = (at::rand(sizes) * 4).to(dtype);
    Tensors all{plain, plain.transpose(1, -1).contiguous().transpose(1, -1)};
    if (sizes.size() == 4) all.push_back(plain.contiguous(at::MemoryFormat::ChannelsLast));
    if (sizes.size() == 5) all.push_back(plain.contiguous(at::MemoryFormat::ChannelsLast3d));
    return all;
  }
};

TEST_F(MetaKernels, Convolutions) {
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
    for (const at::Tensor& x : layouts({2, 4, 9, 8}, dtype)) {
      for (const at::Tensor& weight : layouts({4, 2, 3, 3}, dtype)) {
        const auto convolve = [](bool transposed, int64_t stride, int64_t dilation) {
          return [=](const Tensors& given) {
            const std::vector<int64_t> none{0, 0}, strides{stride, 1}, dilations{1, dilation};
            return at::convolution(given[0], given[1], {}, strides, {1, 0}, dilations, transposed,
                                   none, 2);
          };
        };
        expect_same("convolution", {x, weight}, convolve(false, 1, 1));
        expect_same("convolution, strided", {x, weight}, convolve(false, 2, 1));
        expect_same("convolution, dilated", {x, weight}, convolve(false, 1, 2));
        expect_same("convolution, transposed", {x, weight}, convolve(true, 2, 1));
      }
    }
  }
  const Operator same = [](const Tensors& given) {
    return at::conv2d(given[0], given[1], {}, {1, 1}, "same");
  };
  expect_same("conv2d, same", {at::rand({2, 4, 9, 8}), at::rand({5, 4, 3, 2})}, same);
  expect_same("conv2d, other channels", {at::rand({2, 3, 9, 8}), at::rand({5, 4, 3, 2})}, same);
  expect_same("conv2d, too small", {at::rand({2, 4, 1, 1}), at::rand({5, 4, 3, 2})},
              [](const Tensors& given) { return at::conv2d(given[0], given[1]); });
}

TEST_F(MetaKernels, ConvolutionsOfOneAndThreeDimensions) {
  for (const at::Tensor& x : layouts({2, 4, 9})) {
    expect_same("conv1d", {x, at::rand({6, 4, 3}), at::rand({6})}, [](const Tensors& given) {
      return at::conv1d(given[0], given[1], given[2], 2, 1);
    });
    expect_same("conv_transpose1d", {x, at::rand({4, 6, 3})}, [](const Tensors& given) {
      return at::conv_transpose1d(given[0], given[1], {}, 2, 1, 1);
    });
  }
  for (const at::Tensor& x : layouts({2, 4, 5, 6, 7})) {
    expect_same("conv3d", {x, at::rand({6, 4, 3, 2, 1})},
                [](const Tensors& given) { return at::conv3d(given[0], given[1]); });
    expect_same("conv3d, dilated", {x, at::rand({6, 4, 2, 2, 2})},
                [](const Tensors& given) { return at::conv3d(given[0], given[1], {}, 1, 1, 2); });
    expect_same("conv_transpose3d", {x, at::rand({4, 6, 3, 2, 1})},
                [](const Tensors& given) { return at::conv_transpose3d(given[0], given[1]); });
  }
}

TEST_F(MetaKernels, Normalisations) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& sizes : std::vector<std::vector<int64_t>>{{2, 4, 6}, {2, 4, 3, 6}}) {
      for (const at::Tensor& x : layouts(sizes, dtype)) {
        const at::Tensor last = at::rand({6}), channels = at::rand({4});
        for (const int output : {0, 1, 2}) {
          expect_same("layer_norm", {x, last, last}, [output](const Tensors& given) {
            const auto all = at::native_layer_norm(given[0], {6}, given[1], given[2], 1e-5);
            return output == 0 ? std::get<0>(all) : std::get<1>(all);
          });
        }
        expect_same("layer_norm, of other sizes", {x, channels},
                    [](const Tensors& given) { return at::layer_norm(given[0], {4}, given[1]); });
        expect_same("group_norm", {x, channels, channels}, [](const Tensors& given) {
          return at::group_norm(given[0], 2, given[1], given[2]);
        });
        expect_same("group_norm, of other sizes", {x, last},
                    [](const Tensors& given) { return at::group_norm(given[0], 2, given[1]); });
        for (const bool training : {false, true}) {
          const auto norm = [training](const Tensors& given) {
            return at::batch_norm(given[0], given[1], given[1], given[1], given[1], training, 0.1,
                                  1e-5, false);
          };
          expect_same("batch_norm", {x, channels}, norm);
          expect_same("batch_norm, of other sizes", {x, last}, norm);
        }
        expect_same("instance_norm", {x, channels}, [](const Tensors& given) {
          return at::instance_norm(given[0], given[1], {}, {}, {}, true, 0.1, 1e-5, false);
        });
      }
    }
  }
}

TEST_F(MetaKernels, Attention) {
  const auto attend = [](bool causal, bool grouped) {
    return [=](const Tensors& given) {
      const auto mask = given.size() > 3 ? std::optional(given[3]) : std::nullopt;
      return at::scaled_dot_product_attention(given[0], given[1], given[2], mask, 0, causal, {},
                                              grouped);
    };
  };
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const at::Tensor key = at::rand({2, 4, 7, 6}, dtype), wide = at::rand({2, 4, 7, 5}, dtype);
    for (const at::Tensor& query : layouts({2, 4, 3, 6}, dtype)) {
      expect_same("attention", {query, key, key}, attend(false, false));
      expect_same("attention, causal", {query, key, key}, attend(true, false));
      expect_same("attention, other values", {query, key, wide}, attend(false, false));
      for (const auto& mask : {at::rand({3, 7}, dtype), at::rand({2, 1, 3, 7}) > 0.5}) {
        expect_same("attention, masked", {query, key, key, mask}, attend(false, false));
        expect_same("attention, masked, other values", {query, key, wide, mask},
                    attend(false, false));
      }
      expect_same("attention, another mask", {query, key, key, at::rand({3, 6}, dtype)},
                  attend(false, false));
      expect_same("attention, grouped", {query, key.slice(1, 0, 2), key.slice(1, 0, 2)},
                  attend(false, true));
      expect_same("attention, other heads", {query, key.slice(1, 0, 2), key.slice(1, 0, 2)},
                  attend(false, false));
    }
    for (const at::Tensor& query : layouts({4, 3, 6}, dtype)) {
      expect_same("attention", {query, key[0], key[0]}, attend(false, false));
    }
  }
}

TEST_F(MetaKernels, Activations) {
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kInt, at::kBool}) {
    for (const at::Tensor& x : layouts({2, 4, 3, 6}, dtype)) {
      expect_same("relu", {x}, [](const Tensors& given) { return at::relu(given[0]); });
      expect_same("hardtanh", {x}, [](const Tensors& given) { return at::hardtanh(given[0]); });
      expect_same("relu6", {x}, [](const Tensors& given) { return at::relu6(given[0]); });
      expect_same("hardswish", {x}, [](const Tensors& given) { return at::hardswish(given[0]); });
    }
    const at::Tensor part = at::zeros({2, 4, 6}, dtype).slice(2, 1, 4).expand({5, 2, 4, 3});
    expect_same("relu", {part}, [](const Tensors& given) { return at::relu(given[0]); });
  }
  const Operator in_place = [](const Tensors& given) {
    at::Tensor x = given[0];
    return at::hardtanh_(at::hardswish_(at::relu_(x)));
  };
  expect_same("in place", {at::rand({2, 4, 3, 6}).transpose(1, 2)}, in_place);
}

}  // namespace
}  // namespace modelexport::frontend
