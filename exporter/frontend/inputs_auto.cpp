#include "exporter/frontend/inputs_auto.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "exporter/error.h"
#include "exporter/frontend/inputs_trials.h"

namespace modelexport::frontend {
namespace {

// Changes worth trying for a dimension: most take any size; some only multiples of a patch or a
// block, and some are at their limit already (positions).
std::vector<int64_t> steps_for(int64_t size) {
  std::vector<int64_t> steps = {1};
  if (size > 1) steps.push_back(size);
  if (size > 2) steps.push_back(-1);
  if (size > 3) steps.push_back(-(size / 2));
  return steps;
}

bool find_step(Trials& trials, const Sizes& from, Move& move) {
  const DimRef& dim = move.dims.front();
  for (const int64_t step : steps_for(from[dim.input][dim.axis])) {
    move.step = step;
    if (trials.runs(from, move)) return true;
  }
  return false;
}

// Drops the dimensions (but the first) without which it still runs.
void minimize(Trials& trials, const Sizes& from, Move& move) {
  for (size_t i = move.dims.size() - 1; i > 0; --i) {
    Move fewer = move;
    fewer.dims.erase(fewer.dims.begin() + static_cast<std::ptrdiff_t>(i));
    if (trials.runs(from, fewer)) move = std::move(fewer);
  }
}

// `from` with all moves made, each by an amount of its own, so that no two dimensions of different
// moves have the same size, or one that is in `taken`, and that their differences change too.
Sizes spread(const Sizes& from, const std::vector<Move>& moves, std::set<int64_t> taken, bool far) {
  Sizes sizes = from;
  for (size_t i = 0; i < moves.size(); ++i) {
    const Move& move = moves[i];
    const bool doubling = far && std::abs(move.step) == 1;
    int64_t times = doubling ? int64_t{1} << std::min<size_t>(i, 5) : 1;
    Sizes next;
    for (int attempt = 0; attempt < 64; ++attempt, ++times) {
      next = sizes;
      apply(move, times * move.step, next);
      const bool positive = std::all_of(move.dims.begin(), move.dims.end(), [&](const DimRef& dim) {
        return next[dim.input][dim.axis] > 0;
      });
      if (!positive) {
        next = sizes;
        apply(move, move.step, next);
        break;
      }
      const bool fresh = std::none_of(move.dims.begin(), move.dims.end(), [&](const DimRef& dim) {
        return taken.contains(next[dim.input][dim.axis]);
      });
      if (fresh) break;
    }
    sizes = std::move(next);
    for (const DimRef& dim : move.dims) taken.insert(sizes[dim.input][dim.axis]);
  }
  return sizes;
}

std::set<int64_t> sizes_of(const c10::FunctionSchema& forward, const Examples& examples) {
  std::set<int64_t> all;
  for (const Example& example : examples.examples) {
    for (const FlatInput& input : flatten(forward, example)) {
      const std::vector<int64_t> sizes = sizes_of(input);
      all.insert(sizes.begin(), sizes.end());
    }
  }
  return all;
}

// Sizes at which all moves are made, if the module runs there.
std::optional<Sizes> run_spread(Trials& trials, const Sizes& from, const std::vector<Move>& moves,
                                const std::set<int64_t>& taken) {
  const Sizes far = spread(from, moves, taken, true);
  if (trials.runs(far)) return far;
  const Sizes near = spread(from, moves, taken, false);
  if (near != far && trials.runs(near)) return near;
  return std::nullopt;
}

const c10::FunctionSchema& forward_of(const torch::jit::Module& module) {
  return module.get_method("forward").function().getSchema();
}

// ---- --dynamic auto
// -----------------------------------------------------------------------------------

class AutoSearch {
 public:
  explicit AutoSearch(Trials& trials) : trials_(trials), from_(trials.base()) {}

