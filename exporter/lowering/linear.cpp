// Products of matrices and vectors. Weights stay as they are in the checkpoint: where PyTorch uses
// one transposed, so does the graph. Other contractions are in contraction.cpp.
#include "exporter/lowering/linear.h"

#include <algorithm>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/matrix.h"
#include "exporter/lowering/quantize.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

bool has_gemm(DType dtype) {
  return dtype == DType::f16 || dtype == DType::f32 || dtype == DType::f64;
}

// The next wider type that ONNX Runtime has MatMul for.
DType product_dtype(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return DType::f32;
    case DType::boolean:
    case DType::i8:
    case DType::i16:
    case DType::u8:
    case DType::u16:
      return DType::i32;
    default:
      return dtype;
  }
}

// aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor
V linear(Call& c) {
  return linear_layer(c, c.tensor("input"), c.tensor("weight"), c.optional_tensor("bias"));
}

// ---- products alone
// --------------------------------------------------------------------------------

// aten::matmul(Tensor self, Tensor other) -> Tensor
V matmul(Call& c) { return matrix_product(c, c.tensor("self"), c.tensor("other")); }

// aten::mm(Tensor self, Tensor mat2) -> Tensor
// aten::bmm(Tensor self, Tensor mat2) -> Tensor
V mm(Call& c) { return matrix_product(c, c.tensor("self"), c.tensor("mat2")); }

// aten::mm.dtype(Tensor self, Tensor mat2, ScalarType out_dtype) -> Tensor
// aten::bmm.dtype(Tensor self, Tensor mat2, ScalarType out_dtype) -> Tensor
V mm_dtype(Call& c) {
  const DType dtype = c.dtype("out_dtype");
  return matrix_product(c, c.tensor("self", dtype), c.tensor("mat2", dtype));
}

// aten::_int_mm(Tensor self, Tensor mat2) -> Tensor
V int_mm(Call& c) {
  return c.typed(c.node("MatMulInteger", {c.tensor("self"), c.tensor("mat2")}), DType::i32);
}

// aten::mv(Tensor self, Tensor vec) -> Tensor
V mv(Call& c) { return matrix_product(c, c.tensor("self"), c.tensor("vec")); }

// aten::dot(Tensor self, Tensor tensor) -> Tensor
V dot(Call& c) { return matrix_product(c, c.tensor("self"), c.tensor("tensor")); }

V outer_product(Call& c, V a, V b) { return run(c, "Mul", {c.unsqueeze(a, {1}), b}); }

// aten::outer(Tensor self, Tensor vec2) -> Tensor
V outer(Call& c) {
  return outer_product(c, c.tensor("self", c.out_dtype()), c.tensor("vec2", c.out_dtype()));
}

// aten::inner(Tensor self, Tensor other) -> Tensor
V inner(Call& c) {
  const V a = c.tensor("self"), b = c.tensor("other");
  if (c.rank(a) == 0 || c.rank(b) == 0) return run(c, "Mul", {a, b});
  if (c.rank(b) == 1) return matrix_product(c, a, b);
  const Dim depth = c.shape(b).back();
  const V rows =
      c.rank(b) == 2
          ? b
          : c.reshape_to(b, concat_sizes(c, {c.constant_ints({-1}), c.shape_vector({depth})}));
  return c.reshape(matrix_product(c, a, c.transpose(rows, {1, 0})), c.out_shape());
}

// aten::linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor
V vecdot(Call& c) {
  const V product = run(c, "Mul", {c.tensor("x"), c.tensor("y")});
  return reduce(c, "ReduceSum", product, {c.axis("dim", c.rank(product))}, false);
}

V product_of_all(Call& c, const std::vector<V>& matrices) {
  return std::accumulate(matrices.begin() + 1, matrices.end(), matrices[0],
                         [&](V a, V b) { return matrix_product(c, a, b); });
}

// aten::chain_matmul(Tensor[] matrices) -> Tensor
V chain_matmul(Call& c) { return product_of_all(c, c.tensors("matrices")); }

// aten::linalg_multi_dot(Tensor[] tensors) -> Tensor
V multi_dot(Call& c) { return product_of_all(c, c.tensors("tensors")); }

// aten::matrix_power(Tensor self, int n) -> Tensor
V matrix_power(Call& c) {
  V square = c.tensor("self");
  const int64_t rank = c.rank(square);
  int64_t n = c.integer("n");
  if (n < 0) {
    square = c.cast(inverse(matrix_operand(c, "self")), c.out_dtype());
    n = -n;
  }
  V power = kOmitted;
  for (; n > 0; n /= 2) {
    if (n % 2 == 1) power = power == kOmitted ? square : matrix_product(c, power, square);
    if (n > 1) square = matrix_product(c, square, square);
  }
  if (power != kOmitted) return power;
  const V along = iota(c, square, rank - 1);
  const V identity = c.cast(c.node("Equal", {c.unsqueeze(along, {1}), along}), c.out_dtype());
  return expand(c, identity, c.out_shape());
}

