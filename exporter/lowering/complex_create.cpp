// What complex tensors are made of and made into: parts, conversions, constants, order of axes.
// Most operators that only move elements never get here (complex_program.h).
#include <algorithm>
#include <numeric>

#include "exporter/lowering/builder.h"
#include "exporter/lowering/complex.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- parts --------------------------------------------------------------------------------------

// aten::view_as_real(Tensor(a) self) -> Tensor(a)
// aten::view_as_complex(Tensor(a) self) -> Tensor(a)
V same_pairs(Call& c) { return c.tensor("self"); }

// aten::real(Tensor(a) self) -> Tensor(a)
V real(Call& c) { return squeeze_parts(c, parts(c, c.tensor("self")).re); }

// aten::imag(Tensor(a) self) -> Tensor(a)
V imag(Call& c) { return squeeze_parts(c, parts(c, c.tensor("self")).im); }

V part_operand(Call& c, std::string_view name) {
  const DType dtype = c.out_dtype();
  const V part = c.unsqueeze(c.tensor(name, dtype), {c.rank(c.tensor(name))});
  return part;
}

// aten::complex(Tensor real, Tensor imag) -> Tensor
V complex(Call& c) {
  Expr re(c, part_operand(c, "real"));
  return pairs(c, {re, Expr(c, part_operand(c, "imag"))});
}

// aten::polar(Tensor abs, Tensor angle) -> Tensor
V from_polar(Call& c) {
  Expr length(c, part_operand(c, "abs"));
  return pairs(c, polar(length, Expr(c, part_operand(c, "angle"))));
}

// ---- conversions --------------------------------------------------------------------------------

bool makes_complex(Call& c) { return c.program().values[c.op().outputs[0]].is_complex; }

// aten::to.dtype(Tensor self, ScalarType dtype, bool non_blocking=False, bool copy=False,
//    MemoryFormat? memory_format=None) -> Tensor, and all others: the dtype is observed
template <OpType Name>
V converted(Call& c) {
  ignore_all_but(c, {Name.view()});
  if (makes_complex(c)) return pairs_operand(c, Name.view(), c.out_dtype());
  const Complex z = parts(c, c.tensor(Name.view()));
  if (c.out_dtype() != DType::boolean) return real_result(c, z.re);
  return real_result(c, !equal(z, {0.0}));
}

// The pairs of one element, or of a tensor that broadcasts, in the shape of the result.
V filled_with(Call& c, V pairs) { return expand(c, pairs, c.out_shape()); }

// aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor
V copy(Call& c) {
  c.ignore({"self", "non_blocking"});
  if (makes_complex(c)) return filled_with(c, pairs_operand(c, "src", c.out_dtype()));
  return expand(c, real_result(c, parts(c, c.tensor("src")).re), c.out_shape());
}

V constant_pairs(Call& c, double re, double im) {
  return pairs(c, {Expr(c, c.constant(re, c.out_dtype())), im});
}

V tensor_of_size(Call& c, std::string_view size, V element) {
  if (has_sizes(c, c.out_shape())) return filled_with(c, element);
  return expand_to(c, element, concat_sizes(c, {c.int_list(size), c.constant_ints({2})}));
}

// aten::fill.Scalar(Tensor self, Scalar value) -> Tensor, and full_like
template <OpType Value>
V fill(Call& c) {
  ignore_all_but(c, {Value.view()});
  return filled_with(c, pairs_operand(c, Value.view(), c.out_dtype()));
}

// aten::zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device?
// device=None,
//    bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor, and ones_like
template <int Value>
V like(Call& c) {
  ignore_all_but(c, {});
  return filled_with(c, constant_pairs(c, Value, 0));
}

// aten::zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None,
//    bool? pin_memory=None) -> Tensor, and others
template <int Value>
V of_size(Call& c) {
  ignore_all_but(c, {"size"});
  c.ignore({"size"});
  return tensor_of_size(c, "size", constant_pairs(c, Value, 0));
}

// aten::full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None,
//    Device? device=None, bool? pin_memory=None) -> Tensor
V full(Call& c) {
  ignore_all_but(c, {"size", "fill_value"});
  c.ignore({"size"});
  return tensor_of_size(c, "size", pairs_operand(c, "fill_value", c.out_dtype()));
}

// ---- order of axes ------------------------------------------------------------------------------

