// Lists whose length depends on the inputs, as ONNX sequences. In the program their operators are
// functional: aten::append.t gives the longer list. Numbers are rank-0 tensors in them.
#include "exporter/lowering/sequence.h"

#include <functional>

#include "exporter/lowering/builder.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/scalar.h"
#include "exporter/lowering/tables.h"

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

// ---- lists made by a loop -----------------------------------------------------------------------

// `start` with element(0), element(1)... element(count - 1) appended.
V appended(Call& c, V start, V count, const std::function<V(V)>& element) {
  c.builder().open_block();
  const V i = c.builder().block_input(DType::i64, {});
  const V go_on = c.builder().block_input(DType::boolean, {});
  const V list = c.builder().block_input(c.dtype_of(start), {});
  c.builder().at(list) = {Kind::sequence, c.dtype_of(start)};
  const V longer = c.node("SequenceInsert", {list, element(i)});
  const graph::Attribute body{
      "body", std::make_shared<graph::Block>(c.builder().close_block({go_on, longer}))};
  const V result = c.node("Loop", {count, kOmitted, start}, {body});
  c.builder().at(result) = {Kind::sequence, c.dtype_of(start)};
  return result;
}

V empty(Call& c) { return c.node("SequenceEmpty", {}, {attr("dtype", c.out_dtype())}); }

V length_of(Call& c, V list) { return c.node("SequenceLength", {list}); }

// aten::extend.t(t[](a!) self, t[] other) -> ()
// aten::add_.t(t[](a!) self, t[] b) -> t[]
// aten::add.t(t[] a, t[] b) -> t[]
V extend(Call& c) {
  V list = list_operand(c, 0);
  const Argument& other = c.argument_at(1);
  if (const auto* elements = std::get_if<ArgumentList>(&other)) {
    for (const Argument& element : *elements) {
      list = c.node("SequenceInsert", {list, c.cast(c.value_of(element), c.out_dtype())});
    }
    return list;
  }
  const V more = c.value_of(other);
  return appended(c, list, length_of(c, more), [&](V i) {
    return c.node("SequenceAt", {more, i});
  });
}

// aten::reverse.t(t[](a!) self) -> ()
V reverse(Call& c) {
  const V list = list_operand(c, 0), count = length_of(c, list);
  return appended(c, empty(c), count, [&](V i) {
    const V from_end = c.node("Sub", {count, c.add(i, c.constant_int(1))});
    return c.node("SequenceAt", {list, from_end});
  });
}

// aten::slice.t(t[] l, int? start=None, int? end=None, int step=1) -> t[]
V slice(Call& c) {
  const V list = list_operand(c, 0), size = length_of(c, list), zero = c.constant_int(0);
  const int64_t step = c.integer("step");
  if (step < 1) throw Unsupported{"a negative step through a list of unknown length"};
  const auto bound = [&](std::string_view name, V otherwise) {
    if (c.is_none(name)) return otherwise;
    const V given = c.scalar(name, DType::i64);
    const V from_start = c.where(c.node("Less", {given, zero}), c.add(given, size), given);
    return c.node("Min", {c.node("Max", {from_start, zero}), size});
  };
  const V start = bound("start", zero), end = bound("end", size);
  const V span = c.add(c.node("Sub", {end, start}), c.constant_int(step - 1));
  const V count = c.node("Div", {c.node("Max", {span, zero}), c.constant_int(step)});
  return appended(c, empty(c), count, [&](V i) {
    const V position = c.add(start, c.node("Mul", {i, c.constant_int(step)}));
    return c.node("SequenceAt", {list, position});
  });
}

// ---- single elements ----------------------------------------------------------------------------

// aten::pop.t(t[](a!) self, int idx=-1) -> t(*)
std::vector<V> pop(Call& c) {
  const V list = list_operand(c, 0);
  const V position = c.argument_count() > 1 ? operand(c, 1, DType::i64) : c.constant_int(-1);
  return {c.node("SequenceErase", {list, position}), c.node("SequenceAt", {list, position})};
}

// aten::Delete.t(t[](a!) self, int idx) -> ()
V remove(Call& c) {
  return c.node("SequenceErase", {list_operand(c, 0), operand(c, 1, DType::i64)});
}

// aten::clear.t(t[](a!) self) -> ()
V clear(Call& c) {
  c.ignore({"self"});
  return empty(c);
}

// aten::__getitem__.t(t[](a) list, int idx) -> t(*)
V get_item(Call& c) {
  const V list = list_operand(c, 0);
  return c.node("SequenceAt", {list, operand(c, 1, DType::i64)});
}

