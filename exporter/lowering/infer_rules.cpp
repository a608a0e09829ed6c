#include "exporter/lowering/infer_rules.h"

#include <algorithm>
#include <cstdlib>

namespace modelexport::lowering {

std::optional<Shape> broadcast(const std::optional<Shape>& a, const std::optional<Shape>& b) {
  if (!a || !b) return std::nullopt;
  const Shape& longer = a->size() >= b->size() ? *a : *b;
  const Shape& shorter = a->size() >= b->size() ? *b : *a;
  Shape shape = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    Dim& dim = shape[offset + i];
    const Dim other = shorter[i];
    if (dim == other || other == 1) continue;
    if (dim == 1 || (!is_static(dim) && is_static(other)))
      dim = other;  // a symbol fits or is 1
    else if (!is_static(dim))
      return std::nullopt;
  }
  return shape;
}

namespace rules {
namespace {

int64_t wrap(int64_t axis, size_t rank) {
  return axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
}

}  // namespace

Type tensor(DType dtype, std::optional<Shape> shape) {
  return {Kind::tensor, dtype, std::move(shape)};
}

Type elementwise(const Node& n) {
  std::optional<Shape> shape = n.shape(0);
  for (size_t i = 1; i < n.count(); ++i) shape = broadcast(shape, n.shape(i));
  return tensor(n.dtype(0), shape);
}

Type predicate(const Node& n) { return tensor(DType::boolean, elementwise(n).shape); }

Type where(const Node& n) { return tensor(n.dtype(1), elementwise(n).shape); }

Type shape_op(const Node& n) {
  if (!n.shape(0)) return tensor(DType::i64);
  const auto rank = static_cast<int64_t>(n.shape(0)->size());
  const int64_t start = std::clamp(wrap(n.integer("start", 0), rank), int64_t{0}, rank);
  const int64_t end = std::clamp(wrap(n.integer("end", rank), rank), int64_t{0}, rank);
  return tensor(DType::i64, Shape{std::max<int64_t>(end - start, 0)});
}

Type transpose(const Node& n) {
  if (!n.shape(0)) return tensor(n.dtype(0));
  Shape shape = *n.shape(0);
  const std::optional<Ints> permutation = n.list("perm");
  if (!permutation) {
    std::reverse(shape.begin(), shape.end());
  } else {
    for (size_t i = 0; i < shape.size(); ++i) shape[i] = (*n.shape(0))[(*permutation)[i]];
  }
  return tensor(n.dtype(0), shape);
}

Type unsqueeze(const Node& n) {
  const std::optional<Ints> axes = n.integers(1);
  if (!n.shape(0) || !axes) return tensor(n.dtype(0));
  const size_t rank = n.shape(0)->size() + axes->size();
  Ints sorted;
  for (int64_t axis : *axes) sorted.push_back(wrap(axis, rank));
  std::sort(sorted.begin(), sorted.end());
  Shape shape = *n.shape(0);
  for (int64_t axis : sorted) shape.insert(shape.begin() + axis, 1);
  return tensor(n.dtype(0), shape);
}

Type squeeze(const Node& n) {
  const std::optional<Ints> axes = n.integers(1);
  if (!n.shape(0) || (n.has(1) && !axes)) return tensor(n.dtype(0));
  Shape shape;
  for (size_t i = 0; i < n.shape(0)->size(); ++i) {
    const Dim dim = (*n.shape(0))[i];
    const auto named = [&](int64_t axis) {
      return wrap(axis, n.shape(0)->size()) == static_cast<int64_t>(i);
    };
    const bool dropped = axes ? std::any_of(axes->begin(), axes->end(), named) : dim == 1;
    if (!dropped) shape.push_back(dim);
  }
  return tensor(n.dtype(0), shape);
}

Type concat(const Node& n) {
  if (!n.shape(0)) return tensor(n.dtype(0));
  Shape shape = *n.shape(0);
  const int64_t axis = wrap(n.integer("axis", 0), shape.size());
  for (size_t i = 1; i < n.count(); ++i) {
    const std::optional<Shape> other = n.shape(i);
    if (!other || !is_static((*other)[axis]) || !is_static(shape[axis])) return tensor(n.dtype(0));
    shape[axis] += (*other)[axis];
  }
  return tensor(n.dtype(0), shape);
}

Type gather(const Node& n) {
  if (!n.shape(0) || !n.shape(1)) return tensor(n.dtype(0));
  Shape shape = *n.shape(0);
  const int64_t axis = wrap(n.integer("axis", 0), shape.size());
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, n.shape(1)->begin(), n.shape(1)->end());
  return tensor(n.dtype(0), shape);
}

Type gather_elements(const Node& n) { return tensor(n.dtype(0), n.shape(1)); }

