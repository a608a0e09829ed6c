// Branches and loops. On known conditions they vanish; on symbolic ones they become blocks of the
// program. Both branches of an If are walked, and what they change outside is merged like their
// results.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/frontend/merging.h"
#include "exporter/frontend/trial.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

bool always_raises(const torch::jit::Block* block) {
  for (Node* node : const_cast<torch::jit::Block*>(block)->nodes()) {
    if (node->kind() == c10::prim::RaiseException) return true;
  }
  return false;
}

}  // namespace

// While a branch is walked whose condition is whether something is given: what is given there is
// not optional, what is not is None.
class Interpreter::Refined {
 public:
  Refined(Frame& frame, const std::shared_ptr<SymbolicNumber>& condition, bool holds)
      : frame_(frame) {
    const bool negated = condition->negated_from != nullptr;
    const auto& given = negated ? condition->negated_from : condition;
    for (auto& [name, val] : frame.values) {
      const auto* optional = get_if<OptionalVal>(val);
      if (optional == nullptr || (*optional)->given != given || (*optional)->absent) continue;
      before_.emplace_back(name, val);
      val = holds != negated ? Val((*optional)->value) : Val(c10::IValue());
    }
  }
  ~Refined() {
    for (auto& [name, val] : before_) frame_.values[name] = std::move(val);
  }
  Refined(const Refined&) = delete;
  Refined& operator=(const Refined&) = delete;

 private:
  Frame& frame_;
  std::vector<std::pair<const torch::jit::Value*, Val>> before_;
};

void Interpreter::walk_branch(const BranchBody& body, Branch& branch) {
  Trial trial(*this, branch.block);
  try {
    branch.outputs = body();
    for (const Val& output : branch.outputs) {
      if (const auto* cell = get_if<TensorCell>(output)) current(*cell);
    }
    for (size_t i = 0; i < trial.journal().cells.size(); ++i) {
      if (trial.journal().cells[i].written) current(trial.journal().cells[i].cell);
    }
  } catch (const Error& error) {
    branch.failure = error;
  }
  branch.attributes = attributes_;
  branch.journal = trial.end();
}

// Tensors, lists, dicts and attributes from outside that either branch changed.
void Interpreter::merge_effects(Merging& merging) {
  Branch &then_branch = merging.branches[0], &else_branch = merging.branches[1];
  Journal* journals[] = {&then_branch.journal, &else_branch.journal};
  std::vector<std::shared_ptr<TensorCell>> roots;  // writing to what is viewed reaches all views
  std::unordered_set<std::shared_ptr<TensorCell>> known_roots;
  for (const Journal* journal : journals) {
    for (const auto& entry : journal->cells) {
      if (!entry.written || entry.state.parent) continue;
      if (known_roots.insert(entry.cell).second) roots.push_back(entry.cell);
    }
  }
  for (const auto& root : roots) {
    const auto left_by = [&](const Journal& journal) {
      const Journal::Cell* entry = journal.find(root);
      return entry != nullptr ? entry->state.value : root->value;
    };
    const ValueId output = recorder_.tensor_value(root->lanes);
    merging.add(left_by(*journals[0]), left_by(*journals[1]), output);
    write(root, output, true);
  }
  for (size_t lane = 0; lane < lanes_; ++lane)
    journals[merging.conditions[lane] ? 0 : 1]->redo_data(worlds_->ids[lane]);

  for (Journal* journal : journals) {
    for (const auto& [list, state] : journal->lists) {
      const auto left_by = [&, wanted = list](const Journal& by) {
        const ListVal* left = by.find(wanted);
        return Val(std::make_shared<ListVal>(left != nullptr ? *left : *wanted));
      };
      const Val merged = merge(left_by(*journals[0]), left_by(*journals[1]), merging);
      if (!journals_.empty()) journals_.back()->save(list);
      *list = *std::get<std::shared_ptr<ListVal>>(merged);
    }
    for (const auto& [dict, state] : journal->dicts) {
      const auto left_by = [&, wanted = dict](const Journal& by) {
        DictVal left = *wanted;
        for (const auto& [other, entries] : by.dicts) {
          if (other == wanted) left.entries = entries;
        }
        return left;
      };
      const Val merged = merge_dicts(left_by(*journals[0]), left_by(*journals[1]), merging);
      if (!journals_.empty()) journals_.back()->save(dict);
      dict->entries = std::get<std::shared_ptr<DictVal>>(merged)->entries;
    }
  }
  const auto merge_slot = [&](const Attributes::key_type& slot) {
    if (!exists_outside(slot)) return;
    const auto left_by = [&](const Branch& branch) {
      const auto found = branch.attributes.find(slot);
      return found != branch.attributes.end() ? found->second : attribute(slot);
    };
    const Val a = left_by(then_branch), b = left_by(else_branch);
    if (!same(a, b)) attributes_[slot] = merge(a, b, merging);
  };
  for (const auto& [slot, value] : then_branch.attributes) merge_slot(slot);
  for (const auto& [slot, value] : else_branch.attributes) {
    if (!then_branch.attributes.contains(slot)) merge_slot(slot);
  }
}

