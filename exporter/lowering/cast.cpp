// Conversions of dtype, and what is the identity once the program is functional: copies, views of
// the same elements, devices.
#include <algorithm>
#include <string>

#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// aten::to.dtype(Tensor self, ScalarType dtype, bool non_blocking=False, bool copy=False,
//    MemoryFormat? memory_format=None) -> Tensor, and all others: the dtype is observed
template <OpType Name>
V converted(Call& c) {
  ignore_all_but(c, {Name.view()});
  return c.tensor(Name.view(), c.out_dtype());
}

// aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor
V copy(Call& c) {
  c.ignore({"self", "non_blocking"});
  return filled(c, c.tensor("src", c.out_dtype()));
}

// aten::fill.Scalar(Tensor self, Scalar value) -> Tensor
// aten::fill.Tensor(Tensor self, Tensor value) -> Tensor
V fill(Call& c) {
  c.ignore({"self"});
  return filled(c, c.tensor("value", c.out_dtype()));
}

// aten::zero(Tensor self) -> Tensor
V zero(Call& c) {
  c.ignore({"self"});
  return filled(c, 0.0);
}

// aten::tensor(t[] data, *, ScalarType? dtype=None, Device? device=None,
//    bool requires_grad=False) -> Tensor
V tensor_of_list(Call& c) {
  ignore_all_but(c, {"data"});
  std::vector<V> elements = c.tensors("data");
  if (c.out_rank() != 1) throw Unsupported{"a nested list of numbers that depend on the inputs"};
  for (V& element : elements) element = c.unsqueeze(c.cast(element, c.out_dtype()), {0});
  return c.concat(elements, 0);
}

constexpr auto kSelf = converted<"self">;

constexpr Row kRows[] = {
    {"aten::_cast_Byte", kSelf},
    {"aten::_cast_Char", kSelf},
    {"aten::_cast_Double", kSelf},
    {"aten::_cast_Float", kSelf},
    {"aten::_cast_Half", kSelf},
    {"aten::_cast_Int", kSelf},
    {"aten::_cast_Long", kSelf},
    {"aten::_cast_Short", kSelf},
    {"aten::_conj", kSelf},
    {"aten::_conj_copy", kSelf},
    {"aten::_conj_physical", kSelf},
    {"aten::_fw_primal", kSelf},
    {"aten::_lazy_clone", kSelf},
    {"aten::_make_dual", converted<"primal">},
    {"aten::_pin_memory", kSelf},
    {"aten::_to_copy", kSelf},
    {"aten::_to_dense", kSelf},
    {"aten::alias", kSelf},
    {"aten::alias_copy", kSelf},
    {"aten::as_tensor", converted<"data">},
    {"aten::as_tensor.bool", converted<"t">},
    {"aten::as_tensor.float", converted<"t">},
    {"aten::as_tensor.int", converted<"t">},
    {"aten::as_tensor.list", tensor_of_list},
    {"aten::clone", kSelf},
    {"aten::conj", kSelf},
    {"aten::conj_physical", kSelf},
    {"aten::contiguous", kSelf},
    {"aten::copy", copy},
    {"aten::cpu", kSelf},
    {"aten::data", kSelf},
    {"aten::detach", kSelf},
    {"aten::detach_copy", kSelf},
    {"aten::fill.Scalar", fill},
    {"aten::fill.Tensor", fill},
    {"aten::lift", kSelf},
    {"aten::lift_fresh", kSelf},
    {"aten::lift_fresh_copy", kSelf},
    {"aten::pin_memory", kSelf},
    {"aten::positive", kSelf},
    {"aten::real", kSelf},
    {"aten::resolve_conj", kSelf},
    {"aten::resolve_neg", kSelf},
    {"aten::scalar_tensor", converted<"s">},
    {"aten::tensor", tensor_of_list},
    {"aten::tensor.bool", converted<"t">},
    {"aten::tensor.float", converted<"t">},
    {"aten::tensor.int", converted<"t">},
    {"aten::to.device", kSelf},
    {"aten::to.dtype", kSelf},
    {"aten::to.dtype_layout", kSelf},
    {"aten::to.other", kSelf},
    {"aten::to.prim_Device", kSelf},
    {"aten::to.prim_dtype", kSelf},
    {"aten::to.prim_other", kSelf},
    {"aten::to_dense", kSelf},
    {"aten::type_as", kSelf},
    {"aten::zero", zero},
};

}  // namespace

std::span<const Row> cast_table() { return kRows; }

}  // namespace modelexport::lowering
