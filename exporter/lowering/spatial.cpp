#include "exporter/lowering/spatial.h"

#include <numeric>
#include <utility>

namespace modelexport::lowering {

V with_batch(Call& c, V x, int64_t spatial) {
  return c.rank(x) == spatial + 1 ? c.unsqueeze(x, {0}) : x;
}

V like_result(Call& c, V y, int64_t spatial) {
  return c.out_rank() == spatial + 1 ? c.squeeze(y, {0}) : y;
}

std::vector<int64_t> per_axis(std::vector<int64_t> values, int64_t axes) {
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

std::vector<int64_t> joined(std::vector<int64_t> a, const std::vector<int64_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<int64_t> axes_from(int64_t first, int64_t count) {
  std::vector<int64_t> axes(count);
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

V constant_numbers(Call& c, DType dtype, std::vector<int64_t> dims,
                   const std::vector<double>& values) {
  if (dtype == DType::f64) return c.constant_tensor(DType::f64, std::move(dims), bytes_of(values));
  const std::vector<float> floats(values.begin(), values.end());
  return c.cast(c.constant_tensor(DType::f32, std::move(dims), bytes_of(floats)), dtype);
}

V constant_integers(Call& c, std::vector<int64_t> dims, const std::vector<int64_t>& values) {
  return c.constant_tensor(DType::i64, std::move(dims), bytes_of(values));
}

V filled_with(Call& c, double value, DType dtype, const Shape& shape) {
  const auto count = element_count(shape);
  if (!count) return c.expand(c.constant(value, dtype), shape);
  return constant_numbers(c, dtype, shape, std::vector<double>(*count, value));
}

V matrix_along(Call& c, V x, int64_t axis, V matrix) {
  std::vector<int64_t> to_last = axes_from(0, c.rank(x));
  std::swap(to_last[axis], to_last.back());
  return c.transpose(c.node("MatMul", {c.transpose(x, to_last), matrix}), to_last);
}

}  // namespace modelexport::lowering