  // The dimensions that can move, each with those that must move with it.
  std::vector<Move> find_moves() {
    leave_size_one();
    const std::vector<DimRef> dims = trials_.dims();
    for (const DimRef& dim : dims) {
      if (moved_.contains(dim)) continue;
      std::optional<Move> move = find_move(dim);
      if (!move) continue;
      minimize(trials_, from_, *move);
      moved_.insert(move->dims.begin(), move->dims.end());
      moves_.push_back(std::move(*move));
    }
    return moves_;
  }

  // Where `moves` start: the given sizes, except that the dimensions that move are not 1.
  Sizes from(const std::vector<Move>& moves) const {
    Sizes sizes = trials_.base();
    for (const Move& move : moves) {
      for (const DimRef& dim : move.dims) sizes[dim.input][dim.axis] = size(dim);
    }
    return sizes;
  }

 private:
  int64_t size(const DimRef& dim) const { return from_[dim.input][dim.axis]; }

  // Dimensions of size 1 broadcast, so that each of them seems to move alone. Start from other
  // sizes.
  void leave_size_one() {
    std::map<size_t, Move> by_axis;
    for (const DimRef& dim : trials_.dims()) {
      if (size(dim) == 1 && !trials_.is_number(dim)) by_axis[dim.axis].dims.push_back(dim);
    }
    std::set<int64_t> taken;
    for (const DimRef& dim : trials_.dims()) taken.insert(size(dim));
    for (const auto& [axis, move] : by_axis) {
      const Sizes sizes = spread(from_, {move}, taken, false);
      if (!trials_.runs(sizes)) continue;
      from_ = sizes;
      taken.insert(size(move.dims.front()));
    }
  }

  // `dim` first, then those that have its size, on the same axis or anywhere.
  std::vector<std::vector<DimRef>> sets_with(const DimRef& dim) const {
    std::vector<DimRef> same_axis = {dim}, same_size = {dim};
    for (const DimRef& other : trials_.dims()) {
      if (other == dim || moved_.contains(other) || size(other) != size(dim)) continue;
      if (other.axis == dim.axis) same_axis.push_back(other);
      same_size.push_back(other);
    }
    std::vector<std::vector<DimRef>> sets = {{dim}};
    if (same_axis.size() > 1) sets.push_back(same_axis);
    if (same_size.size() > same_axis.size()) sets.push_back(same_size);
    return sets;
  }

  std::optional<Move> find_move(const DimRef& dim) {
    const std::vector<std::vector<DimRef>> sets = sets_with(dim);
    for (const std::vector<DimRef>& set : sets) {
      Move move{set};
      if (find_step(trials_, from_, move)) return move;
    }
    // Two sizes may depend on each other: a mask is as long as past and present together.
    std::map<std::pair<size_t, int64_t>, std::vector<DimRef>> classes;
    for (const DimRef& other : trials_.dims()) classes[{other.axis, size(other)}].push_back(other);
    for (const std::vector<DimRef>& set : sets) {
      for (const auto& [key, others] : classes) {
        if (key.second == size(dim)) continue;
        Move move{set};
        move.dims.insert(move.dims.end(), others.begin(), others.end());
        if (trials_.runs(from_, move)) return move;
      }
    }
    return std::nullopt;
  }

