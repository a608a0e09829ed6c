// Loops. While the number of iterations is known they are unrolled. Otherwise each example runs the loop to its
// end first, which shows what it carries from one iteration to the next and how the shapes of that change;
// then the body is recorded once, in worlds for the first iterations of each example.
#include <fmt/format.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/lane_scope.h"
#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

constexpr int64_t kMaxObserved = 100000;  // iterations, against loops that do not end

// A copy that later writes do not reach, of what is observed in the first lane.
Val snapshot(const Val& val, const Worlds& world) {
  if (const auto* cell = get_if<TensorCell>(val)) {
    auto copy = std::make_shared<TensorCell>(**cell);
    copy->lanes = {(*cell)->lanes[0].clone()};
    copy->worlds = world;
    copy->parent = nullptr;
    copy->base = std::make_shared<AliasBase>();
    return copy;
  }
  if (const auto* number = get_if<SymbolicNumber>(val)) {
    return std::make_shared<SymbolicNumber>(
        SymbolicNumber{(*number)->value, {(*number)->lanes[0]}, world});
  }
  if (const auto* list = get_if<ListVal>(val)) {
    auto copy = std::make_shared<ListVal>(ListVal{(*list)->element_type, {}, (*list)->sequence});
    for (const Val& element : (*list)->elements) copy->elements.push_back(snapshot(element, world));
    return copy;
  }
  if (const auto* tuple = get_if<TupleVal>(val)) {
    auto copy = std::make_shared<TupleVal>(TupleVal{(*tuple)->type, {}});
    for (const Val& element : (*tuple)->elements) copy->elements.push_back(snapshot(element, world));
    return copy;
  }
  if (const auto* dict = get_if<DictVal>(val)) {
    auto copy = std::make_shared<DictVal>(**dict);
    for (auto& [key, value] : copy->entries) value = snapshot(value, world);
    return copy;
  }
  return val;
}

bool as_bool(const Val& condition) {
  if (const auto* value = known(condition)) return value->toBool();
  return std::get<std::shared_ptr<SymbolicNumber>>(condition)->lanes.at(0).toBool();
}

std::optional<int64_t> as_int(const Val& number, size_t lane) {
  return is_none(number) ? std::nullopt : std::optional(in_lane(number, lane).toInt());
}

[[noreturn]] void cannot_carry(const std::string& what) {
  throw Error(ErrorKind::unsupported, "prim::Loop: it carries " + what);
}

}  // namespace

// Something with a value of its own at each iteration: a loop-carried value of the node, or a tensor, list or
// attribute from outside that the body changes.
struct Carried {
  Val initial;
  std::function<void(Val)> set;
  std::function<Val()> get;
};

struct Interpreter::Loop {
  Node* node;
  Frame& frame;
  Val trip_count, condition;
  std::vector<Carried> carried;
  struct Run {  // of one world
    WorldId world;
    std::vector<std::vector<Val>> before;  // each iteration: the carried values (the first ones are kept)
    std::vector<Val> last_but_one, after;
    int64_t iterations = 0;
  };
  std::vector<Run> runs;
  std::vector<std::vector<Val>> inputs;  // [world of the body][carried]
  std::vector<Val> joined;               // the body's inputs
};

void Interpreter::run_loop(Node* node, Frame& frame) {
  const torch::jit::Block* body = node->blocks()[0];
  const Val trip_count = get(frame, node->input(0));
  Val condition = get(frame, node->input(1));
  std::vector<Val> carried;
  for (size_t i = 2; i < node->inputs().size(); ++i) carried.push_back(get(frame, node->input(i)));
  const auto assign = [&, body](size_t i) {
    return Carried{carried[i],
                   [&frame, body, i, this](Val val) { set(frame, body->inputs()[i + 1], std::move(val)); },
                   [&frame, body, i, this] { return get(frame, body->outputs()[i + 1]); }};
  };
  const auto* limit = known(trip_count);
  for (int64_t iteration = 0; limit && known(condition); ++iteration) {
    if (iteration >= limit->toInt() || !known(condition)->toBool()) {
      for (size_t i = 0; i < carried.size(); ++i) set(frame, node->output(i), carried[i]);
      return;
    }
    set(frame, body->inputs()[0], c10::IValue(iteration));
    for (size_t i = 0; i < carried.size(); ++i) set(frame, body->inputs()[i + 1], carried[i]);
    run_nodes(body, frame);
    condition = get(frame, body->outputs()[0]);
    for (size_t i = 0; i < carried.size(); ++i) carried[i] = get(frame, body->outputs()[i + 1]);
  }
  Loop loop{node, frame, trip_count, condition, {}, {}, {}, {}};
  for (size_t i = 0; i < carried.size(); ++i) loop.carried.push_back(assign(i));
  record_loop(loop);
  for (size_t i = 0; i < carried.size(); ++i) set(frame, node->output(i), loop.joined[i]);
}

