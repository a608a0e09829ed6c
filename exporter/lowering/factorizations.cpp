// Cholesky, QR, singular values, eigenvalues of symmetric matrices, and what is computed by them.
//
// Singular vectors and eigenvectors are unique up to their sign at best, and LAPACK's depend on its
// steps: a file with others could not be held against LibTorch. Only what does not depend on them
// is lowered.
#include <limits>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/matrix.h"

namespace modelexport::lowering {
namespace {

V as_result(Call& c, V value, size_t index) {
  return c.output_used(index) ? c.cast(value, c.out_dtype(index)) : kOmitted;
}

// ---- Cholesky
// -------------------------------------------------------------------------------------

// aten::linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False)
//     -> (Tensor L, Tensor info)
std::vector<V> cholesky_ex(Call& c) {
  c.ignore({"check_errors"});
  const Matrix a = matrix_operand(c, "self");
  const bool upper = c.boolean("upper");
  const Cholesky found = cholesky(upper ? transposed(a) : a);
  return {as_result(c, upper ? transposed(found.lower) : found.lower, 0),
          as_result(c, found.failure, 1)};
}

// aten::cholesky(Tensor self, bool upper=False) -> Tensor
V cholesky_factor(Call& c) {
  const Matrix a = matrix_operand(c, "self");
  const bool upper = c.boolean("upper");
  const Matrix lower = cholesky(upper ? transposed(a) : a).lower;
  return as_result(c, upper ? transposed(lower) : lower, 0);
}

Matrix solve_cholesky(Matrix factor, Matrix b, bool upper) {
  const Matrix lower = upper ? transposed(factor) : factor;
  return solve_triangular(transposed(lower), solve_triangular(lower, b, false, false), true, false);
}

// aten::_cholesky_solve_helper(Tensor self, Tensor A, bool upper) -> Tensor
V cholesky_solve(Call& c) {
  const Matrix b = matrix_operand(c, "self"), factor = matrix_operand(c, "A");
  return as_result(c, solve_cholesky(factor, b, c.boolean("upper")), 0);
}

// aten::cholesky_inverse(Tensor self, bool upper=False) -> Tensor
V cholesky_inverse(Call& c) {
  const Matrix factor = matrix_operand(c, "self");
  const Dim size = row_count(factor);
  return as_result(c, solve_cholesky(factor, identity(factor, size, size), c.boolean("upper")), 0);
}

// ---- QR
// -------------------------------------------------------------------------------------------

// aten::geqrf(Tensor self) -> (Tensor a, Tensor tau)
std::vector<V> geqrf(Call& c) {
  const Reflections found = reflect_columns(matrix_operand(c, "self"));
  return {as_result(c, found.vectors, 0), as_result(c, found.factors, 1)};
}

// aten::linalg_householder_product(Tensor input, Tensor tau) -> Tensor
V householder_product(Call& c) {
  const Matrix a = matrix_operand(c, "input");
  const Matrix start = identity(a, row_count(a), column_count(a));
  return as_result(c, apply_reflections(a, c.tensor("tau", DType::f64), start, true), 0);
}

// aten::ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False)
//     -> Tensor
V ormqr(Call& c) {
  const Matrix vectors = matrix_operand(c, "self"), other = matrix_operand(c, "input3");
  const bool left = c.boolean("left"), transpose = c.boolean("transpose");
  const Matrix start = left ? other : transposed(other);
  const Matrix result =
      apply_reflections(vectors, c.tensor("input2", DType::f64), start, transpose != left);
  return as_result(c, left ? result : transposed(result), 0);
}

// aten::linalg_qr(Tensor A, str mode='reduced') -> (Tensor Q, Tensor R)
std::vector<V> qr(Call& c) {
  const std::string mode = c.text("mode");
  const Matrix a = matrix_operand(c, "A");
  const Dim rows = row_count(a);
  const Dim size = mode == "complete" ? rows : smaller_size(a);
  const Reflections found = reflect_columns(a);
  const Matrix upper = upper_triangle(first_rows(found.vectors, size));
  if (mode == "r") return {c.constant_tensor(c.out_dtype(1), {0}, ""), as_result(c, upper, 1)};
  const Matrix q = apply_reflections(found.vectors, found.factors, identity(a, rows, size), true);
  return {as_result(c, q, 0), as_result(c, upper, 1)};
}

// ---- singular values and eigenvalues
// ---------------------------------------------------------------

[[noreturn]] void refuse_vectors(const char* which) {
  throw Unsupported{std::string(which) +
                    " vectors, whose signs are arbitrary; their values alone can be exported"};
}

// aten::_linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, *, str? driver=None)
//     -> (Tensor U, Tensor S, Tensor Vh)
std::vector<V> singular_values(Call& c) {
  c.ignore({"full_matrices", "driver"});
  if (c.boolean("compute_uv")) refuse_vectors("singular");
  const V empty = c.constant_tensor(c.out_dtype(0), {0}, "");
  return {empty, as_result(c, svd(matrix_operand(c, "A")).values, 1), empty};
}

// A matrix made symmetric by one of its triangles.
Matrix symmetric(Matrix a, bool upper) {
  const Matrix half = upper ? upper_triangle(a) : lower_triangle(a);
  const Expr on = equal(row_numbers(a), column_numbers(a));
  return half + where(on, 0.0, transposed(half));
}

struct Eigen {
  Matrix vectors;
  Expr values;  // descending
};

// With the norm of a symmetric matrix added to its diagonal nothing is negative, so that its
// singular values are its eigenvalues.
Eigen eigen(Matrix a) {
  Call& c = a.call();
  const int64_t rank = c.rank(a);
  Expr norm = sqrt(Expr(c, reduce(c, "ReduceSum", a * a, {rank - 2, rank - 1}, true)));
  const Svd found = svd(a + norm * identity(a, row_count(a), row_count(a)));
  return {found.right, Expr(c, found.values) - Expr(c, c.squeeze(norm, {rank - 1}))};
}

// aten::_linalg_eigh(Tensor A, str UPLO="L", bool compute_v=True)
//     -> (Tensor eigenvalues, Tensor eigenvectors)
std::vector<V> symmetric_eigenvalues(Call& c) {
  if (c.boolean("compute_v")) refuse_vectors("eigen");
  const std::string triangle = c.text("UPLO");
  const Eigen found = eigen(symmetric(matrix_operand(c, "A"), triangle == "U" || triangle == "u"));
  const int64_t last = c.rank(found.values) - 1;
  const V ascending = c.slice(found.values, last, -1, std::numeric_limits<int64_t>::min(), -1);
  return {as_result(c, ascending, 0), c.constant_tensor(c.out_dtype(1), {0}, "")};
}

// max(absolute, relative times the largest of `values` [*, n]), as [*, 1]
Expr threshold(Call& c, Matrix a, V values) {
  const int64_t last = c.rank(values) - 1;
  const auto tolerance = [&](const char* name, double otherwise) {
    if (c.is_none(name)) return Expr(c, c.constant(otherwise, DType::f64));
    const V given = c.tensor(name, DType::f64);  // or a number
    return Expr(c, c.unsqueeze(given, {c.rank(given)}));
  };
  const Dim rows = row_count(a), columns = column_count(a);
  const double epsilon = c.dtype_of(c.value_of(c.argument_at(0))) == DType::f64
                             ? std::numeric_limits<double>::epsilon()
                             : std::numeric_limits<float>::epsilon();
  const bool is_default = c.is_none("rtol") && c.is_none("atol");
  if (is_default && (!is_static(rows) || !is_static(columns))) {
    throw Unsupported{"the default tolerance of a matrix whose size is dynamic"};
  }
  const double relative = is_default ? epsilon * static_cast<double>(std::max(rows, columns)) : 0.0;
  Expr largest(c, reduce(c, "ReduceMax", values, {last}, true));
  return maximum(tolerance("atol", 0.0), tolerance("rtol", relative) * largest);
}

V matrix_rank_of(Call& c, Matrix a) {
  if (c.boolean("hermitian")) a = symmetric(a, false);
  const Expr values(c, svd(a).values);
  const Expr counted = values > threshold(c, a, values);
  return reduce(c, "ReduceSum", cast(counted, DType::i64), {c.rank(values) - 1}, false);
}

// aten::linalg_matrix_rank.atol_rtol_tensor(Tensor input, *, Tensor? atol=None,
//     Tensor? rtol=None, bool hermitian=False) -> Tensor
V matrix_rank(Call& c) { return matrix_rank_of(c, matrix_operand(c, "input")); }

// aten::linalg_matrix_rank.atol_rtol_float(Tensor self, *, float? atol=None, float? rtol=None,
//     bool hermitian=False) -> Tensor
V matrix_rank_float(Call& c) { return matrix_rank_of(c, matrix_operand(c, "self")); }

// aten::linalg_pinv.atol_rtol_tensor(Tensor self, *, Tensor? atol=None, Tensor? rtol=None,
//     bool hermitian=False) -> Tensor
// aten::linalg_pinv.atol_rtol_float(Tensor self, *, float? atol=None, float? rtol=None,
//     bool hermitian=False) -> Tensor
V pseudo_inverse(Call& c) {
  Matrix a = matrix_operand(c, "self");
  if (c.boolean("hermitian")) a = symmetric(a, false);
  const Svd found = svd(a);
  const Expr values(c, found.values);
  const Expr kept = values > threshold(c, a, found.values);
  const Expr inverse = where(kept, 1.0 / where(kept, values, 1.0), 0.0);
  const Expr across(c, c.unsqueeze(inverse, {c.rank(inverse) - 1}));
  return as_result(c, product(found.right * across, transposed(found.left)), 0);
}

constexpr Row kRows[] = {
    {"aten::_cholesky_solve_helper", cholesky_solve},
    {"aten::_linalg_eigh", symmetric_eigenvalues},
    {"aten::_linalg_svd", singular_values},
    {"aten::cholesky", cholesky_factor},
    {"aten::cholesky_inverse", cholesky_inverse},
    {"aten::geqrf", geqrf},
    {"aten::linalg_cholesky_ex", cholesky_ex},
    {"aten::linalg_householder_product", householder_product},
    {"aten::linalg_matrix_rank.atol_rtol_float", matrix_rank_float},
    {"aten::linalg_matrix_rank.atol_rtol_tensor", matrix_rank},
    {"aten::linalg_pinv.atol_rtol_float", pseudo_inverse},
    {"aten::linalg_pinv.atol_rtol_tensor", pseudo_inverse},
    {"aten::linalg_qr", qr},
    {"aten::ormqr", ormqr},
};

}  // namespace

std::span<const Row> factorization_rows() { return kRows; }

}  // namespace modelexport::lowering
