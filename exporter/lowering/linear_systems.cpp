// Determinants, inverses and solutions of linear systems, and the LU factors behind them.
#include <algorithm>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/matrix.h"

namespace modelexport::lowering {
namespace {

// Everything is computed in double; results have what was observed.
V as_result(Call& c, V value, size_t index) {
  return c.output_used(index) ? c.cast(value, c.out_dtype(index)) : kOmitted;
}

V diagonal_product(Call& c, Matrix factors) {
  const V diagonal = diagonal_of(factors);
  return reduce(c, "ReduceProd", diagonal, {c.rank(diagonal) - 1}, false);
}

V last_sum(Call& c, V x) { return reduce(c, "ReduceSum", x, {c.rank(x) - 1}, false); }

// ---- determinants
// ---------------------------------------------------------------------------------

// aten::_linalg_det(Tensor A) -> (Tensor result, Tensor LU, Tensor pivots)
std::vector<V> det(Call& c) {
  const Lu factors = lu(matrix_operand(c, "A"), true);
  V value = Expr(c, diagonal_product(c, factors.factors)) * permutation_sign(c, factors.pivots);
  if (c.out_dtype() == DType::f32) value = c.node("Det", {c.tensor("A")});
  return {as_result(c, value, 0), as_result(c, factors.factors, 1),
          as_result(c, factors.pivots, 2)};
}

// aten::_linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet, Tensor LU, Tensor pivots)
std::vector<V> slogdet(Call& c) {
  const Lu factors = lu(matrix_operand(c, "A"), true);
  Expr diagonal(c, diagonal_of(factors.factors));
  Expr signs(c, reduce(c, "ReduceProd", sign(diagonal), {c.rank(diagonal) - 1}, false));
  return {as_result(c, signs * permutation_sign(c, factors.pivots), 0),
          as_result(c, last_sum(c, log(abs(diagonal))), 1), as_result(c, factors.factors, 2),
          as_result(c, factors.pivots, 3)};
}

// ---- factors
// --------------------------------------------------------------------------------------

// aten::linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False)
//     -> (Tensor LU, Tensor pivots, Tensor info)
std::vector<V> lu_factor(Call& c) {
  c.ignore({"check_errors"});
  const Lu factors = lu(matrix_operand(c, "A"), c.boolean("pivot"));
  return {as_result(c, factors.factors, 0), as_result(c, factors.pivots, 1),
          as_result(c, first_zero(c, diagonal_of(factors.factors)), 2)};
}

// The matrix that puts the rows of the factors back: its element (order[i], i) is 1.
Matrix permutation(Call& c, V order) {
  const int64_t rank = c.rank(order);
  const Shape shape = c.shape(order);
  std::vector<int64_t> turn;
  for (int64_t i = 0; i < rank; ++i) turn.push_back(i);
  std::swap(turn[rank - 1], turn[rank - 2]);
  const V rows = c.unsqueeze(iota(c, shape[rank - 2]), {1});
  return cast(Expr(c, c.node("Equal", {rows, c.transpose(order, turn)})), DType::f64);
}

// The order of rows that swaps of getrf's kind, from 1, lead to: [*, rows, 1].
V order_of(Call& c, V pivots, Dim rows) {
  const int64_t last = c.rank(pivots) - 1;
  const Expr swaps(c, c.unsqueeze(c.cast(pivots, DType::i64), {last + 1}));
  Shape shape = c.shape(pivots);
  const Dim steps = shape.back();
  shape.back() = rows;
  shape.push_back(1);
  const Expr numbers(c, c.unsqueeze(iota(c, rows), {1}));
  const V count = is_static(steps) ? c.constant_int(steps) : size_number(c, pivots, last);
  const auto step = [&](V index, const auto& carried) {
    Expr pivot = row(swaps, index) - 1.0, here(c, index);
    Expr order = where(equal(numbers, pivot), here, where(equal(numbers, here), pivot, numbers));
    return Round{{rows_at(carried[0], order)}, {}};
  };
  return repeat(c, count, {expand(c, numbers, shape)}, step).carried[0];
}

Matrix unit_lower(Matrix factors, Dim size) {
  const Matrix below = lower_triangle(first_columns(factors, size));
  const Expr on = equal(row_numbers(below), column_numbers(below));
  return where(on, 1.0, below);
}

// (P, L, U) of the factors
std::vector<V> parts(Call& c, Matrix factors, V order, bool data, bool pivots) {
  const Dim size = smaller_size(factors);
  const V empty = c.constant_tensor(c.out_dtype(data ? 0 : 1), {0}, "");
  return {pivots ? as_result(c, permutation(c, order), 0) : empty,
          data ? as_result(c, unit_lower(factors, size), 1) : empty,
          data ? as_result(c, upper_triangle(first_rows(factors, size)), 2) : empty};
}

// aten::linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)
std::vector<V> lu_parts(Call& c) {
  const bool pivot = c.boolean("pivot");
  const Lu factors = lu(matrix_operand(c, "A"), pivot);
  return parts(c, factors.factors, factors.order, true, pivot);
}

// aten::lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True)
//     -> (Tensor P, Tensor L, Tensor U)
std::vector<V> lu_unpack(Call& c) {
  const Matrix factors = matrix_operand(c, "LU_data");
  const bool pivots = c.boolean("unpack_pivots");
  const V swaps = c.tensor("LU_pivots");
  const V order = pivots ? order_of(c, swaps, row_count(factors)) : kOmitted;
  return parts(c, factors, order, c.boolean("unpack_data"), pivots);
}

// ---- solutions
// ------------------------------------------------------------------------------------

Matrix with_batch_of(Matrix a, const Shape& shape) {
  Shape target(shape.begin(), shape.end() - 2);
  target.insert(target.end(), {row_count(a), column_count(a)});
  return broadcast_to(a, target);
}

// a x = b, or transposed a x = b, for the factors of a.
Matrix solve(Call& c, const Lu& factors, Matrix b, bool adjoint) {
  if (!adjoint) return solve_lu(factors, b);
  const Matrix turned = transposed(factors.factors);
  const Matrix inner = solve_triangular(turned, b, false, false);
  return product(permutation(c, factors.order), solve_triangular(turned, inner, true, true));
}

// aten::linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)
std::vector<V> inverse_of(Call& c) {
  c.ignore({"check_errors"});
  const Matrix a = matrix_operand(c, "A");
  const Lu factors = lu(a, true);
  return {as_result(c, solve_lu(factors, identity(a, row_count(a), row_count(a))), 0),
          as_result(c, first_zero(c, diagonal_of(factors.factors)), 1)};
}

// aten::_linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False)
//     -> (Tensor result, Tensor LU, Tensor pivots, Tensor info)
std::vector<V> solve_system(Call& c) {
  c.ignore({"check_errors"});
  const Matrix a = matrix_operand(c, "A");
  Expr b(c, c.tensor("B", DType::f64));
  const Shape shape = c.shape(b);
  const bool vector =
      shape.size() == 1 || (shape.size() + 1 == c.shape(a).size() &&
                            std::equal(shape.begin(), shape.end(), c.shape(a).begin()));
  const bool left = c.boolean("left");
  if (vector) b = Expr(c, c.unsqueeze(b, {c.rank(b)}));
  if (!left) b = transposed(b);
  const Lu factors = lu(a, true);
  const auto widened = [&](Matrix m, const Shape& to) { return with_batch_of(m, to); };
  const Shape out = vector ? c.shape(b) : c.out_shape();
  const Shape batch = vector ? with_batch(a, 1, 1) : out;
  const Lu wide{widened(factors.factors, batch), widened(Expr(c, factors.order), batch), kOmitted};
  Matrix x = solve(c, wide, widened(b, batch), !left);
  if (!left) x = transposed(x);
  const V result = vector ? c.squeeze(x, {c.rank(x) - 1}) : V(x);
  return {as_result(c, result, 0), as_result(c, factors.factors, 1),
          as_result(c, factors.pivots, 2),
          as_result(c, first_zero(c, diagonal_of(factors.factors)), 3)};
}

// aten::linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False)
//     -> Tensor
V solve_factored(Call& c) {
  const Matrix factors = matrix_operand(c, "LU");
  const bool left = c.boolean("left"), adjoint = c.boolean("adjoint");
  const Expr order(c, order_of(c, c.tensor("pivots"), row_count(factors)));
  Matrix b = matrix_operand(c, "B");
  if (!left) b = transposed(b);
  const Shape& shape = c.out_shape();
  const Lu wide{with_batch_of(factors, shape), with_batch_of(order, shape), kOmitted};
  const Matrix x = solve(c, wide, with_batch_of(b, shape), adjoint == left);
  return as_result(c, left ? x : transposed(x), 0);
}

// aten::linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True,
//     bool unitriangular=False) -> Tensor
V solve_triangle(Call& c) {
  const bool left = c.boolean("left"), upper = c.boolean("upper");
  Matrix a = with_batch_of(matrix_operand(c, "self"), c.out_shape());
  Matrix b = with_batch_of(matrix_operand(c, "B"), c.out_shape());
  const bool unit = c.boolean("unitriangular");
  if (left) return as_result(c, solve_triangular(a, b, upper, unit), 0);
  return as_result(c, transposed(solve_triangular(transposed(a), transposed(b), !upper, unit)), 0);
}

// aten::triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False,
//     bool unitriangular=False) -> (Tensor solution, Tensor cloned_coefficient)
std::vector<V> triangular_solve(Call& c) {
  Matrix a = with_batch_of(matrix_operand(c, "A"), c.out_shape());
  const Matrix b = with_batch_of(matrix_operand(c, "self"), c.out_shape());
  const V given = as_result(c, a, 1);
  bool upper = c.boolean("upper");
  if (c.boolean("transpose")) {
    a = transposed(a);
    upper = !upper;
  }
  return {as_result(c, solve_triangular(a, b, upper, c.boolean("unitriangular")), 0), given};
}

constexpr Row kRows[] = {
    {"aten::_linalg_det", det},
    {"aten::_linalg_slogdet", slogdet},
    {"aten::_linalg_solve_ex", solve_system},
    {"aten::linalg_inv_ex", inverse_of},
    {"aten::linalg_lu", lu_parts},
    {"aten::linalg_lu_factor_ex", lu_factor},
    {"aten::linalg_lu_solve", solve_factored},
    {"aten::linalg_solve_triangular", solve_triangle},
    {"aten::lu_unpack", lu_unpack},
    {"aten::triangular_solve", triangular_solve},
};

}  // namespace

std::span<const Row> linear_system_rows() { return kRows; }

}  // namespace modelexport::lowering
