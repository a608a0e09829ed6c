// Loops. While the number of iterations is known they are unrolled. Otherwise each example runs the
// loop to its end first, which shows what it carries from one iteration to the next and how the
// shapes of that change; then the body is recorded once, in worlds for the first iterations of each
// example.
#include <fmt/format.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/lane_scope.h"
#include "exporter/frontend/trial.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

constexpr int64_t kMaxObserved = 100000;  // iterations, against loops that do not end

bool as_bool(const Val& condition) {
  if (const auto* value = known(condition)) return value->toBool();
  return std::get<std::shared_ptr<SymbolicNumber>>(condition)->lanes.at(0).toBool();
}

std::optional<int64_t> as_int(const Val& number, size_t lane) {
  return is_none(number) ? std::nullopt : std::optional(in_lane(number, lane).toInt());
}

}  // namespace

// A trial whose operators, scopes and calls are forgotten as well: it only shows what happens.
struct Interpreter::Observation {
  explicit Observation(Interpreter& interpreter)
      : interpreter_(interpreter),
        mark_(interpreter.recorder_.mark()),
        trial(interpreter, scratch_) {
    ++interpreter_.observing_;
  }
  ~Observation() {
    --interpreter_.observing_;
    interpreter_.recorder_.forget_since(mark_);
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

 private:
  Interpreter& interpreter_;
  Recorder::Mark mark_;
  Block scratch_;

 public:
  Trial trial;
};

// Something with a value of its own at each iteration: a loop-carried value of the node, or a
// tensor, list or attribute from outside that the body changes.
struct Carried {
  Val initial;
  std::function<void(Val)> set;
  std::function<Val()> get;
};

struct Interpreter::Loop {
  Node* node;
  Frame& frame;
  Val trip_count, condition;  // of what is left to do
  int64_t first;              // number of the first iteration: those before it are unrolled
  std::vector<Carried> carried;
  struct Run {  // of one world
    WorldId world;
    std::vector<std::vector<Val>>
        before;  // each iteration: the carried values (the first ones are kept)
    std::vector<Val> last_but_one, after;
    int64_t iterations = 0;
  };
  std::vector<Run> runs;
  std::optional<WorldId> imagined = {};  // where it runs once, whatever its condition is
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
    return Carried{
        carried[i],
        [&frame, body, i, this](Val val) { set(frame, body->inputs()[i + 1], std::move(val)); },
        [&frame, body, i, this] { return get(frame, body->outputs()[i + 1]); }};
  };
  const auto* limit = known(trip_count);
  int64_t iteration = 0;
  for (; limit && known(condition); ++iteration) {
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
  const bool endless = limit && limit->toInt() == INT64_MAX;
  const Val left = limit && !endless ? Val(c10::IValue(limit->toInt() - iteration)) : trip_count;
  Loop loop{node, frame, left, condition, iteration, {}, {}, {}, {}, {}};
  for (size_t i = 0; i < carried.size(); ++i) loop.carried.push_back(assign(i));
  record_loop(loop);
  for (size_t i = 0; i < carried.size(); ++i) set(frame, node->output(i), loop.joined[i]);
}

bool Interpreter::run_iteration(Loop& loop, int64_t iteration) {
  const torch::jit::Block* body = loop.node->blocks()[0];
  set(loop.frame, body->inputs()[0], c10::IValue(loop.first + iteration));
  run_nodes(body, loop.frame);
  return as_bool(get(loop.frame, body->outputs()[0]));
}

// Runs the loop in one world, without recording. False if it does not end within `most` iterations.
bool Interpreter::observe(Loop& loop, WorldId world, int64_t most) {
  const LaneScope scope(*this, {{world}});
  adopt(loop.trip_count);
  adopt(loop.condition);
  const bool imagined = world == loop.imagined;
  const int64_t limit = imagined ? 1 : as_int(loop.trip_count, 0).value_or(INT64_MAX);
  bool go_on = imagined || as_bool(loop.condition);
  const Observation observation(*this);
  Loop::Run run{world, {}, {}, {}, 0};
  for (const Carried& carried : loop.carried) {
    adopt(carried.initial);
    carried.set(snapshot(carried.initial, worlds_));
  }
  std::vector<Val> now;
  for (const Carried& carried : loop.carried) now.push_back(snapshot(carried.initial, worlds_));
  for (; go_on && run.iterations < limit; ++run.iterations) {
    if (run.iterations == most) return false;
    if (run.before.size() < 2) run.before.push_back(now);
    run.last_but_one = now;
    go_on = run_iteration(loop, run.iterations);
    now.clear();
    for (const Carried& carried : loop.carried) now.push_back(snapshot(carried.get(), worlds_));
    for (size_t i = 0; i < loop.carried.size(); ++i) loop.carried[i].set(loop.carried[i].get());
  }
  run.after = now;
  loop.runs.push_back(std::move(run));
  return true;
}

void Interpreter::observe(Loop& loop) {
  int64_t longest = 0;
  for (size_t lane = 0; lane < lanes_; ++lane) {
    // Numbers that a what-if makes up may keep a loop going for ever.
    const int64_t most = is_what_if(lane) ? 2 * longest + 8 : kMaxObserved;
    std::string why = place_of(loop.node, loop.frame);
    try {
      if (observe(loop, worlds_->ids[lane], most)) {
        longest = std::max(longest, loop.runs.back().iterations);
        continue;
      }
    } catch (const Contradiction& contradiction) {
      why = contradiction.why;
    }
    if (!is_what_if(lane)) throw Error(ErrorKind::usage, "a loop does not end " + why);
    drop_what_ifs(why);
    std::erase_if(loop.runs, [&](const Loop::Run& run) {
      return world_tree_.kind(run.world) != WorldKind::real;
    });
    return;
  }
}

// What the body changes outside itself is carried too. Runs the loop once to see.
void Interpreter::find_carried(Loop& loop) {
  Journal effects;
  Attributes changed;
  for (WorldId world : worlds_->ids) {
    const LaneScope scope(*this, {{world}});
    adopt(loop.trip_count);
    adopt(loop.condition);
    const bool runs = as_bool(loop.condition) && as_int(loop.trip_count, 0).value_or(1) >= 1;
    if (!runs && world != loop.imagined) continue;
    Observation observation(*this);
    for (const Carried& carried : loop.carried) {
      adopt(carried.initial);
      carried.set(carried.initial);
    }
    try {
      run_iteration(loop, 0);
    } catch (const Contradiction&) {
      continue;
    }
    changed = attributes_;
    effects = observation.trial.end();
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
  for (const auto& entry : effects.dicts) {
    loop.carried.push_back({Val(entry.first),
                            [this, dict = entry.first](Val val) {
                              const auto& from = std::get<std::shared_ptr<DictVal>>(val);
                              if (from == dict) return;
                              if (!journals_.empty()) journals_.back()->save(dict);
                              dict->entries = from->entries;
                            },
                            [dict = entry.first] { return Val(dict); }});
  }
  for (const auto& [slot, value] : changed) {
    if (!exists_outside(slot)) continue;
    const Val before = attribute(slot);
    if (before == value) continue;
    loop.carried.push_back({before,
                            [this, slot = slot](Val val) { attributes_[slot] = std::move(val); },
                            [this, slot = slot] { return attributes_[slot]; }});
  }
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
  const Recorder::Unseen unseen(recorder_, loop.runs[0].iterations == 0);
  Trial trial(*this, body);
  auto iteration = std::make_shared<SymbolicNumber>();
  iteration->lanes = iterations;
  iteration->worlds = worlds_;
  iteration->value = recorder_.number_value(iterations);
  recorder_.program().values[iteration->value].size.reset();  // any number of iterations
  body.inputs.push_back(iteration->value);
  if (loop.first > 0) {
    const ValueId counted = iteration->value;
    for (auto& lane : iteration->lanes) lane = lane.toInt() + loop.first;
    iteration->value = recorder_.number_value(iteration->lanes);
    recorder_.program().values[iteration->value].size.reset();
    recorder_.emit({recorder_.schema("aten::add.int", {"a", "b"}),
                    {ValueRef{counted}, loop.first},
                    {iteration->value},
                    origin_,
                    {}});
  }
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
}

// What if a loop that runs no iteration in any example ran one?
void Interpreter::imagine_iteration(Loop& loop) {
  WorldSet more = *worlds_;
  loop.imagined = world_tree_.add_child(more.ids[0], WorldKind::other_path);
  more.ids.push_back(*loop.imagined);
  enter(std::make_shared<const WorldSet>(std::move(more)));
  loop.runs.clear();
  find_carried(loop);
  observe(loop);
}

void Interpreter::record_loop(Loop& loop) {
  const OriginId own = origin_ = origin_of(loop.node, loop.frame);
  find_carried(loop);
  observe(loop);
  const auto ever = [&] {
    return std::any_of(loop.runs.begin(), loop.runs.end(),
                       [](const Loop::Run& run) { return run.iterations > 0; });
  };
  if (!ever() && observing_ > 0) {  // in this world; there may be others
    for (const Carried& carried : loop.carried) loop.joined.push_back(carried.initial);
    return;
  }
  if (!ever()) imagine_iteration(loop);
  if (!ever()) {
    throw Error(ErrorKind::unsupported,
                fmt::format("prim::Loop {}: it runs no iteration in any example, and what one "
                            "would do contradicts the examples",
                            place_of(loop.node, loop.frame)));
  }
  Block body;
  record_body(loop, body);
  origin_ = own;  // again, after those of the body

  Op op{recorder_.schema("prim::Loop", {"max_trip_count", "condition"}), {}, {}, origin_, {}};
  const auto limit = known(loop.trip_count);
  const bool unlimited = limit && (limit->isNone() || limit->toInt() == INT64_MAX);
  op.arguments = {unlimited ? Argument(std::monostate{}) : argument(loop.trip_count),
                  argument(loop.condition)};
  std::vector<ValueId> initial;
  for (size_t i = 0; i < loop.carried.size(); ++i) {
    adopt(loop.carried[i].initial);
    flatten(loop.carried[i].initial, loop.joined[i], initial);
  }
  for (ValueId value : initial) op.arguments.emplace_back(ValueRef{value});
  op.blocks.push_back(std::move(body));
  finish_loop(loop, std::move(op));
}

// The values after the loop. Where their shapes change from one iteration to the next there is from
// here on a world in which the loop ran once less.
void Interpreter::finish_loop(Loop& loop, Op op) {
  bool changes = false;
  const auto shapes = [](const Val& val) {
    std::vector<std::vector<int64_t>> sizes;
    const auto collect = [&](const auto& self, const Val& at) -> void {
      if (const auto* cell = get_if<TensorCell>(at))
        sizes.push_back((*cell)->lanes[0].sizes().vec());
      if (const auto* list = get_if<ListVal>(at)) {
        sizes.push_back({static_cast<int64_t>(in_lane(at, 0).toListRef().size())});
        if (!(*list)->sequence)
          for (const Val& element : (*list)->elements) self(self, element);
      }
      if (const auto* tuple = get_if<TupleVal>(at)) {
        for (const Val& element : (*tuple)->elements) self(self, element);
      }
      if (const auto* dict = get_if<DictVal>(at)) {
        for (const auto& [key, value] : (*dict)->entries) self(self, value);
      }
      if (const auto* optional = get_if<OptionalVal>(at)) self(self, (*optional)->value);
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
