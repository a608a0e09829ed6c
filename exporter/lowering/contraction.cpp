// Contractions that name their axes: einsum and what can be said with it.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// ---- equations
// -------------------------------------------------------------------------------------

// Labels of each operand and of the result, one letter per axis.
struct Equation {
  std::vector<std::string> operands;
  std::string result;

  std::string text() const {
    std::string text;
    for (const std::string& operand : operands) text += (text.empty() ? "" : ",") + operand;
    return text + "->" + result;
  }
};

// Hands out letters that an equation does not use yet.
class Letters {
 public:
  explicit Letters(const std::string& used) : used_(used.begin(), used.end()) {}
  std::string next(size_t count) {
    std::string letters;
    for (char letter : std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) {
      if (letters.size() < count && used_.insert(letter).second) letters += letter;
    }
    if (letters.size() < count) throw Unsupported{"an equation with more than 52 labels"};
    return letters;
  }

 private:
  std::set<char> used_;
};

constexpr std::string_view kEllipsis = "...";

// `labels` with its ellipsis, if any, replaced by the last `count` of `letters`.
std::string without_ellipsis(std::string labels, const std::string& letters, size_t count) {
  if (const size_t at = labels.find(kEllipsis); at != std::string::npos) {
    labels.replace(at, kEllipsis.size(), letters.substr(letters.size() - count));
  }
  return labels;
}

// Axes that the ellipsis of `labels` stands for.
size_t ellipsis_rank(const std::string& labels, int64_t rank) {
  if (labels.find(kEllipsis) == std::string::npos) return 0;
  return static_cast<size_t>(rank) - (labels.size() - kEllipsis.size());
}

// Without an arrow, the result has the ellipsis and the labels that occur once, in order.
std::string implicit_result(const std::vector<std::string>& operands, const std::string& ellipsis) {
  std::map<char, int> count;
  for (const std::string& operand : operands) {
    for (char label : operand) ++count[label];
  }
  std::string result = ellipsis;
  for (const auto& [label, times] : count) {
    if (times == 1 && ellipsis.find(label) == std::string::npos) result += label;
  }
  return result;
}

// An equation as PyTorch takes it, with its ellipses as labels: ONNX wants the same rank of all.
Equation parse(std::string text, const std::vector<int64_t>& ranks) {
  std::erase(text, ' ');
  Letters letters(text);
  const size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow) + ",";
  Equation equation;
  for (size_t comma; (comma = left.find(',')) != std::string::npos; left.erase(0, comma + 1)) {
    equation.operands.push_back(left.substr(0, comma));
  }
  std::vector<size_t> hidden;
  for (size_t i = 0; i < ranks.size(); ++i) {
    hidden.push_back(ellipsis_rank(equation.operands.at(i), ranks[i]));
  }
  const std::string ellipsis = letters.next(*std::ranges::max_element(hidden));
  for (size_t i = 0; i < ranks.size(); ++i) {
    equation.operands[i] = without_ellipsis(equation.operands[i], ellipsis, hidden[i]);
  }
  equation.result = arrow == std::string::npos
                        ? implicit_result(equation.operands, ellipsis)
                        : without_ellipsis(text.substr(arrow + 2), ellipsis, ellipsis.size());
  return equation;
}

// The permutation that the equation is, if it is one.
std::optional<std::vector<int64_t>> permutation_of(const Equation& equation) {
  const std::string& from = equation.operands[0];
  std::string sorted = from, result = equation.result;
  std::ranges::sort(sorted);
  std::ranges::sort(result);
  const bool has_repeats = std::ranges::adjacent_find(sorted) != sorted.end();
  if (equation.operands.size() > 1 || sorted != result || has_repeats) return std::nullopt;
  std::vector<int64_t> permutation;
  for (char label : equation.result) permutation.push_back(static_cast<int64_t>(from.find(label)));
  return permutation;
}

// The type that ONNX Runtime has Einsum for.
DType einsum_dtype(DType dtype) {
  switch (dtype) {
    case DType::f16:
    case DType::f32:
    case DType::f64:
    case DType::i32:
    case DType::i64:
      return dtype;
    case DType::bf16:
      return DType::f32;
    default:
      return DType::i64;
  }
}

// Whether some operand has more than one element along a label.
bool is_long(Call& c, const Equation& equation, const std::vector<V>& operands, char label) {
  for (size_t i = 0; i < operands.size(); ++i) {
    const size_t axis = equation.operands[i].find(label);
    if (axis != std::string::npos && c.shape(operands[i])[axis] != 1) return true;
  }
  return false;
}

// Drops axes of size 1 that broadcast against longer ones: ONNX's shape inference does not expect
// them.
void drop_broadcast_axes(Call& c, Equation& equation, std::vector<V>& operands) {
  const std::vector<V> all = operands;
  const Equation whole = equation;
  for (size_t i = 0; i < operands.size(); ++i) {
    std::vector<int64_t> dropped;
    std::string kept;
    for (size_t axis = 0; axis < whole.operands[i].size(); ++axis) {
      const char label = whole.operands[i][axis];
      if (c.shape(all[i])[axis] == 1 && is_long(c, whole, all, label)) {
        dropped.push_back(static_cast<int64_t>(axis));
      } else {
        kept += label;
      }
    }
    operands[i] = c.squeeze(operands[i], dropped);
    equation.operands[i] = kept;
  }
}

