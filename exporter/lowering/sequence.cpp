// Lists whose length depends on the inputs, as ONNX sequences. In the program their operators are
// functional: aten::append.t gives the longer list. Numbers are rank-0 tensors in them.
#include "exporter/lowering/sequence.h"

#include "exporter/lowering/registry.h"
#include "exporter/lowering/scalar.h"

namespace modelexport::lowering {

V as_sequence(Call& c, const Argument& list, DType dtype) {
  const auto* elements = std::get_if<ArgumentList>(&list);
  if (!elements) return c.value_of(list);
  if (elements->empty()) return c.node("SequenceEmpty", {}, {attr("dtype", dtype)});
  std::vector<V> values;
  for (const Argument& element : *elements) values.push_back(c.cast(c.value_of(element), dtype));
  return c.node("SequenceConstruct", values);
}

namespace {

V list_operand(Call& c, size_t index) {
  return as_sequence(c, c.argument_at(index), c.out_dtype());
}

// prim::ListConstruct(...) -> t[]
V construct(Call& c) {
  ArgumentList elements;
  for (size_t i = 0; i < c.argument_count(); ++i) elements.push_back(c.argument_at(i));
  return as_sequence(c, elements, c.out_dtype());
}

// aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!)
V append(Call& c) {
  const V list = list_operand(c, 0);
  return c.node("SequenceInsert", {list, c.cast(c.value_of(c.argument_at(1)), c.out_dtype())});
}

// aten::insert.t(t[](a!) self, int idx, t(b -> *) el) -> ()
V insert(Call& c) {
  const V list = list_operand(c, 0), position = operand(c, 1, DType::i64);
  const V element = c.cast(c.value_of(c.argument_at(2)), c.out_dtype());
  return c.node("SequenceInsert", {list, element, position});
}

// aten::_set_item.t(t[](a!) l, int idx, t(b -> *) el) -> t[](a!)
V set_item(Call& c) {
  const V list = list_operand(c, 0), element = c.cast(c.value_of(c.argument_at(2)), c.out_dtype());
  // Erased and inserted at the same place, which must not be counted from the end: the length
  // changes.
  V position = operand(c, 1, DType::i64);
  const V zero = c.constant_int(0);
  const V from_start = c.add(position, c.node("SequenceLength", {list}));
  position = c.where(c.node("Less", {position, zero}), from_start, position);
  const V rest = c.node("SequenceErase", {list, position});
  return c.node("SequenceInsert", {rest, element, position});
}

// aten::__getitem__.t(t[](a) list, int idx) -> t(*)
V get_item(Call& c) {
  const V list = list_operand(c, 0);
  return c.node("SequenceAt", {list, operand(c, 1, DType::i64)});
}

// aten::len.t(t[] a) -> int
V length(Call& c) { return c.node("SequenceLength", {list_operand(c, 0)}); }

// aten::list.t(t[] l) -> t[]
V copy(Call& c) { return list_operand(c, 0); }

// aten::cat(Tensor[] tensors, int dim=0) -> Tensor
V cat(Call& c) {
  const V list = c.sequence("tensors");
  const V joined =
      c.node("ConcatFromSequence", {list}, {attr("axis", c.axis("dim", c.out_rank()))});
  return c.cast(joined, c.out_dtype());
}

// aten::stack(Tensor[] tensors, int dim=0) -> Tensor
V stack(Call& c) {
  const V list = c.sequence("tensors");
  return c.node("ConcatFromSequence", {list},
                {attr("axis", c.axis("dim", c.out_rank())), attr("new_axis", 1)});
}

// aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]
V split(Call& c) {
  const V self = c.tensor("self");
  return c.node("SplitToSequence", {self, c.scalar("split_size", DType::i64)},
                {attr("axis", c.axis("dim", c.rank(self)))});
}

// aten::split.sizes(Tensor(a -> *) self, SymInt[] split_size, int dim=0) -> Tensor(a)[]
V split_sizes(Call& c) {
  const V self = c.tensor("self");
  return c.node("SplitToSequence", {self, c.int_list("split_size")},
                {attr("axis", c.axis("dim", c.rank(self)))});
}

// aten::unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]
V unbind(Call& c) {
  const V self = c.tensor("self");
  return c.node("SplitToSequence", {self},
                {attr("axis", c.axis("dim", c.rank(self))), attr("keepdims", 0)});
}

constexpr Row kRows[] = {
    {"prim::ListConstruct", construct},
    {"aten::append.t", append},
    {"aten::insert.t", insert},
    {"aten::_set_item.t", set_item},
    {"aten::__getitem__.t", get_item},
    {"aten::len.t", length},
    {"aten::list.t", copy},
    {"aten::copy.t", copy},
    {"aten::cat", cat},
    {"aten::concat", cat},
    {"aten::concatenate", cat},
    {"aten::stack", stack},
    {"aten::split.Tensor", split},
    {"aten::split.sizes", split_sizes},
    {"aten::unbind.int", unbind},
};

}  // namespace

std::span<const Row> sequence_table() { return kRows; }

}  // namespace modelexport::lowering
