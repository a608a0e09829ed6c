// Moving blocks of pixels between channels and space, and interleaving channels.
#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// The leading dimensions of `x`, all but its last three, and those three.
struct Image {
  Shape leading;
  Dim channels, height, width;
};

Image split(const Shape& shape) {
  const size_t outer = shape.size() - 3;
  return {Shape(shape.begin(), shape.begin() + outer), shape[outer], shape[outer + 1],
          shape[outer + 2]};
}

Shape extended(Shape leading, const Shape& rest) {
  leading.insert(leading.end(), rest.begin(), rest.end());
  return leading;
}

// All leading axes, then these of the ones after them.
std::vector<int64_t> permutation(int64_t leading, std::vector<int64_t> rest) {
  for (int64_t& axis : rest) axis += leading;
  return joined(axes_from(0, leading), rest);
}

// A size times (or, if `divide`, by) a factor: 1-D int64.
V scaled(Call& c, V x, int64_t axis, int64_t factor, bool divide) {
  const Dim dim = c.shape(x)[axis];
  if (is_static(dim)) return c.constant_ints({divide ? dim / factor : dim * factor});
  return c.node(divide ? "Div" : "Mul", {c.size_of(x, axis), c.constant_ints({factor})});
}

// Sizes in one vector; a constant if all of them are.
V sizes(Call& c, const std::vector<V>& parts) {
  std::vector<int64_t> values;
  for (V part : parts) {
    const auto known = c.known_integers(part);
    if (!known) return c.concat(parts, 0);
    values = joined(values, *known);
  }
  return c.constant_ints(values);
}

int64_t static_channels(const Image& image) {
  if (!is_static(image.channels)) throw Unsupported{"a dynamic number of channels"};
  return image.channels;
}

// aten::pixel_shuffle(Tensor self, int upscale_factor) -> Tensor
V pixel_shuffle(Call& c) {
  const V x = c.tensor("self");
  const int64_t r = c.integer("upscale_factor"), rank = c.rank(x), outer = rank - 3;
  if (rank == 4 && is_floating(c.dtype_of(x)))
    return run(c, "DepthToSpace", {x}, {attr("blocksize", r), attr("mode", "CRD")});
  const Image image = split(c.shape(x));
  const int64_t channels = static_channels(image) / (r * r);
  const V blocks =
      c.reshape(x, extended(image.leading, {channels, r, r, image.height, image.width}));
  const V moved = c.transpose(blocks, permutation(outer, {0, 3, 1, 4, 2}));
  return c.reshape_to(
      moved, sizes(c, {c.shape_vector(image.leading), c.constant_ints({channels}),
                       scaled(c, x, rank - 2, r, false), scaled(c, x, rank - 1, r, false)}));
}

// aten::pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor
V pixel_unshuffle(Call& c) {
  const V x = c.tensor("self");
  const int64_t r = c.integer("downscale_factor"), rank = c.rank(x), outer = rank - 3;
  const Image image = split(c.shape(x));
  const V height = scaled(c, x, rank - 2, r, true), width = scaled(c, x, rank - 1, r, true);
  const V leading = c.shape_vector(image.leading), factor = c.constant_ints({r});
  const int64_t channels = static_channels(image);
  const V blocks = c.reshape_to(
      x, sizes(c, {leading, c.constant_ints({channels}), height, factor, width, factor}));
  const V moved = c.transpose(blocks, permutation(outer, {0, 2, 4, 1, 3}));
  return c.reshape_to(moved,
                      sizes(c, {leading, c.constant_ints({channels * r * r}), height, width}));
}

// aten::channel_shuffle(Tensor self, SymInt groups) -> Tensor
V channel_shuffle(Call& c) {
  const V x = c.tensor("self");
  const int64_t groups = c.integer("groups");
  Shape split = c.shape(x);
  if (!is_static(split[1])) throw Unsupported{"a dynamic number of channels"};
  split[1] /= groups;
  split.insert(split.begin() + 1, groups);
  std::vector<int64_t> order = axes_from(0, static_cast<int64_t>(split.size()));
  std::swap(order[1], order[2]);
  return c.reshape(c.transpose(c.reshape(x, split), order), c.out_shape());
}

constexpr Row kRows[] = {
    {"aten::channel_shuffle", channel_shuffle},
    {"aten::native_channel_shuffle", channel_shuffle},
    {"aten::pixel_shuffle", pixel_shuffle},
    {"aten::pixel_unshuffle", pixel_unshuffle},
};

}  // namespace

std::span<const Row> shuffle_rows() { return kRows; }

}  // namespace modelexport::lowering
