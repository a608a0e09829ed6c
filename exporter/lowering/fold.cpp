// Sliding blocks to columns and back (torch.nn.Unfold and Fold).
#include <span>
#include <vector>

#include "exporter/lowering/call.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

struct Blocks {
  std::vector<int64_t> kernel, dilation, padding, stride;
};

Blocks read_blocks(Call& c) {
  return {per_axis(c.integers("kernel_size"), 2), per_axis(c.integers("dilation"), 2),
          per_axis(c.integers("padding"), 2), per_axis(c.integers("stride"), 2)};
}

// How many blocks fit along an axis of that size.
int64_t block_count(const Blocks& blocks, int axis, int64_t size) {
  const int64_t reach = blocks.dilation[axis] * (blocks.kernel[axis] - 1);
  return (size + 2 * blocks.padding[axis] - reach - 1) / blocks.stride[axis] + 1;
}

// Positions in the padded input along an axis: int64 [kernel, blocks].
V block_positions(Call& c, const Blocks& blocks, int axis, V padded, Dim size) {
  const V offsets = c.mul(iota(c, blocks.kernel[axis]), c.constant_int(blocks.dilation[axis]));
  V starts;
  if (is_static(size)) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < block_count(blocks, axis, size); ++i)
      values.push_back(i * blocks.stride[axis]);
    starts = c.constant_ints(values);
  } else {
    const V count =
        c.squeeze(c.node("Shape", {padded}, {attr("start", axis + 2), attr("end", axis + 3)}), {0});
    const int64_t reach = blocks.dilation[axis] * (blocks.kernel[axis] - 1);
    starts = c.node("Range", {c.constant_int(0), c.sub(count, c.constant_int(reach)),
                              c.constant_int(blocks.stride[axis])});
  }
  return c.add(c.unsqueeze(offsets, {1}), starts);
}

// Before opset 18: each column element is spread by a transposed convolution whose kernel has a one
// at that element's place.
V spread(Call& c, V columns, const Blocks& blocks, const Shape& size) {
  const int64_t elements = blocks.kernel[0] * blocks.kernel[1];
  std::vector<int64_t> counts, output_padding;
  for (int axis = 0; axis < 2; ++axis) {
    if (!is_static(size[axis])) throw Unsupported{"folding to a dynamic size before opset 18"};
    counts.push_back(block_count(blocks, axis, size[axis]));
    const int64_t reach = blocks.dilation[axis] * (blocks.kernel[axis] - 1);
    output_padding.push_back(size[axis] - ((counts[axis] - 1) * blocks.stride[axis] -
                                           2 * blocks.padding[axis] + reach + 1));
  }
  const DType dtype = c.dtype_of(columns);
  const V planes = c.reshape_to(columns, c.constant_ints({-1, elements, counts[0], counts[1]}));
  std::vector<double> identity(elements * elements, 0.0);
  for (int64_t i = 0; i < elements; ++i) identity[i * elements + i] = 1;
  const V kernel =
      constant_numbers(c, dtype, {elements, 1, blocks.kernel[0], blocks.kernel[1]}, identity);
  return run(
      c, "ConvTranspose", {planes, kernel},
      {attr("dilations", blocks.dilation), attr("output_padding", output_padding),
       attr("pads", joined(blocks.padding, blocks.padding)), attr("strides", blocks.stride)});
}

// aten::im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride)
//   -> Tensor
V im2col(Call& c) {
  const Blocks blocks = read_blocks(c);
  V x = with_batch(c, c.tensor("self"), 2);
  const Shape shape = c.shape(x);
  const int64_t vertical = blocks.padding[0], horizontal = blocks.padding[1];
  if (vertical > 0 || horizontal > 0) {
    x = run(c, "Pad",
            {x, c.constant_ints({0, 0, vertical, horizontal, 0, 0, vertical, horizontal}),
             c.constant(0, c.dtype_of(x))});
  }
  const V rows = block_positions(c, blocks, 0, x, shape[2]);
  const V columns = block_positions(c, blocks, 1, x, shape[3]);
  // [N, C, kernel rows, rows, kernel columns, columns]
  const V elements = c.gather(c.gather(x, rows, 2), columns, 4);
  const V ordered = c.transpose(elements, {0, 1, 2, 4, 3, 5});
  const Dim features = c.out_shape()[c.out_rank() - 2];
  if (!is_static(features)) throw Unsupported{"unfolding a dynamic number of channels"};
  if (c.out_rank() == 2) return c.reshape_to(ordered, c.constant_ints({features, -1}));
  return c.reshape_to(ordered, c.constant_ints({0, features, -1}));
}

// aten::col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, int[2] dilation,
//   int[2] padding, int[2] stride) -> Tensor
V col2im(Call& c) {
  const Blocks blocks = read_blocks(c);
  const V x = with_batch(c, c.tensor("self"), 1);
  if (c.opset() < 18) {
    const Shape size = c.dims("output_size");
    return c.reshape(spread(c, x, blocks, size), c.out_shape());
  }
  const V y =
      run(c, "Col2Im", {x, c.int_list("output_size"), c.constant_ints(blocks.kernel)},
          {attr("dilations", blocks.dilation), attr("pads", joined(blocks.padding, blocks.padding)),
           attr("strides", blocks.stride)});
  return c.out_rank() == 3 ? c.squeeze(y, {0}) : y;
}

constexpr Row kRows[] = {
    {"aten::col2im", col2im},
    {"aten::im2col", im2col},
};

}  // namespace

std::span<const Row> fold_rows() { return kRows; }

}  // namespace modelexport::lowering