bool Interpreter::run_iteration(Loop& loop, int64_t iteration) {
  const torch::jit::Block* body = loop.node->blocks()[0];
  set(loop.frame, body->inputs()[0], c10::IValue(iteration));
  run_nodes(body, loop.frame);
  return as_bool(get(loop.frame, body->outputs()[0]));
}

// Runs the loop to its end in one world, without recording.
void Interpreter::observe(Loop& loop, WorldId world) {
  const LaneScope scope(*this, {{world}});
  ++observing_;
  adopt(loop.trip_count);
  adopt(loop.condition);
  const int64_t limit = as_int(loop.trip_count, 0).value_or(INT64_MAX);
  bool go_on = as_bool(loop.condition);
  Block scratch;
  Journal journal;
  const Attributes attributes = attributes_;
  recorder_.begin_block(scratch);
  journals_.push_back(&journal);
  const auto mark = recorder_.mark();
  Loop::Run run{world, {}, {}, {}, 0};
  for (const Carried& carried : loop.carried) {
    adopt(carried.initial);
    carried.set(snapshot(carried.initial, worlds_));
  }
  std::vector<Val> now;
  for (const Carried& carried : loop.carried) now.push_back(snapshot(carried.initial, worlds_));
  for (; go_on && run.iterations < limit; ++run.iterations) {
    if (run.iterations > kMaxObserved) throw Error(ErrorKind::usage, "a loop does not end " + place_of(loop.node, loop.frame));
    if (run.before.size() < 2) run.before.push_back(now);
    run.last_but_one = now;
    go_on = run_iteration(loop, run.iterations);
    now.clear();
    for (const Carried& carried : loop.carried) now.push_back(snapshot(carried.get(), worlds_));
    for (size_t i = 0; i < loop.carried.size(); ++i) loop.carried[i].set(loop.carried[i].get());
  }
  run.after = now;
  recorder_.forget_since(mark);
  journals_.pop_back();
  recorder_.end_block();
  journal.undo();
  attributes_ = attributes;
  --observing_;
  loop.runs.push_back(std::move(run));
}

// What the body changes outside itself is carried too. Runs the loop once to see.
void Interpreter::find_carried(Loop& loop) {
  Journal effects;
  const Attributes attributes = attributes_;
  Attributes changed;
  for (WorldId world : worlds_->ids) {
    const LaneScope scope(*this, {{world}});
    adopt(loop.trip_count);
    adopt(loop.condition);
    if (!as_bool(loop.condition) || as_int(loop.trip_count, 0).value_or(1) < 1) continue;
    Block scratch;
    ++observing_;
    recorder_.begin_block(scratch);
    journals_.push_back(&effects);
    const auto mark = recorder_.mark();
    for (const Carried& carried : loop.carried) {
      adopt(carried.initial);
      carried.set(carried.initial);
    }
    run_iteration(loop, 0);
    recorder_.forget_since(mark);
    journals_.pop_back();
    recorder_.end_block();
    changed = attributes_;
    effects.undo();
    attributes_ = attributes;
    --observing_;
    break;
  }
  for (const auto& entry : effects.cells) {
    if (!entry.written || entry.cell->parent) continue;
    loop.carried.push_back({Val(entry.cell),
                            [this, cell = entry.cell](Val val) {
                              const auto& from = std::get<std::shared_ptr<TensorCell>>(val);
                              if (from == cell) return;
                              write(cell, from->value, true);
                              cell->lanes = from->lanes;
                              cell->worlds = from->worlds;
                            },
                            [cell = entry.cell] { return Val(cell); }});
  }
  for (const auto& entry : effects.lists) {
    loop.carried.push_back({Val(entry.first),
                            [this, list = entry.first](Val val) {
                              const auto& from = std::get<std::shared_ptr<ListVal>>(val);
                              if (from == list) return;
                              if (!journals_.empty()) journals_.back()->save(list);
                              list->elements = from->elements;
                              list->sequence = from->sequence;
                            },
                            [list = entry.first] { return Val(list); }});
  }
  if (!effects.dicts.empty()) cannot_carry("a dict that it changes");
  for (const auto& [slot, value] : changed) {
    const auto before = attributes.find(slot);
    if (before == attributes.end() || before->second == value) continue;
    loop.carried.push_back({before->second, [this, slot = slot](Val val) { attributes_[slot] = std::move(val); },
                            [this, slot = slot] { return attributes_[slot]; }});
  }
}

