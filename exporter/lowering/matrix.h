// Algorithms on batches of matrices [*, rows, columns], as loops over columns that work on all of
// them at once. Everything is computed in double.
//
//   Matrix a = matrix_operand(c, "A");
//   Lu factors = lu(a, true);
#pragma once

#include <string_view>
#include <vector>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/repeat.h"

namespace modelexport::lowering {

// A value of known rank and shape with rank >= 2.
using Matrix = Expr;

Matrix matrix_operand(Call& c, std::string_view name);
Shape batch_shape(Matrix a);                        // without the last two axes
Shape with_batch(Matrix a, Dim rows, Dim columns);  // [*, rows, columns]
Dim row_count(Matrix a);
Dim column_count(Matrix a);
Dim smaller_size(Matrix a);  // Unsupported if it is not known which it is
Matrix transposed(Matrix a);
Matrix product(Matrix a, Matrix b);
Matrix broadcast_to(Matrix a, const Shape& shape);
Matrix identity(Matrix like, Dim rows, Dim columns);  // with the batch of `like`
Matrix upper_triangle(Matrix a), lower_triangle(Matrix a);
Matrix first_columns(Matrix a, Dim count), first_rows(Matrix a, Dim count);
V diagonal_of(Matrix a);  // [*, min(rows, columns)]

// 0, 1, ... down the rows [rows, 1] and along the columns [columns], int64.
Expr row_numbers(Matrix a), column_numbers(Matrix a);
Matrix column(Matrix a, V index),
    row(Matrix a, V index);         // index: rank 0; [*, rows, 1], [*, 1, columns]
Matrix rows_at(Matrix a, V order);  // order: int64 [*, rows, 1]

// Columns collected in rounds, [rounds, *, rows, 1], as [*, rows, rounds].
Matrix as_columns(Call& c, const Shape& batch, Dim rows, V collected, Dim rounds);

// Gaussian elimination as LAPACK's getrf does it; `order`: which row of the matrix each row of the
// factors is, int64 [*, rows, 1]; `pivots`: the swaps, int64 [*, min(rows, columns)], from 1.
struct Lu {
  Matrix factors;
  V order, pivots;
};
Lu lu(Matrix a, bool pivot);
V first_zero(Call& c, V diagonal);  // position from 1 of the first zero in [*, n], or 0: int32 [*]
Expr permutation_sign(Call& c, V pivots);  // [*]

// The solution x of a x = b for triangular a: [*, n, n], b: [*, n, k], equal batches.
Matrix solve_triangular(Matrix a, Matrix b, bool upper, bool unit_diagonal);
Matrix solve_lu(const Lu& factors, Matrix b);
Matrix inverse(Matrix a);

// The lower factor, and for each matrix the position from 1 of the first pivot that is not
// positive, or 0.
struct Cholesky {
  Matrix lower;
  V failure;  // int32 [*]
};
Cholesky cholesky(Matrix a);

// Householder's reflections as LAPACK's geqrf stores them: below the diagonal, with the factors
// [*, min(rows, columns)] apart.
struct Reflections {
  Matrix vectors;
  V factors;
};
Reflections reflect_columns(Matrix a);
// Applies the reflections to b [*, rows, k], the last one first (b times their product) or the
// first.
Matrix apply_reflections(Matrix vectors, V factors, Matrix b, bool last_first);

// Singular values in descending order [*, n] with the vectors that belong to them, by Jacobi
// rotations. n, the smaller size, must be known. Vectors of zeros are zero; signs are arbitrary.
struct Svd {
  Matrix left, right;  // [*, rows, n], [*, columns, n]
  V values;
};
Svd svd(Matrix a);

}  // namespace modelexport::lowering
