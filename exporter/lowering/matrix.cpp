#include "exporter/lowering/matrix.h"

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"

namespace modelexport::lowering {
namespace {

Shape shape_of(Matrix a) { return a.call().shape(a); }

// Gather with a rank-0 index, kept as an axis of size 1.
Matrix part(Matrix a, V index, int64_t from_back) {
  Call& c = a.call();
  Shape shape = shape_of(a);
  const int64_t axis = std::ssize(shape) - from_back;
  shape[axis] = 1;
  return Expr(c, c.typed(c.gather(a, c.unsqueeze(index, {0}), axis), a.dtype(), shape));
}

Matrix triangle(Matrix a, bool upper) {
  Call& c = a.call();
  return Expr(c, c.typed(c.node("Trilu", {a}, {attr("upper", upper)}), a.dtype(), shape_of(a)));
}

}  // namespace

Matrix matrix_operand(Call& c, std::string_view name) {
  return Expr(c, c.tensor(name, DType::f64));
}

Shape batch_shape(Matrix a) {
  const Shape shape = shape_of(a);
  return Shape(shape.begin(), shape.end() - 2);
}

Shape with_batch(Matrix a, Dim rows, Dim columns) {
  Shape shape = batch_shape(a);
  shape.push_back(rows);
  shape.push_back(columns);
  return shape;
}

Dim row_count(Matrix a) { return shape_of(a).end()[-2]; }
Dim column_count(Matrix a) { return shape_of(a).back(); }

Dim smaller_size(Matrix a) {
  const Dim rows = row_count(a), columns = column_count(a);
  if (rows == columns) return rows;
  if (is_static(rows) && is_static(columns)) return std::min(rows, columns);
  throw Unsupported{"a matrix that is not square and whose size is dynamic"};
}

Matrix transposed(Matrix a) {
  Call& c = a.call();
  std::vector<int64_t> order(c.rank(a));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::swap(order.end()[-1], order.end()[-2]);
  return Expr(
      c, c.typed(c.transpose(a, order), a.dtype(), with_batch(a, column_count(a), row_count(a))));
}

Matrix product(Matrix a, Matrix b) {
  Call& c = a.call();
  const Matrix& batched = c.rank(a) >= c.rank(b) ? a : b;
  return Expr(c, c.typed(c.node("MatMul", {a, b}), a.dtype(),
                         with_batch(batched, row_count(a), column_count(b))));
}

Matrix broadcast_to(Matrix a, const Shape& shape) {
  return Expr(a.call(), expand(a.call(), a, shape));
}

Matrix identity(Matrix like, Dim rows, Dim columns) {
  Call& c = like.call();
  const V equal = c.node("Equal", {c.unsqueeze(iota(c, rows), {1}), iota(c, columns)});
  return broadcast_to(Expr(c, c.cast(equal, like.dtype())), with_batch(like, rows, columns));
}

Matrix upper_triangle(Matrix a) { return triangle(a, true); }
Matrix lower_triangle(Matrix a) { return triangle(a, false); }

Matrix first_columns(Matrix a, Dim count) {
  Call& c = a.call();
  if (count == column_count(a)) return a;
  const V sliced = c.node("Slice", {a, c.constant_ints({0}), c.shape_vector({count}),
                                    c.constant_ints({c.rank(a) - 1})});
  return Expr(c, c.typed(sliced, a.dtype(), with_batch(a, row_count(a), count)));
}

Matrix first_rows(Matrix a, Dim count) {
  return count == row_count(a) ? a : transposed(first_columns(transposed(a), count));
}

V diagonal_of(Matrix a) {
  Call& c = a.call();
  const Matrix square = first_rows(a, smaller_size(a));
  const V on = c.node("Equal", {row_numbers(square), column_numbers(square)});
  return reduce(c, "ReduceSum", where(Expr(c, on), square, 0.0), {c.rank(a) - 1}, false);
}

Expr row_numbers(Matrix a) {
  Call& c = a.call();
  return Expr(c, c.unsqueeze(iota(c, row_count(a)), {1}));
}

Expr column_numbers(Matrix a) { return Expr(a.call(), iota(a.call(), column_count(a))); }

Matrix column(Matrix a, V index) { return part(a, index, 1); }
Matrix row(Matrix a, V index) { return part(a, index, 2); }

Matrix rows_at(Matrix a, V order) {
  Call& c = a.call();
  const V indices = expand(c, order, shape_of(a));
  const V rows = c.node("GatherElements", {a, indices}, {attr("axis", c.rank(a) - 2)});
  return Expr(c, c.typed(rows, a.dtype(), shape_of(a)));
}

Matrix as_columns(Call& c, const Shape& batch, Dim rows, V collected, Dim rounds) {
  const int64_t rank = std::ssize(batch) + 2;
  std::vector<int64_t> order;
  for (int64_t axis = 1; axis < rank; ++axis) order.push_back(axis);
  order.push_back(0);
  const DType dtype = c.dtype_of(collected);
  const V columns = c.node("Transpose", {c.squeeze(collected, {rank})}, {attr("perm", order)});
  Shape shape = batch;
  shape.insert(shape.end(), {rows, rounds});
  return Expr(c, c.typed(columns, dtype, shape));
}

}  // namespace modelexport::lowering