// One Val for versions of it in several worlds (each with one lane), which are the current ones.
Val Interpreter::join(const std::vector<Val>& versions, std::vector<ValueId>& values) {
  const auto given = std::find_if_not(versions.begin(), versions.end(), is_unset);
  if (given == versions.end()) return Val();
  if (std::any_of(versions.begin(), versions.end(), is_unset)) {
    std::vector<Val> filled;
    for (const Val& val : versions) filled.push_back(is_unset(val) ? placeholder(*given) : val);
    return join(filled, values);
  }
  const Val& first = versions[0];
  const auto all = [&](auto check) { return std::all_of(versions.begin(), versions.end(), check); };
  const auto children = [&](auto element_of, size_t size) {
    std::vector<Val> result;
    for (size_t i = 0; i < size; ++i) {
      std::vector<Val> elements;
      for (const Val& version : versions) elements.push_back(element_of(version, i));
      result.push_back(join(elements, values));
    }
    return result;
  };
  if (all([](const Val& val) { return get_if<TensorCell>(val) != nullptr; })) {
    std::vector<at::Tensor> lanes;
    for (const Val& val : versions) lanes.push_back(std::get<std::shared_ptr<TensorCell>>(val)->lanes[0]);
    auto cell = new_tensor(std::move(lanes), true, false);
    values.push_back(cell->value);
    return cell;
  }
  const auto* value = known(first);
  const auto is_number = [](const Val& val) {
    return get_if<SymbolicNumber>(val) || (known(val) && known(val)->isScalar());
  };
  if (all(is_number)) {
    const bool same = value && all([&](const Val& val) { return known(val) && *known(val) == *value; });
    if (same) return first;
    auto number = std::make_shared<SymbolicNumber>();
    for (const Val& val : versions) number->lanes.push_back(in_lane(val, 0));
    number->worlds = worlds_;
    number->value = recorder_.number_value(number->lanes);
    values.push_back(number->value);
    return number;
  }
  if (value) {
    if (!all([&](const Val& val) { return known(val) && known(val)->is(*value); })) {
      cannot_carry("a value that is None in one iteration and a tensor in another");
    }
    return first;
  }
  if (const auto* list = get_if<ListVal>(first)) {
    const size_t size = (*list)->elements.size();
    const bool same = all([&](const Val& val) {
      return std::get<std::shared_ptr<ListVal>>(val)->elements.size() == size && !std::get<std::shared_ptr<ListVal>>(val)->sequence;
    });
    auto result = std::make_shared<ListVal>(ListVal{(*list)->element_type, {}, nullptr});
    if (same) {
      result->elements = children(
          [](const Val& val, size_t i) { return std::get<std::shared_ptr<ListVal>>(val)->elements[i]; }, size);
      return result;
    }
    result->sequence = std::make_shared<SymbolicSequence>();
    for (const Val& val : versions) result->sequence->lanes.push_back(in_lane(val, 0));
    result->sequence->worlds = worlds_;
    result->sequence->value = recorder_.sequence_value(result->sequence->lanes);
    values.push_back(result->sequence->value);
    return result;
  }
  if (const auto* tuple = get_if<TupleVal>(first)) {
    return std::make_shared<TupleVal>(TupleVal{
        (*tuple)->type,
        children([](const Val& val, size_t i) { return std::get<std::shared_ptr<TupleVal>>(val)->elements.at(i); },
                 (*tuple)->elements.size())});
  }
  return first;
}

