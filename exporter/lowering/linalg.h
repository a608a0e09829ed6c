// Further parts of the registry's table, as in tables.h: linear algebra beyond products (matrix.h
// has the algorithms) and functions that take loops or long series.
#pragma once

#include <span>

#include "exporter/lowering/registry.h"

namespace modelexport::lowering {

std::span<const Row> linear_system_rows();    // determinants, inverses, solutions, LU
std::span<const Row> factorization_rows();    // Cholesky, QR, singular values, eigenvalues
std::span<const Row> matrix_function_rows();  // exponential, least squares
std::span<const Row> bessel_rows();           // of unary: Bessel and Airy functions
std::span<const Row> orthogonal_rows();       // of binary: orthogonal polynomials
std::span<const Row> ctc_rows();              // of loss
std::span<const Row> fractional_pool_rows();  // of pool
std::span<const Row> histogram_rows();        // of scan
std::span<const Row> quantile_rows();         // of reduce
std::span<const Row> segment_rows();          // of reduce

}  // namespace modelexport::lowering