Type matmul(const Node& n) {
  if (!n.shape(0) || !n.shape(1)) return tensor(n.dtype(0));
  Shape a = *n.shape(0), b = *n.shape(1);
  if (a.empty() || b.empty()) return tensor(n.dtype(0));
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  std::optional<Shape> shape =
      broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!shape) return tensor(n.dtype(0));
  if (!row) shape->push_back(a[a.size() - 2]);
  if (!column) shape->push_back(b.back());
  return tensor(n.dtype(0), shape);
}

Type gemm(const Node& n) {
  if (!n.shape(0) || !n.shape(1)) return tensor(n.dtype(0));
  const bool flip_a = n.integer("transA", 0) != 0, flip_b = n.integer("transB", 0) != 0;
  return tensor(n.dtype(0), Shape{(*n.shape(0))[flip_a ? 1 : 0], (*n.shape(1))[flip_b ? 0 : 1]});
}

Type reduce(const Node& n) {
  std::optional<Ints> axes = n.list("axes");
  if (!axes) axes = n.integers(1);
  if (!n.shape(0) || (n.has(1) && !axes)) return tensor(n.dtype(0));
  const size_t rank = n.shape(0)->size();
  const bool keep = n.integer("keepdims", 1) != 0;
  const bool nothing = (!axes || axes->empty()) && n.integer("noop_with_empty_axes", 0) != 0;
  std::vector<bool> reduced(rank, !nothing && (!axes || axes->empty()));
  for (int64_t axis : axes.value_or(Ints{})) reduced[wrap(axis, rank)] = true;
  Shape shape;
  for (size_t i = 0; i < rank; ++i) {
    if (!reduced[i])
      shape.push_back((*n.shape(0))[i]);
    else if (keep)
      shape.push_back(1);
  }
  return tensor(n.dtype(0), shape);
}

Type arg_reduce(const Node& n) {
  if (!n.shape(0)) return tensor(DType::i64);
  Shape shape = *n.shape(0);
  const int64_t axis = wrap(n.integer("axis", 0), shape.size());
  if (n.integer("keepdims", 1) != 0)
    shape[axis] = 1;
  else
    shape.erase(shape.begin() + axis);
  return tensor(DType::i64, shape);
}

Type reshape(const Node& n) {
  const std::optional<Ints> target = n.integers(1);
  if (!target) return tensor(n.dtype(0));
  Shape shape = *target;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && n.integer("allowzero", 0) == 0) {
      if (!n.shape(0) || i >= n.shape(0)->size()) return tensor(n.dtype(0));
      shape[i] = (*n.shape(0))[i];
    }
  }
  const auto open = std::find(target->begin(), target->end(), -1);
  if (open == target->end()) return tensor(n.dtype(0), shape);
  const size_t axis = static_cast<size_t>(open - target->begin());
  shape[axis] = 1;
  const std::optional<int64_t> rest = element_count(shape);
  const std::optional<int64_t> all = n.shape(0) ? element_count(*n.shape(0)) : std::nullopt;
  if (!rest || !all || *rest == 0) return tensor(n.dtype(0));
  shape[axis] = *all / *rest;
  return tensor(n.dtype(0), shape);
}

Type expand(const Node& n) {
  const std::optional<Ints> target = n.integers(1);
  return tensor(n.dtype(0), target ? broadcast(n.shape(0), Shape(*target)) : std::nullopt);
}

Type slice(const Node& n) {
  const std::optional<Ints> starts = n.integers(1), ends = n.integers(2);
  if (!n.shape(0) || !starts || !ends) return tensor(n.dtype(0));
  std::optional<Ints> axes = n.integers(3), steps = n.integers(4);
  if ((n.has(3) && !axes) || (n.has(4) && !steps)) return tensor(n.dtype(0));
  Shape shape = *n.shape(0);
  for (size_t i = 0; i < starts->size(); ++i) {
    const int64_t axis = axes ? wrap((*axes)[i], shape.size()) : static_cast<int64_t>(i);
    const int64_t step = steps ? (*steps)[i] : 1;
    const int64_t size = shape[axis];
    if (!is_static(size)) return tensor(n.dtype(0));
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const int64_t start = std::clamp(wrap((*starts)[i], size), std::max<int64_t>(low, 0), high);
    const int64_t end = std::clamp(wrap((*ends)[i], size), low, size);
    const int64_t span = step > 0 ? end - start : start - end;
    shape[axis] = std::max<int64_t>(0, (span + std::abs(step) - 1) / std::abs(step));
  }
  return tensor(n.dtype(0), shape);
}

Type constant_of_shape(const Node& n) {
  const graph::Attribute* value = n.attribute("value");
  const DType dtype = value ? std::get<graph::TensorData>(value->value).dtype : DType::f32;
  return tensor(dtype, n.integers(0));
}

Type sequence_at(const Node& n) { return tensor(n.dtype(0), n.shape(0)); }
Type sequence_of(const Node& n) {
  return {Kind::sequence, n.count() > 0 ? n.dtype(0) : n.dtype_attribute("dtype", DType::f32)};
}

}  // namespace rules
}  // namespace modelexport::lowering