// The program values of `val`, in the places where `like` (what join made) has them.
void Interpreter::flatten(const Val& val, const Val& like, std::vector<ValueId>& values) {
  if (is_unset(val) && !is_unset(like)) return flatten(placeholder(like), like, values);
  if (get_if<TensorCell>(like)) {
    values.push_back(current(std::get<std::shared_ptr<TensorCell>>(val)));
  } else if (get_if<SymbolicNumber>(like)) {
    values.push_back(value_of(val));
  } else if (const auto* list = get_if<ListVal>(like)) {
    const auto& from = std::get<std::shared_ptr<ListVal>>(val);
    if ((*list)->sequence) {
      values.push_back(sequence_of(*from, (*list)->sequence->value));
      return;
    }
    for (size_t i = 0; i < from->elements.size(); ++i) flatten(from->elements[i], (*list)->elements[i], values);
  } else if (const auto* tuple = get_if<TupleVal>(like)) {
    const auto& from = std::get<std::shared_ptr<TupleVal>>(val);
    for (size_t i = 0; i < from->elements.size(); ++i) flatten(from->elements[i], (*tuple)->elements[i], values);
  }
}

// The sequence value of a list; of one that is still known by its elements, a new sequence of them.
ValueId Interpreter::sequence_of(const ListVal& list, ValueId like) {
  if (list.sequence) return list.sequence->value;
  Value type = recorder_.program().values[like];
  recorder_.program().values.push_back(type);
  const auto value = static_cast<ValueId>(recorder_.program().values.size() - 1);
  recorder_.emit({recorder_.schema("prim::ListConstruct", {}), arguments(list.elements), {value},
                  origin_, {}});
  return value;
}

// What the loop leaves of one carried value in each world, and what it was one iteration before.
void Interpreter::add_ends(const Loop& loop, size_t index, std::vector<Val>& versions) {
  for (const Loop::Run& run : loop.runs) {
    versions.push_back(run.after[index]);
    if (run.iterations > 0) versions.push_back(run.last_but_one[index]);
  }
}

void Interpreter::record_body(Loop& loop, Block& body) {
  WorldSet worlds;
  std::vector<c10::IValue> iterations;
  for (const Loop::Run& run : loop.runs) {
    for (size_t i = 0; i < run.before.size(); ++i) {
      worlds.ids.push_back(world_tree_.add_child(run.world, WorldKind::real));
      iterations.emplace_back(static_cast<int64_t>(i));
      loop.inputs.push_back(run.before[i]);
    }
  }
  const LaneScope scope(*this, std::move(worlds));
  const torch::jit::Block* block = loop.node->blocks()[0];
  Journal journal;
  const Attributes attributes = attributes_;
  recorder_.begin_block(body);
  journals_.push_back(&journal);
  auto iteration = std::make_shared<SymbolicNumber>();
  iteration->lanes = iterations;
  iteration->worlds = worlds_;
  iteration->value = recorder_.number_value(iterations);
  recorder_.program().values[iteration->value].size.reset();  // any number of iterations
  body.inputs.push_back(iteration->value);
  set(loop.frame, block->inputs()[0], iteration);
  for (size_t i = 0; i < loop.carried.size(); ++i) {
    std::vector<Val> versions;
    for (const auto& inputs : loop.inputs) versions.push_back(inputs[i]);
    add_ends(loop, i, versions);
    loop.joined.push_back(join_in(versions, loop.inputs.size(), body.inputs));
    loop.carried[i].set(loop.joined.back());
  }
  run_nodes(block, loop.frame);
  body.outputs.push_back(value_of(get(loop.frame, block->outputs()[0])));
  for (size_t i = 0; i < loop.carried.size(); ++i) {
    flatten(loop.carried[i].get(), loop.joined[i], body.outputs);
  }
  journals_.pop_back();
  recorder_.end_block();
  journal.undo();
  attributes_ = attributes;
}