  Trials& trials_;
  Sizes from_;
  std::vector<Move> moves_;
  std::set<DimRef> moved_;
};

}  // namespace

Examples find_dynamic_dims(const torch::jit::Module& module, Examples given, uint64_t seed,
                           const QuickTrial& quick_trial) {
  Trials trials(module, given, seed + 1, quick_trial);
  if (!trials.runs(trials.base())) {
    throw Error(ErrorKind::usage, fmt::format("the module raises on inputs {}: {}",
                                              trials.describe_at(trials.base()), trials.failure()));
  }
  AutoSearch search(trials);
  const std::vector<Move> moves = search.find_moves();
  if (moves.empty()) return given;

  const std::set<int64_t> taken = sizes_of(forward_of(module), given);
  std::optional<Sizes> sizes = run_spread(trials, search.from(moves), moves, taken);
  if (!sizes) {  // each runs alone, but not all together: keep as many as do
    std::vector<Move> kept;
    for (const Move& move : moves) {
      kept.push_back(move);
      const std::optional<Sizes> next = run_spread(trials, search.from(kept), kept, taken);
      if (next) {
        sizes = next;
      } else {
        kept.pop_back();
      }
    }
  }
  if (sizes) given.examples.push_back(trials.make(*sizes));
  return given;
}

Examples add_example_at_other_sizes(const torch::jit::Module& module, Examples given,
                                    const std::map<std::string, std::vector<DimRef>>& named,
                                    uint64_t seed, const QuickTrial& quick_trial) {
  Trials trials(module, given, seed + 1, quick_trial);
  const std::set<int64_t> taken = sizes_of(forward_of(module), given);
  std::vector<Move> moves;
  for (const auto& [name, dims] : named) moves.push_back({dims});
  std::optional<Sizes> sizes = run_spread(trials, trials.base(), moves, taken);
  if (!sizes) {
    size_t index = 0;
    for (const auto& [name, dims] : named) {
      if (find_step(trials, trials.base(), moves[index++])) continue;
      const std::string why = trials.failure();
      if (!trials.runs(trials.base())) break;
      const int64_t size = trials.base()[dims.front().input][dims.front().axis];
      if (trials.is_number(dims.front())) {
        throw Error(ErrorKind::usage,
                    fmt::format("'{}' cannot be an input: the module runs at {}={}, but at no "
                                "other value that was tried ({}); write {}={}, without a type",
                                name, name, size, why, name, size));
      }
      throw Error(ErrorKind::usage,
                  fmt::format("dimension '{}' is not dynamic: the module runs at {}={}, but at no "
                              "other size that was tried ({}); write {} in its place",
                              name, name, size, why, size));
    }
    sizes = run_spread(trials, trials.base(), moves, taken);
  }
  if (!sizes) {
    const bool base_runs = trials.runs(trials.base());
    const Sizes at = base_runs ? spread(trials.base(), moves, taken, false) : trials.base();
    if (base_runs) trials.runs(at);
    throw Error(ErrorKind::usage, fmt::format("the module raises on inputs {}: {}",
                                              trials.describe_at(at), trials.failure()));
  }
  given.examples.push_back(trials.make(*sizes));
  return given;
}

Examples add_example_that_separates(const torch::jit::Module& module, Examples given, uint64_t seed,
                                    const QuickTrial& quick_trial) {
  Trials trials(module, given, seed + 1, quick_trial);
  const std::vector<FlatInput> second = flatten(forward_of(module), given.examples.at(1));
  std::map<std::pair<int64_t, int64_t>, Move> groups;  // by the two sizes
  for (const DimRef& dim : trials.dims()) {
    const int64_t from = trials.base()[dim.input][dim.axis];
    const int64_t to = sizes_of(second[dim.input]).at(dim.axis);
    if (from == to) continue;
    Move& move = groups[{from, to}];
    move.dims.push_back(dim);
    move.step = to - from;
  }
  std::vector<Move> moves;
  for (auto& [sizes, group] : groups) {
    while (!group.dims.empty()) {
      Move move = group;
      minimize(trials, trials.base(), move);
      std::erase_if(group.dims, [&](const DimRef& dim) {
        return std::find(move.dims.begin(), move.dims.end(), dim) != move.dims.end();
      });
      moves.push_back(std::move(move));
    }
  }
  if (moves.empty()) return given;
  const std::set<int64_t> taken = sizes_of(forward_of(module), given);
  // Between the two sizes given if possible, otherwise beyond them.
  std::vector<Move> small = moves;
  for (Move& move : small) move.step = move.step > 0 ? 1 : -1;
  std::optional<Sizes> sizes = run_spread(trials, trials.base(), small, taken);
  if (!sizes) sizes = run_spread(trials, trials.base(), moves, taken);
  if (sizes) given.examples.push_back(trials.make(*sizes));
  return given;
}

}  // namespace modelexport::frontend