V conjugated(Call& c, V x) {
  if (c.builder().parts_of(x)) return pairs(c, conjugate(parts(c, x)));
  Expr signs(c, pairs(c, {Expr(c, c.constant(1.0, c.dtype_of(x))), -1.0}));
  return Expr(c, x) * signs;
}

// aten::conj(Tensor(a) self) -> Tensor(a)
V conj(Call& c) { return conjugated(c, c.tensor("self")); }

// aten::t(Tensor(a) self) -> Tensor(a)
// aten::mT(Tensor(a) self) -> Tensor(a)
V transposed(Call& c) {
  const V x = c.tensor("self");
  std::vector<int64_t> order(c.rank(x));
  std::iota(order.begin(), order.end(), 0);
  if (order.size() > 2) std::swap(order[order.size() - 3], order[order.size() - 2]);
  return c.transpose(x, order);
}

// aten::mH(Tensor(a) self) -> Tensor(a)
V adjoint(Call& c) { return conjugated(c, transposed(c)); }

// aten::numpy_T(Tensor(a) self) -> Tensor(a)
V reversed(Call& c) {
  const V x = c.tensor("self");
  std::vector<int64_t> order(c.rank(x));
  std::iota(order.begin(), order.end(), 0);
  std::reverse(order.begin(), order.end() - 1);
  return c.transpose(x, order);
}

constexpr auto kSelf = converted<"self">;

}  // namespace

std::span<const Row> complex_create_rows() {
  static constexpr Row kRows[] = {
      {"aten::_cast_Double", kSelf},
      {"aten::_cast_Float", kSelf},
      {"aten::_conj", conj},
      {"aten::_conj_copy", conj},
      {"aten::_conj_physical", conj},
      {"aten::_to_copy", kSelf},
      {"aten::adjoint", adjoint},
      {"aten::alias", kSelf},
      {"aten::alias_copy", kSelf},
      {"aten::clone", kSelf},
      {"aten::complex", complex},
      {"aten::conj", conj},
      {"aten::conj_physical", conj},
      {"aten::contiguous", kSelf},
      {"aten::copy", copy},
      {"aten::cpu", kSelf},
      {"aten::detach", kSelf},
      {"aten::detach_copy", kSelf},
      {"aten::empty.memory_format", of_size<0>},
      {"aten::empty_like", like<0>},
      {"aten::fill.Scalar", fill<"value">},
      {"aten::fill.Tensor", fill<"value">},
      {"aten::full", full},
      {"aten::full_like", fill<"fill_value">},
      {"aten::imag", imag},
      {"aten::lift_fresh", kSelf},
      {"aten::lift_fresh_copy", kSelf},
      {"aten::mH", adjoint},
      {"aten::mH.a", adjoint},
      {"aten::mT", transposed},
      {"aten::mT.a", transposed},
      {"aten::matrix_H", adjoint},
      {"aten::matrix_H.a", adjoint},
      {"aten::new_empty", of_size<0>},
      {"aten::new_full", full},
      {"aten::new_ones", of_size<1>},
      {"aten::new_zeros", of_size<0>},
      {"aten::numpy_T", reversed},
      {"aten::numpy_T.a", reversed},
      {"aten::ones", of_size<1>},
      {"aten::ones_like", like<1>},
      {"aten::polar", from_polar},
      {"aten::positive", kSelf},
      {"aten::real", real},
      {"aten::resolve_conj", kSelf},
      {"aten::resolve_neg", kSelf},
      {"aten::t", transposed},
      {"aten::t_copy", transposed},
      {"aten::to.device", kSelf},
      {"aten::to.dtype", kSelf},
      {"aten::to.dtype_layout", kSelf},
      {"aten::to.other", kSelf},
      {"aten::to.prim_Device", kSelf},
      {"aten::to.prim_dtype", kSelf},
      {"aten::to.prim_other", kSelf},
      {"aten::type_as", kSelf},
      {"aten::view_as_complex", same_pairs},
      {"aten::view_as_complex_copy", same_pairs},
      {"aten::view_as_real", same_pairs},
      {"aten::view_as_real_copy", same_pairs},
      {"aten::zero", like<0>},
      {"aten::zeros", of_size<0>},
      {"aten::zeros_like", like<0>},
  };
  return kRows;
}

}  // namespace modelexport::lowering