// As join, of more versions than there are worlds: all of them tell what varies, the first ones are kept.
Val Interpreter::join_in(const std::vector<Val>& versions, size_t worlds, std::vector<ValueId>& values) {
  const Val joined = join(versions, values);
  const auto cut = [&](const auto& self, const Val& val) -> void {
    if (const auto* cell = get_if<TensorCell>(val)) (*cell)->lanes.resize(worlds);
    if (const auto* number = get_if<SymbolicNumber>(val)) (*number)->lanes.resize(worlds);
    if (const auto* list = get_if<ListVal>(val)) {
      if ((*list)->sequence) (*list)->sequence->lanes.resize(worlds);
      for (const Val& element : (*list)->elements) self(self, element);
    }
    if (const auto* tuple = get_if<TupleVal>(val)) {
      for (const Val& element : (*tuple)->elements) self(self, element);
    }
  };
  cut(cut, joined);
  return joined;
}

void Interpreter::record_loop(Loop& loop) {
  origin_ = origin_of(loop.node, loop.frame);
  find_carried(loop);
  for (WorldId world : worlds_->ids) observe(loop, world);
  const bool ever = std::any_of(loop.runs.begin(), loop.runs.end(),
                                [](const Loop::Run& run) { return run.iterations > 0; });
  if (!ever) {
    throw Error(ErrorKind::unsupported,
                fmt::format("prim::Loop {}: it runs no iteration in any example", place_of(loop.node, loop.frame)));
  }
  Block body;
  record_body(loop, body);

  Op op{recorder_.schema("prim::Loop", {"max_trip_count", "condition"}), {}, {}, origin_, {}};
  const auto limit = known(loop.trip_count);
  const bool unlimited = limit && (limit->isNone() || limit->toInt() == INT64_MAX);
  op.arguments = {unlimited ? Argument(std::monostate{}) : argument(loop.trip_count), argument(loop.condition)};
  std::vector<ValueId> initial;
  for (size_t i = 0; i < loop.carried.size(); ++i) {
    adopt(loop.carried[i].initial);
    flatten(loop.carried[i].initial, loop.joined[i], initial);
  }
  for (ValueId value : initial) op.arguments.emplace_back(ValueRef{value});
  op.blocks.push_back(std::move(body));
  finish_loop(loop, std::move(op));
}

// The values after the loop. Where their shapes change from one iteration to the next there is from here on a
// world in which the loop ran once less.
void Interpreter::finish_loop(Loop& loop, Op op) {
  bool changes = false;
  const auto shapes = [](const Val& val) {
    std::vector<std::vector<int64_t>> sizes;
    const auto collect = [&](const auto& self, const Val& at) -> void {
      if (const auto* cell = get_if<TensorCell>(at)) sizes.push_back((*cell)->lanes[0].sizes().vec());
      if (const auto* list = get_if<ListVal>(at)) {
        sizes.push_back({static_cast<int64_t>(in_lane(at, 0).toListRef().size())});
        if (!(*list)->sequence) for (const Val& element : (*list)->elements) self(self, element);
      }
      if (const auto* tuple = get_if<TupleVal>(at)) {
        for (const Val& element : (*tuple)->elements) self(self, element);
      }
    };
    collect(collect, val);
    return sizes;
  };
  const auto ran = std::find_if(loop.runs.begin(), loop.runs.end(),
                                [](const Loop::Run& run) { return run.iterations > 0; });
  for (size_t i = 0; i < loop.carried.size(); ++i) {
    changes |= shapes(ran->last_but_one[i]) != shapes(ran->after[i]);
  }
  changes &= observing_ == 0;
  if (changes) {
    WorldSet more = *worlds_;
    more.ids.push_back(world_tree_.add_child(ran->world, WorldKind::other_path));
    enter(std::make_shared<const WorldSet>(std::move(more)));
  }
  for (size_t i = 0; i < loop.carried.size(); ++i) {
    std::vector<Val> versions;
    for (const Loop::Run& run : loop.runs) versions.push_back(run.after[i]);
    if (changes) versions.push_back(ran->last_but_one[i]);
    const size_t worlds = versions.size();
    add_ends(loop, i, versions);
    for (const auto& inputs : loop.inputs) versions.push_back(inputs[i]);
    loop.joined[i] = join_in(versions, worlds, op.outputs);
  }
  recorder_.emit(std::move(op));
  for (size_t i = loop.node->outputs().size(); i < loop.carried.size(); ++i) {
    loop.carried[i].set(loop.joined[i]);
  }
}

}  // namespace modelexport::frontend