// The powers of the last axis of `x`, as a further axis.
V powers(Call& c, V x, V exponents) {
  const V base = c.unsqueeze(c.cast(x, c.out_dtype()), {c.rank(x)});
  return run(c, "Pow", {base, c.cast(exponents, c.out_dtype())});
}

// aten::vander(Tensor x, int? N=None, bool increasing=False) -> Tensor
V vander(Call& c) {
  const V x = c.tensor("x");
  c.ignore({"N"});
  const V exponents = iota(c, c.out_shape()[1]);
  if (c.boolean("increasing")) return powers(c, x, exponents);
  return powers(c, x, c.slice(exponents, 0, -1, INT64_MIN, -1));
}

// aten::linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor
V linalg_vander(Call& c) {
  c.ignore({"N"});
  V x = c.tensor("x");
  if (c.rank(x) == 0) x = c.unsqueeze(x, {0});
  return powers(c, x, iota(c, c.out_shape().back()));
}

// ---- a product added to a tensor
// -------------------------------------------------------------------

// The tensor times an argument of the call.
V scaled(Call& c, V x, std::string_view factor) {
  const V by = c.scalar(factor, c.out_dtype());
  return c.known_scalar(by) == 1 ? x : run(c, "Mul", {x, by});
}

// beta * self + alpha * product; a beta of 0 leaves out self, whatever it holds.
V add_product(Call& c, V product) {
  product = scaled(c, product, "alpha");
  if (c.is_known("beta") && c.number("beta") == 0) {
    c.ignore({"self"});
    return product;
  }
  return run(c, "Add", {scaled(c, c.tensor("self", c.out_dtype()), "beta"), product});
}

// Whether ONNX's 32-bit attributes hold the factors exactly enough for the type.
bool are_attributes(Call& c, std::initializer_list<std::string_view> factors) {
  return std::ranges::all_of(factors, [&](std::string_view factor) {
    if (!c.is_known(factor)) return false;
    const double value = c.number(factor);
    return c.out_dtype() != DType::f64 || value == static_cast<float>(value);
  });
}

V addmm_in(Call& c, DType dtype) {
  const V a = c.tensor("mat1", dtype), b = c.tensor("mat2", dtype);
  if (!has_gemm(dtype) || !are_attributes(c, {"alpha", "beta"})) {
    return add_product(c, matrix_product(c, a, b));
  }
  const double alpha = c.number("alpha"), beta = c.number("beta");
  const V addend = beta == 0 ? kOmitted : c.tensor("self", dtype);
  if (beta == 0) c.ignore({"self"});
  Attributes attributes;
  if (alpha != 1) attributes.push_back(attr("alpha", alpha));
  if (beta != 1 && beta != 0) attributes.push_back(attr("beta", beta));
  return c.node("Gemm", {a, b, addend}, attributes);
}

// aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor
V addmm(Call& c) { return addmm_in(c, c.out_dtype()); }

// aten::addmm.dtype(Tensor self, Tensor mat1, Tensor mat2, ScalarType out_dtype, *, Scalar beta=1,
//     Scalar alpha=1) -> Tensor
V addmm_dtype(Call& c) { return addmm_in(c, c.dtype("out_dtype")); }

// aten::_addmm_activation(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1,
//     bool use_gelu=False) -> Tensor
V addmm_activation(Call& c) {
  const V sum = addmm_in(c, c.out_dtype());
  if (!c.boolean("use_gelu")) return run(c, "Relu", {sum});
  if (c.opset() < 20) throw Unsupported{"GELU after a product before opset 20"};
  return run(c, "Gelu", {sum});
}

// aten::addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor
V addmv(Call& c) { return add_product(c, matrix_product(c, c.tensor("mat"), c.tensor("vec"))); }

// aten::addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor
V addr(Call& c) {
  const DType dtype = c.out_dtype();
  if (dtype == DType::boolean) throw Unsupported{"boolean tensors"};
  return add_product(c, outer_product(c, c.tensor("vec1", dtype), c.tensor("vec2", dtype)));
}

// aten::addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1)
//     -> Tensor
V addbmm(Call& c) {
  const V products = matrix_product(c, c.tensor("batch1"), c.tensor("batch2"));
  return add_product(c, reduce(c, "ReduceSum", products, {0}, false));
}

// aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1)
//     -> Tensor
V baddbmm(Call& c) {
  return add_product(c, matrix_product(c, c.tensor("batch1"), c.tensor("batch2")));
}

// aten::baddbmm.dtype(Tensor self, Tensor batch1, Tensor batch2, ScalarType out_dtype, *,
//     Scalar beta=1, Scalar alpha=1) -> Tensor
V baddbmm_dtype(Call& c) {
  const DType dtype = c.dtype("out_dtype");
  return add_product(c, matrix_product(c, c.tensor("batch1", dtype), c.tensor("batch2", dtype)));
}

