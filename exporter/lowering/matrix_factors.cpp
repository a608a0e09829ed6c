// Factorizations of matrix.h, each a loop over columns.
#include <algorithm>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/matrix.h"
#include "exporter/lowering/reduction.h"

namespace modelexport::lowering {
namespace {

V count_of(Matrix a, Dim dim) {
  Call& c = a.call();
  return is_static(dim) ? c.constant_int(dim) : size_number(c, a, c.rank(a) - 1);
}

Expr is_at(Expr numbers, V index) { return equal(numbers, Expr(numbers.call(), index)); }
Expr is_after(Expr numbers, V index) { return numbers > Expr(numbers.call(), index); }

Matrix sum_of_rows(Matrix a) {
  Call& c = a.call();
  return Expr(c, c.typed(reduce(c, "ReduceSum", a, {c.rank(a) - 2}, true), a.dtype(),
                         with_batch(a, 1, column_count(a))));
}

// Which row comes where, when rows `index` and `pivot` [*, 1, 1] change places.
Expr swap_order(Expr rows, V index, Expr pivot) {
  Expr k(rows.call(), index);
  return where(equal(rows, pivot), k, where(equal(rows, k), pivot, rows));
}

// The row at or below `index` whose element of the column is the largest: [*, 1, 1].
Expr pivot_row(Matrix column, V index) {
  Call& c = column.call();
  Expr candidates = where(Expr(c, index) <= row_numbers(column), abs(column), -1.0);
  const V found =
      c.node("ArgMax", {candidates}, {attr("axis", c.rank(column) - 2), attr("keepdims", 1)});
  return Expr(c, c.typed(found, DType::i64, with_batch(column, 1, 1)));
}

// One step of elimination below the diagonal of `a`.
Matrix eliminate(Matrix a, V index) {
  Matrix here = column(a, index), pivot = row(here, index);
  Expr below = is_after(row_numbers(a), index);
  Expr scaled = where(equal(pivot, 0.0), here, here / where(equal(pivot, 0.0), 1.0, pivot));
  Expr factors = where(below, scaled, 0.0);
  Expr rest = where(is_after(column_numbers(a), index), row(a, index), 0.0);
  return where(is_at(column_numbers(a), index) & below, factors, a - factors * rest);
}

// ---- rotations ----------------------------------------------------------------------------------

struct Halves {
  Matrix first, second;
};

Halves halves(Matrix a, int64_t count) {
  Call& c = a.call();
  const auto half = [&](int64_t from) {
    const V part = c.slice(a, c.rank(a) - 1, from, from + count);
    return Expr(c, c.typed(part, a.dtype(), with_batch(a, row_count(a), count)));
  };
  return {half(0), half(count)};
}

// The circle method: column 0 stays, the others move on by one, so that after 2 count - 1 rounds
// each has been opposite each other one.
V next_order(Call& c, int64_t count) {
  std::vector<int64_t> order(2 * count);
  for (int64_t i = 0; i < 2 * count; ++i) order[i] = i < count ? i - 1 : i + 1;
  order[0] = 0;
  if (count > 1) order[1] = count;
  order[2 * count - 1] = count > 1 ? count - 1 : 1;
  return c.constant_ints(order);
}

// Columns of both halves combined by the rotations (cosine, sine) and put in the order to come.
Matrix rotate(Halves parts, Expr cosine, Expr sine, V order) {
  Call& c = cosine.call();
  Expr first = cosine * parts.first - sine * parts.second;
  Expr second = sine * parts.first + cosine * parts.second;
  const int64_t last = c.rank(first) - 1;
  Shape shape = c.shape(first);
  shape.back() *= 2;
  return Expr(
      c, c.typed(c.gather(c.concat({first, second}, last), order, last), first.dtype(), shape));
}

// One round of one-sided Jacobi: makes each column of the first half orthogonal to its opposite.
Round jacobi_round(Matrix a, Matrix vectors, int64_t count, V order) {
  Halves parts = halves(a, count);
  Expr alpha = sum_of_rows(parts.first * parts.first);
  Expr beta = sum_of_rows(parts.second * parts.second);
  Expr gamma = sum_of_rows(parts.first * parts.second);
  Expr none = equal(gamma, 0.0);
  Expr zeta = (beta - alpha) / (2.0 * where(none, 1.0, gamma));
  Expr tangent = (1.0 - 2.0 * cast(zeta < 0.0, DType::f64)) / (abs(zeta) + sqrt(1.0 + zeta * zeta));
  tangent = where(none, 0.0, tangent);
  Expr cosine = 1.0 / sqrt(1.0 + tangent * tangent), sine = cosine * tangent;
  return {{rotate(parts, cosine, sine, order), rotate(halves(vectors, count), cosine, sine, order)},
          {}};
}

Matrix with_even_columns(Matrix a) {
  Call& c = a.call();
  const int64_t count = column_count(a);
  if (count % 2 == 0) return a;
  const Matrix zeros =
      broadcast_to(Expr(c, c.constant(0, a.dtype())), with_batch(a, row_count(a), 1));
  return Expr(c, c.typed(c.concat({a, zeros}, c.rank(a) - 1), a.dtype(),
                         with_batch(a, row_count(a), count + 1)));
}

}  // namespace

// ---- elimination
// ----------------------------------------------------------------------------------

Lu lu(Matrix a, bool pivot) {
  Call& c = a.call();
  const Dim steps = smaller_size(a);
  const Shape column_shape = with_batch(a, row_count(a), 1);
  const V order = expand(c, row_numbers(a), column_shape);
  const Round result = repeat(c, count_of(a, steps), {a, order}, [&](V index, const auto& carried) {
    Matrix matrix = carried[0];
    Expr rows = carried[1];
    Expr from = pivot ? pivot_row(column(matrix, index), index)
                      : Expr(c, c.expand(index, with_batch(a, 1, 1)));
    Expr swapped = broadcast_to(swap_order(row_numbers(matrix), index, from), column_shape);
    const V moved = c.node("GatherElements", {rows, swapped}, {attr("axis", c.rank(a) - 2)});
    return Round{
        {eliminate(rows_at(matrix, swapped), index), c.typed(moved, DType::i64, column_shape)},
        {from + 1.0}};
  });
  const Matrix pivots = as_columns(c, batch_shape(a), 1, result.collected[0], steps);
  Shape shape = batch_shape(a);
  shape.push_back(steps);
  return {Expr(c, result.carried[0]), result.carried[1],
          c.typed(c.squeeze(pivots, {c.rank(a) - 2}), DType::i64, shape)};
}

V first_zero(Call& c, V diagonal) {
  const int64_t last = c.rank(diagonal) - 1;
  Expr numbers = cast(Expr(c, iota(c, diagonal, last)), DType::f64) + 1.0;
  constexpr double kNone = 1e9;
  Expr places = where(equal(Expr(c, diagonal), 0.0), numbers, kNone);
  Expr first(c, reduce(c, "ReduceMin", places, {last}, false));
  return cast(where(first < kNone, first, 0.0), DType::i32);
}

Expr permutation_sign(Call& c, V pivots) {
  const int64_t last = c.rank(pivots) - 1;
  Expr moved = !equal(Expr(c, pivots), Expr(c, iota(c, pivots, last)) + 1.0);
  Expr swaps(c, reduce(c, "ReduceSum", cast(moved, DType::i64), {last}, false));
  return 1.0 - 2.0 * cast(apply("Mod", swaps, 2.0), DType::f64);
}

// ---- substitution
// ---------------------------------------------------------------------------------

Matrix solve_triangular(Matrix a, Matrix b, bool upper, bool unit_diagonal) {
  Call& c = a.call();
  const V count = count_of(a, row_count(a));
  const auto step = [&](V round, const auto& carried) {
    Matrix rest = carried[0];
    const V index = upper ? c.sub(c.sub(count, c.constant_int(1)), round) : round;
    Matrix here = column(a, index), found = row(rest, index);
    if (!unit_diagonal) found = found / row(here, index);
    Expr rows = row_numbers(a), at = Expr(c, index);
    Expr open = upper ? rows < at : rows > at;
    return Round{{where(equal(rows, at), found, rest - where(open, here, 0.0) * found)}, {}};
  };
  return Expr(c, repeat(c, count, {b}, step).carried[0]);
}

Matrix solve_lu(const Lu& factors, Matrix b) {
  const Matrix& a = factors.factors;
  const Matrix below = solve_triangular(a, rows_at(b, factors.order), false, true);
  return solve_triangular(a, below, true, false);
}

Matrix inverse(Matrix a) { return solve_lu(lu(a, true), identity(a, row_count(a), row_count(a))); }

Cholesky cholesky(Matrix a) {
  Call& c = a.call();
  const Dim steps = row_count(a);
  const Round result = repeat(c, count_of(a, steps), {a}, [&](V index, const auto& carried) {
    Matrix matrix = carried[0], here = column(matrix, index), pivot = row(here, index);
    Expr lower = where(Expr(c, index) <= row_numbers(a), here / sqrt(pivot), 0.0);
    return Round{{matrix - product(lower, transposed(lower))}, {lower, pivot}};
  });
  const Shape batch = batch_shape(a);
  const Matrix pivots = as_columns(c, batch, 1, result.collected[1], steps);
  const Expr good = cast(pivots > 0.0, DType::f64);  // not so for NaN
  return {as_columns(c, batch, steps, result.collected[0], steps),
          first_zero(c, c.squeeze(good, {c.rank(a) - 2}))};
}

// ---- reflections
// ----------------------------------------------------------------------------------

Reflections reflect_columns(Matrix a) {
  Call& c = a.call();
  const Dim steps = smaller_size(a);
  const Round result = repeat(c, count_of(a, steps), {a}, [&](V index, const auto& carried) {
    Matrix matrix = carried[0], here = column(matrix, index), alpha = row(here, index);
    Expr on = is_at(row_numbers(a), index), below = is_after(row_numbers(a), index);
    Expr tail = where(below, here, 0.0), square = sum_of_rows(tail * tail);
    Expr none = equal(square, 0.0), norm = sqrt(alpha * alpha + square);
    Expr beta = where(none, alpha, where(alpha < 0.0, norm, -norm));
    Expr factor = where(none, 0.0, (beta - alpha) / where(none, 1.0, beta));
    Expr vector = tail / where(none, 1.0, alpha - beta);
    Expr whole = where(on, 1.0, vector);
    Matrix changed = matrix - factor * whole * product(transposed(whole), matrix);
    Expr stored = where(on, beta, where(below, vector, here));
    Expr columns = column_numbers(a);
    Expr kept = where(is_after(columns, index), changed, matrix);
    return Round{{where(is_at(columns, index), stored, kept)}, {factor}};
  });
  const Matrix factors = as_columns(c, batch_shape(a), 1, result.collected[0], steps);
  Shape shape = batch_shape(a);
  shape.push_back(steps);
  return {Expr(c, result.carried[0]),
          c.typed(c.squeeze(factors, {c.rank(a) - 2}), DType::f64, shape)};
}

Matrix apply_reflections(Matrix vectors, V factors, Matrix b, bool last_first) {
  Call& c = b.call();
  const int64_t last = c.rank(factors) - 1;
  const Dim steps = c.shape(factors)[last];
  const V count = is_static(steps) ? c.constant_int(steps) : size_number(c, factors, last);
  const auto step = [&](V round, const auto& carried) {
    const V index = last_first ? c.sub(c.sub(count, c.constant_int(1)), round) : round;
    Matrix here = column(vectors, index);
    Expr rows = row_numbers(vectors);
    Expr vector = where(is_at(rows, index), 1.0, where(is_after(rows, index), here, 0.0));
    const V factor = c.unsqueeze(c.gather(factors, c.unsqueeze(index, {0}), last), {last});
    Matrix matrix = carried[0];
    return Round{{matrix - Expr(c, factor) * vector * product(transposed(vector), matrix)}, {}};
  };
  return Expr(c, repeat(c, count, {b}, step).carried[0]);
}

// ---- singular values
// ------------------------------------------------------------------------------

Svd svd(Matrix a) {
  Call& c = a.call();
  const Dim size = smaller_size(a);
  if (!is_static(size)) throw Unsupported{"singular values of a matrix whose size is dynamic"};
  if (column_count(a) != size) {
    Svd turned = svd(transposed(a));
    std::swap(turned.left, turned.right);
    return turned;
  }
  const Matrix even = with_even_columns(a);
  const int64_t half = column_count(even) / 2;
  const V order = next_order(c, half);
  constexpr int64_t kSweeps = 14;  // it converges quadratically
  const Round result = repeat(
      c, c.constant_int(kSweeps * std::max<int64_t>(2 * half - 1, 1)),
      {even, identity(even, 2 * half, 2 * half)},
      [&](V, const auto& carried) { return jacobi_round(carried[0], carried[1], half, order); });
  const Matrix scaled(c, result.carried[0]), right(c, result.carried[1]);
  const int64_t last = c.rank(a) - 1;
  const Matrix norms = sqrt(sum_of_rows(scaled * scaled));
  const Sorted sorting = sorted(c, norms, last, true);
  const Matrix values =
      first_columns(Expr(c, c.typed(sorting.values, DType::f64, c.shape(norms))), size);
  const auto in_order = [&](Matrix m) {
    const V indices = expand(c, sorting.indices, c.shape(m));
    const V moved = c.node("GatherElements", {m, indices}, {attr("axis", last)});
    return first_columns(Expr(c, c.typed(moved, DType::f64, c.shape(m))), size);
  };
  const Matrix left = in_order(scaled) / where(values > 0.0, values, 1.0);
  return {left, first_rows(in_order(right), size), c.squeeze(values, {last - 1})};
}

}  // namespace modelexport::lowering
