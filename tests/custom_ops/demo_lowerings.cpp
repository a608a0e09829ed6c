// Lowerings of demo_ops.cpp's operators, for --load-lowerings.
#include "exporter/lowering/plugin.h"

namespace {

using namespace modelexport::lowering;

// demo::scale(Tensor x, float factor, Tensor? shift=None) -> Tensor
V scale(Call& c) {
  const V x = c.tensor("x"), shift = c.optional_tensor("shift");
  const V scaled = c.mul(x, c.constant(c.number("factor"), c.dtype_of(x)));
  return shift == kOmitted ? scaled : c.add(scaled, shift);
}

// demo::sums(Tensor x, int[] axes) -> (Tensor, Tensor)
std::vector<V> sums(Call& c) {
  const V x = c.tensor("x"), axes = c.int_list("axes");
  const V sum = c.node("ReduceSum", {x, axes}, {attr("keepdims", 1)});
  const V count = c.node("Div", {c.node("Size", {x}), c.node("Size", {sum})});
  return {c.typed(sum, c.out_dtype(0), c.out_shape(0)),
          c.typed(count, modelexport::DType::i64, {})};
}

// demo::join(Tensor[] parts, int axis=0) -> Tensor
V join(Call& c) {
  if (c.tensors("parts").size() > 3) throw Unsupported{"more than three parts"};
  return c.concat(c.tensors("parts"), c.axis("axis", c.out_rank()));
}

constexpr Row kRows[] = {
    {"demo::join", join},
    {"demo::scale", scale},
    {"demo::sums", sums},
};

}  // namespace

MODELEXPORT_LOWERINGS(kRows)
