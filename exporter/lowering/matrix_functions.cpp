// The matrix exponential and least squares.
#include <algorithm>
#include <cmath>
#include <limits>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/linalg.h"
#include "exporter/lowering/matrix.h"

namespace modelexport::lowering {
namespace {

// The exponential of matrices whose norm is at most 1/2: its power series up to a term below 1e-19.
Matrix exponential_series(Matrix a) {
  Call& c = a.call();
  constexpr int64_t kTerms = 16;
  const Matrix one = identity(a, row_count(a), row_count(a));
  const auto step = [&](V round, const std::vector<Expr>& carried) {
    Expr k = static_cast<double>(kTerms) - cast(Expr(c, round), DType::f64);
    return Round{{one + product(a, carried[0]) / k}, {}};
  };
  return Expr(c, repeat(c, c.constant_int(kTerms), {one}, step).carried[0]);
}

// aten::linalg_matrix_exp(Tensor self) -> Tensor: scaled by a power of two, then squared as often
V matrix_exp(Call& c) {
  const Matrix a = matrix_operand(c, "self");
  const int64_t rank = c.rank(a);
  const V sums = reduce(c, "ReduceSum", abs(a), {rank - 2}, true);
  const Expr norm(c, reduce(c, "ReduceMax", sums, {rank - 1}, true));
  const Expr halvings =
      where(norm > 0.5, floor(log(maximum(norm, 0.5)) / std::log(2.0)) + 2.0, 0.0);
  const Matrix start = exponential_series(a / power(2.0 + 0.0 * norm, halvings));
  const auto step = [&](V round, const std::vector<Expr>& carried) {
    const Expr more = halvings > cast(Expr(c, round), DType::f64);
    return Round{{where(more, product(carried[0], carried[0]), carried[0])}, {}};
  };
  const V most = c.cast(reduce(c, "ReduceMax", halvings, {}, false), DType::i64);
  return c.cast(repeat(c, most, {start}, step).carried[0], c.out_dtype());
}

// ---- least squares
// --------------------------------------------------------------------------------

bool is_vector(const Shape& a, const Shape& b) {
  return b.size() == 1 || (b.size() + 1 == a.size() && std::equal(b.begin(), b.end(), a.begin()));
}

double cutoff(Call& c, Matrix a) {
  if (!c.is_none("rcond")) return c.number("rcond");
  const Dim rows = row_count(a), columns = column_count(a);
  if (!is_static(rows) || !is_static(columns)) {
    throw Unsupported{"least squares with a matrix whose size is dynamic"};
  }
  const double epsilon = c.out_dtype() == DType::f64 ? std::numeric_limits<double>::epsilon()
                                                     : std::numeric_limits<float>::epsilon();
  return epsilon * static_cast<double>(std::max(rows, columns));
}

bool is_empty(Call& c, size_t output) { return element_count(c.out_shape(output)) == 0; }

// aten::linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None)
//     -> (Tensor solution, Tensor residuals, Tensor rank, Tensor singular_values)
std::vector<V> least_squares(Call& c) {
  c.ignore({"driver"});
  const Matrix a = matrix_operand(c, "self");
  Expr b(c, c.tensor("b", DType::f64));
  const bool vector = is_vector(c.shape(a), c.shape(b));
  if (vector) b = Expr(c, c.unsqueeze(b, {c.rank(b)}));
  const Svd found = svd(a);
  const int64_t last = c.rank(found.values) - 1;
  const Expr values(c, found.values), largest(c, reduce(c, "ReduceMax", values, {last}, true));
  const Expr kept = values > cutoff(c, a) * largest;
  const Expr inverse = where(kept, 1.0 / where(kept, values, 1.0), 0.0);
  const Expr down(c, c.unsqueeze(inverse, {last + 1}));
  const Expr solution(
      c, c.node("MatMul",
                {found.right, down * Expr(c, c.node("MatMul", {transposed(found.left), b}))}));
  const Expr error = Expr(c, c.node("MatMul", {a, solution})) - b;
  const auto given = [&](V value, size_t output) {
    return is_empty(c, output) ? c.constant_tensor(c.out_dtype(output), {0}, "")
                               : c.cast(value, c.out_dtype(output));
  };
  const V rank = reduce(c, "ReduceSum", cast(kept, DType::i64), {last}, false);
  return {c.cast(vector ? c.squeeze(solution, {last + 1}) : V(solution), c.out_dtype()),
          given(reduce(c, "ReduceSum", error * error, {last}, false), 1), given(rank, 2),
          given(found.values, 3)};
}

constexpr Row kRows[] = {
    {"aten::linalg_lstsq", least_squares},
    {"aten::linalg_matrix_exp", matrix_exp},
    {"aten::matrix_exp", matrix_exp},
};

}  // namespace

std::span<const Row> matrix_function_rows() { return kRows; }

}  // namespace modelexport::lowering