void Interpreter::run_if(Node* node, Frame& frame) {
  const Val condition = get(frame, node->input(0));
  const auto walk = [&](size_t index) {
    const torch::jit::Block* block = node->blocks()[index];
    run_nodes(block, frame);
    std::vector<Val> outputs;
    for (const auto* output : block->outputs()) outputs.push_back(get(frame, output));
    return outputs;
  };
  const auto leave = [&](const std::vector<Val>& outputs) {
    for (size_t i = 0; i < outputs.size(); ++i) set(frame, node->output(i), outputs[i]);
  };
  if (const auto* value = known(condition)) return leave(walk(value->toBool() ? 0 : 1));
  const auto& symbol = std::get<std::shared_ptr<SymbolicNumber>>(condition);
  const auto walk_refined = [&](size_t index) {
    const Refined refined(frame, symbol, index == 0);
    return walk(index);
  };
  for (size_t i = 0; i < 2; ++i) {
    if (always_raises(node->blocks()[i])) return leave(walk_refined(1 - i));
  }
  leave(either(node, frame, symbol,
               {[&] { return walk_refined(0); }, [&] { return walk_refined(1); }}));
}

void Interpreter::run_with_optional(Node* node, const std::vector<Val>& inputs, size_t index,
                                    Frame& frame) {
  const auto& optional = std::get<std::shared_ptr<OptionalVal>>(inputs[index]);
  const auto run = [&](const Val& argument) {
    std::vector<Val> decided = inputs;
    decided[index] = argument;
    run_operator(node, std::move(decided), frame);
    std::vector<Val> outputs;
    for (const auto* output : node->outputs()) outputs.push_back(get(frame, output));
    return outputs;
  };
  const std::vector<Val> outputs =
      either(node, frame, optional->given,
             {[&] { return run(optional->value); }, [&] { return run(c10::IValue()); }});
  for (size_t i = 0; i < outputs.size(); ++i) set(frame, node->output(i), outputs[i]);
}

std::vector<Val> Interpreter::either(Node* node, Frame& frame,
                                     const std::shared_ptr<SymbolicNumber>& condition,
                                     const std::array<BranchBody, 2>& bodies) {
  std::vector<bool> conditions;
  for (const auto& lane : condition->lanes) conditions.push_back(lane.toBool());
  const bool agree = std::equal(conditions.begin() + 1, conditions.end(), conditions.begin());
  Branch branches[2];
  const size_t taken = conditions[0] ? 0 : 1;
  for (size_t i = 0; i < 2; ++i) {
    const Recorder::Unseen unseen(recorder_, i != taken);
    walk_branch(bodies[i], branches[i]);
  }
  const auto assume = [&](const std::string& why) {
    if (observing_ == 0) {
      recorder_.program().warnings.push_back(
          fmt::format("the condition {} is taken to be always {}, as in the examples: {}",
                      place_of(node, frame), taken == 0, why));
    }
    return bodies[taken]();
  };
  if (branches[taken].failure) throw *branches[taken].failure;
  if (branches[1 - taken].failure) {
    if (!agree) throw *branches[1 - taken].failure;
    return assume(branches[1 - taken].failure->what());
  }

  // Merging changes the world outside only when all of it has succeeded.
  Journal attempt;
  journals_.push_back(&attempt);
  const Attributes attributes = attributes_;
  Merging merging{branches, std::move(conditions), {}, {}, {}};
  std::vector<Val> results;
  std::optional<std::string> problem;
  try {
    for (size_t i = 0; i < branches[0].outputs.size(); ++i) {
      results.push_back(merge(branches[0].outputs[i], branches[1].outputs[i], merging));
    }
    merge_effects(merging);
  } catch (const CannotMerge& reason) {
    problem = reason.why;
  }
  journals_.pop_back();
  if (problem) {
    attempt.undo();
    attributes_ = attributes;
    if (agree) return assume("its branches give " + *problem);
    throw Error(ErrorKind::unsupported,
                fmt::format("prim::If {}: its branches give {}", place_of(node, frame), *problem));
  }
  if (!journals_.empty()) {
    journals_.back()->take_over(attempt);
    for (size_t lane = 0; lane < lanes_; ++lane) {
      journals_.back()->take_over_data(branches[merging.conditions[lane] ? 0 : 1].journal,
                                       worlds_->ids[lane]);
    }
  }
  for (const auto& [then_value, else_value] : merging.pairs) {
    branches[0].block.outputs.push_back(then_value);
    branches[1].block.outputs.push_back(else_value);
  }
  if (!merging.pairs.empty()) {
    Op op{recorder_.schema("prim::If", {"condition"}),
          {ValueRef{condition->value}},
          merging.outputs,
          origin_of(node, frame),
          {}};
    op.blocks.push_back(std::move(branches[0].block));
    op.blocks.push_back(std::move(branches[1].block));
    recorder_.emit(std::move(op));
  }
  if (!merging.differing.empty() && observing_ == 0) add_other_path(merging);
  return results;
}

// Values whose shape or length depends on the branch: from here on there is a world in which the
// other was taken.
void Interpreter::add_other_path(const Merging& merging) {
  WorldSet more = *worlds_;
  more.ids.push_back(world_tree_.add_child(more.ids[0], WorldKind::other_path));
  enter(std::make_shared<const WorldSet>(std::move(more)));
  for (const auto& [val, other] : merging.differing) {
    if (const auto* cell = get_if<TensorCell>(val)) {
      (*cell)->lanes.push_back(other.toTensor());
      (*cell)->worlds = worlds_;
    } else {
      const auto& sequence = std::get<std::shared_ptr<ListVal>>(val)->sequence;
      sequence->lanes.push_back(other);
      sequence->worlds = worlds_;
    }
  }
}

}  // namespace modelexport::frontend