// prim::ListUnpack(t[] list) -> (...)
std::vector<V> unpack(Call& c) {
  const V list = list_operand(c, 0);
  std::vector<V> elements;
  for (size_t i = 0; i < c.output_count(); ++i) {
    elements.push_back(c.node("SequenceAt", {list, c.constant_int(static_cast<int64_t>(i))}));
  }
  return elements;
}

// aten::len.t(t[] a) -> int
V length(Call& c) { return length_of(c, list_operand(c, 0)); }

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

// aten::chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]
V chunk(Call& c) {
  const V self = c.tensor("self"), chunks = c.scalar("chunks", DType::i64);
  const int64_t axis = c.axis("dim", c.rank(self));
  const V rounding = c.sub(chunks, c.constant_int(1));
  const V size = c.div(c.add(c.squeeze(c.size_of(self, axis), {0}), rounding), chunks);
  return c.node("SplitToSequence", {self, size}, {attr("axis", axis)});
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

// The numbers of a list as a tensor. ONNX concatenates no empty sequence: a zero in front is cut
// off.
V numbers(Call& c) {
  const V list = list_operand(c, 0), zero = c.constant(0, c.dtype_of(list));
  const V one_more = c.node("SequenceInsert", {list, zero, c.constant_int(0)});
  const V joined = c.node("ConcatFromSequence", {one_more}, {attr("axis", 0), attr("new_axis", 1)});
  return c.slice(joined, 0, 1, INT64_MAX);
}

// aten::tensor(t[] data, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False)
//     -> Tensor
V tensor(Call& c) {
  const V elements = numbers(c);
  ignore_all_but(c, {"data"});
  return c.cast(elements, c.out_dtype());
}

// prim::max.self_int(int[] self) -> int, and its kind
template <OpType kReduce>
V reduced(Call& c) {
  return c.node(kReduce.view(), {numbers(c)}, {attr("keepdims", 0)});
}

// aten::__contains__.int_list(int[] l, int item) -> bool, and of floats
V contains(Call& c) {
  const V list = numbers(c), item = operand(c, 1, c.dtype_of(list));
  const V same = c.cast(c.node("Equal", {list, item}), DType::i32);
  const V count = c.node("ReduceSum", {same}, {attr("keepdims", 0)});  // 0 of an empty list
  return c.cast(count, DType::boolean);
}

// aten::sorted.int(int[](a) input) -> int[], and of floats
V sorted_numbers(Call& c) {
  const V list = numbers(c);
  const V count = c.node("Shape", {list});
  const V values = c.nodes("TopK", {list, count}, 2, {attr("axis", 0), attr("largest", 0)})[0];
  return c.node("SplitToSequence", {values}, {attr("axis", 0), attr("keepdims", 0)});
}

constexpr Row kRows[] = {
    {"prim::ListConstruct", construct},
    {"prim::ListUnpack", unpack},
    {"aten::append.t", append},
    {"aten::insert.t", insert},
    {"aten::_set_item.t", set_item},
    {"aten::__getitem__.t", get_item},
    {"aten::len.t", length},
    {"aten::list.t", copy},
    {"aten::copy.t", copy},
    {"aten::extend.t", extend},
    {"aten::add_.t", extend},
    {"aten::add.t", extend},
    {"aten::reverse.t", reverse},
    {"aten::slice.t", slice},
    {"aten::pop.t", pop},
    {"aten::Delete.t", remove},
    {"aten::clear.t", clear},
    {"aten::as_tensor.list", tensor},
    {"aten::tensor", tensor},
    {"prim::max.self_int", reduced<"ReduceMax">},
    {"prim::max.self_float", reduced<"ReduceMax">},
    {"prim::min.self_int", reduced<"ReduceMin">},
    {"prim::min.self_float", reduced<"ReduceMin">},
    {"aten::sum.int", reduced<"ReduceSum">},
    {"aten::sum.float", reduced<"ReduceSum">},
    {"aten::__contains__.float_list", contains},
    {"aten::__contains__.int_list", contains},
    {"aten::sorted.float", sorted_numbers},
    {"aten::sorted.int", sorted_numbers},
    {"aten::cat", cat},
    {"aten::concat", cat},
    {"aten::concatenate", cat},
    {"aten::stack", stack},
    {"aten::chunk", chunk},
    {"aten::split.Tensor", split},
    {"aten::split.sizes", split_sizes},
    {"aten::unbind.int", unbind},
};

}  // namespace

std::span<const Row> sequence_table() { return kRows; }

}  // namespace modelexport::lowering