// Gives operands without labels an axis: ONNX's shape inference takes no others.
void name_scalars(Call& c, Equation& equation, std::vector<V>& operands) {
  Letters letters(equation.text());
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!equation.operands[i].empty()) continue;
    equation.operands[i] = letters.next(1);
    operands[i] = c.unsqueeze(operands[i], {0});
  }
}

V contract(Call& c, Equation equation, std::vector<V> operands) {
  drop_broadcast_axes(c, equation, operands);
  name_scalars(c, equation, operands);
  if (const auto permutation = permutation_of(equation))
    return c.transpose(operands[0], *permutation);
  const DType dtype = einsum_dtype(c.out_dtype());
  for (V& operand : operands) operand = c.cast(operand, dtype);
  const V result = c.node("Einsum", operands, {attr("equation", equation.text())});
  return c.cast(c.typed(result, dtype), c.out_dtype());
}

// aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor
V einsum(Call& c) {
  c.ignore({"path"});
  const std::vector<V> operands = c.tensors("tensors");
  std::vector<int64_t> ranks;
  for (V operand : operands) ranks.push_back(c.rank(operand));
  return contract(c, parse(c.text("equation"), ranks), operands);
}

// ---- contractions with a name
// ------------------------------------------------------------------------

// aten::tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor
V tensordot(Call& c) {
  const V a = c.tensor("self"), b = c.tensor("other");
  const std::vector<int64_t> axes_a = c.axes("dims_self", c.rank(a));
  const std::vector<int64_t> axes_b = c.axes("dims_other", c.rank(b));
  Letters letters("");
  std::string labels_a = letters.next(c.rank(a)), labels_b = letters.next(c.rank(b)), result;
  for (size_t i = 0; i < axes_a.size(); ++i) labels_b[axes_b[i]] = labels_a[axes_a[i]];
  for (char label : labels_a + labels_b) {
    const bool is_shared =
        labels_a.find(label) != std::string::npos && labels_b.find(label) != std::string::npos;
    if (!is_shared) result += label;
  }
  return contract(c, {{labels_a, labels_b}, result}, {a, b});
}

// aten::bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor
V bilinear(Call& c) {
  const V a = c.tensor("input1"), b = c.tensor("input2"), bias = c.optional_tensor("bias");
  const std::string batch = Letters("oij").next(c.rank(a) - 1);
  const V product =
      contract(c, {{batch + "i", "oij", batch + "j"}, batch + "o"}, {a, c.tensor("weight"), b});
  return bias == kOmitted ? product : run(c, "Add", {product, bias});
}

// aten::_trilinear(Tensor i1, Tensor i2, Tensor i3, int[] expand1, int[] expand2, int[] expand3,
//     int[] sumdim, int unroll_dim=1) -> Tensor
V trilinear(Call& c) {
  c.ignore({"unroll_dim"});
  const auto operand = [&](std::string_view name, std::string_view axes) {
    const V x = c.tensor(name);
    return c.unsqueeze(x, c.integers(axes));
  };
  const V pair = run(c, "Mul", {operand("i1", "expand1"), operand("i2", "expand2")});
  const V product = run(c, "Mul", {pair, operand("i3", "expand3")});
  const std::vector<int64_t> summed = c.integers("sumdim");
  return summed.empty() ? product : reduce(c, "ReduceSum", product, summed, false);
}

// aten::kron(Tensor self, Tensor other) -> Tensor
V kron(Call& c) {
  V a = c.tensor("self", c.out_dtype()), b = c.tensor("other", c.out_dtype());
  const int64_t rank = c.out_rank();
  std::vector<int64_t> axes_a, axes_b;  // of size 1 in the product's interleaved axes
  for (int64_t axis = 0; axis < rank; ++axis) {
    if (axis < rank - c.rank(a)) axes_a.push_back(2 * axis);
    axes_a.push_back(2 * axis + 1);
    axes_b.push_back(2 * axis);
    if (axis < rank - c.rank(b)) axes_b.push_back(2 * axis + 1);
  }
  const V product = run(c, "Mul", {c.unsqueeze(a, axes_a), c.unsqueeze(b, axes_b)});
  if (has_sizes(c, c.out_shape(), 1)) return c.reshape(product, c.out_shape());
  std::vector<V> sizes;
  for (int64_t axis = 0; axis < rank; ++axis) {
    const V one = c.constant_ints({1});
    const int64_t in_a = axis - (rank - c.rank(a)), in_b = axis - (rank - c.rank(b));
    sizes.push_back(
        c.mul(in_a < 0 ? one : c.size_of(a, in_a), in_b < 0 ? one : c.size_of(b, in_b)));
  }
  return c.reshape_to(product, c.concat(sizes, 0));
}

}  // namespace

std::span<const Row> contraction_rows() {
  static constexpr Row kRows[] = {
      {"aten::_trilinear", trilinear}, {"aten::bilinear", bilinear},
      {"aten::einsum", einsum},        {"aten::kron", kron},
      {"aten::tensordot", tensordot},
  };
  return kRows;
}

}  // namespace modelexport::lowering
