#include "analysis/operator_kinds.h"

#include <algorithm>
#include <array>

namespace modelexport::analysis {
namespace {

template <size_t kCount>
bool is_one_of(std::string_view op, const std::array<std::string_view, kCount>& names) {
  if (op.starts_with("aten::") && op.ends_with('_')) op.remove_suffix(1);  // in place
  return std::find(names.begin(), names.end(), op) != names.end();
}

}  // namespace

bool is_lookup(std::string_view op) {
  return is_one_of(op, std::array<std::string_view, 8>{
                           "aten::embedding", "aten::embedding_bag", "aten::index_select",
                           "aten::index", "aten::gather", "Gather", "GatherND", "GatherElements"});
}

bool reads_shape_only(std::string_view op) {
  return op.ends_with("_like") || is_one_of(op, std::array<std::string_view, 7>{
                                                    "aten::size", "aten::sym_size", "aten::numel",
                                                    "aten::len", "aten::dim", "Shape", "Size"});
}

bool normalizes(std::string_view op) {
  return is_one_of(op,
                   std::array<std::string_view, 3>{"aten::softmax", "aten::_softmax", "Softmax"});
}

bool attends(std::string_view op) {
  return is_one_of(op, std::array<std::string_view, 3>{
                           "aten::scaled_dot_product_attention",
                           "aten::_scaled_dot_product_flash_attention_for_cpu", "Attention"});
}

bool multiplies(std::string_view op) {
  return is_one_of(
      op, std::array<std::string_view, 8>{"aten::matmul", "aten::bmm", "aten::mm", "aten::baddbmm",
                                          "aten::einsum", "MatMul", "Gemm", "Einsum"});
}

bool hands_on(std::string_view op) {
  return is_one_of(op, std::array<std::string_view, 27>{"aten::add",
                                                        "aten::sub",
                                                        "aten::to",
                                                        "aten::type_as",
                                                        "aten::permute",
                                                        "aten::transpose",
                                                        "aten::unsqueeze",
                                                        "aten::squeeze",
                                                        "aten::slice",
                                                        "aten::select",
                                                        "aten::expand",
                                                        "aten::view",
                                                        "aten::reshape",
                                                        "aten::clone",
                                                        "aten::contiguous",
                                                        "aten::masked_fill",
                                                        "aten::where",
                                                        "Add",
                                                        "Sub",
                                                        "Cast",
                                                        "Transpose",
                                                        "Unsqueeze",
                                                        "Squeeze",
                                                        "Slice",
                                                        "Expand",
                                                        "Reshape",
                                                        "Where"});
}

bool masks(std::string_view op) {
  return hands_on(op) ||
         is_one_of(op, std::array<std::string_view, 5>{"aten::dropout", "aten::mul", "Dropout",
                                                       "Mul", "aten::feature_dropout"});
}

}  // namespace modelexport::analysis