// ---- groups of rows, each with a matrix of its own
// -------------------------------------------------

// The part of `x` that a group has along `axis`.
V group_of(Call& c, V x, V ends, int64_t group, int64_t axis) {
  const V start = group == 0 ? c.constant_ints({0}) : c.slice(ends, 0, group - 1, group);
  return c.node("Slice", {x, start, c.slice(ends, 0, group, group + 1), c.constant_ints({axis})});
}

// aten::_grouped_mm(Tensor self, Tensor mat2, Tensor? offs=None, Tensor? bias=None,
//     ScalarType? out_dtype=None) -> Tensor
V grouped_mm(Call& c) {
  c.ignore({"out_dtype"});
  const V a = c.tensor("self", c.out_dtype()), b = c.tensor("mat2", c.out_dtype());
  if (!c.is_none("bias")) throw Unsupported{"a bias"};
  if (c.is_none("offs")) return matrix_product(c, a, b);
  const V ends = c.tensor("offs", DType::i64);
  const std::optional<int64_t> groups = static_size(c, ends, 0);
  if (!groups) throw Unsupported{"a number of groups that depends on the inputs"};
  const bool a_is_batched = c.rank(a) == 3, b_is_batched = c.rank(b) == 3;
  std::vector<V> products;
  for (int64_t group = 0; group < *groups; ++group) {
    const V at = c.constant_int(group);
    // The groups cut the rows of the left, the columns of the right, or what both are summed over.
    const V left =
        a_is_batched ? c.gather(a, at, 0) : group_of(c, a, ends, group, b_is_batched ? 0 : 1);
    const V right =
        b_is_batched ? c.gather(b, at, 0) : group_of(c, b, ends, group, a_is_batched ? 1 : 0);
    const V product = matrix_product(c, left, right);
    products.push_back(a_is_batched || b_is_batched ? product : c.unsqueeze(product, {0}));
  }
  return c.concat(products, a_is_batched ? 1 : 0);
}

}  // namespace

V transpose_matrices(Call& c, V x) {
  std::vector<int64_t> permutation(c.rank(x));
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
  return c.transpose(x, permutation);
}

V matrix_product(Call& c, V a, V b) {
  const DType dtype = c.dtype_of(a), wide = product_dtype(dtype);
  a = c.cast(a, wide);
  b = c.cast(b, wide);
  // ONNX Runtime 1.32 merges a Transpose into the MatMul after it, wrongly if the right one is a
  // vector. On the left it is right.
  if (c.has_shape(a) && c.has_shape(b) && c.rank(a) > 1 && c.rank(b) == 1) {
    std::swap(a, b);
    b = transpose_matrices(c, b);
  }
  return c.cast(c.node("MatMul", {a, b}), dtype);
}

V linear_layer(Call& c, V x, V weight, V bias) {
  if (const V product = integer_product(c, x, weight); product != kOmitted)
    return bias == kOmitted ? product : c.add(product, bias);
  const bool is_matrix = c.rank(weight) == 2;
  if (is_matrix && c.rank(x) == 2 && has_gemm(c.dtype_of(x))) {
    return c.node("Gemm", {x, weight, bias}, {attr("transB", 1)});
  }
  const V product = matrix_product(c, x, is_matrix ? c.transpose(weight, {1, 0}) : weight);
  return bias == kOmitted ? product : run(c, "Add", {product, bias});
}

std::span<const Row> linear_table() {
  static constexpr Row kRows[] = {
      {"aten::_addmm_activation", addmm_activation},
      {"aten::_grouped_mm", grouped_mm},
      {"aten::_int_mm", int_mm},
      {"aten::addbmm", addbmm},
      {"aten::addmm", addmm},
      {"aten::addmm.dtype", addmm_dtype},
      {"aten::addmv", addmv},
      {"aten::addr", addr},
      {"aten::baddbmm", baddbmm},
      {"aten::baddbmm.dtype", baddbmm_dtype},
      {"aten::bmm", mm},
      {"aten::bmm.dtype", mm_dtype},
      {"aten::chain_matmul", chain_matmul},
      {"aten::dot", dot},
      {"aten::ger", outer},
      {"aten::inner", inner},
      {"aten::linalg_matmul", matmul},
      {"aten::linalg_matrix_power", matrix_power},
      {"aten::linalg_multi_dot", multi_dot},
      {"aten::linalg_vecdot", vecdot},
      {"aten::linalg_vander", linalg_vander},
      {"aten::linear", linear},
      {"aten::matmul", matmul},
      {"aten::matrix_power", matrix_power},
      {"aten::mm", mm},
      {"aten::mm.dtype", mm_dtype},
      {"aten::mv", mv},
      {"aten::outer", outer},
      {"aten::vander", vander},
      {"aten::vdot", matmul},
  };
  static const std::vector<Row> kAll = joined(joined(kRows, contraction_rows()), distance_rows());
  return kAll;
}

}  // namespace modelexport::lowering
