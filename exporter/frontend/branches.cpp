// Branches and loops. On known conditions they vanish; on symbolic ones they become blocks of the
// program. Both branches of an If are walked, and what they change outside is merged like their
// results.
#include <fmt/format.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/scalar_type.h"
#include "exporter/frontend/trial.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

// Two branches whose results no ONNX value can stand for: None and a tensor, lists of other
// lengths...
struct CannotMerge {
  std::string why;
};

bool always_raises(const torch::jit::Block* block) {
  for (Node* node : const_cast<torch::jit::Block*>(block)->nodes()) {
    if (node->kind() == c10::prim::RaiseException) return true;
  }
  return false;
}

bool same(const Val& a, const Val& b) {
  const auto *x = known(a), *y = known(b);
  if (x && y)
    return x->is(*y) || (x->isScalar() && y->isScalar() && *x == *y) ||
           (x->isString() && y->isString() && *x == *y);
  return a == b;
}

}  // namespace

struct Interpreter::Branch {
  Block block;
  Journal journal;
  std::vector<Val> outputs;
  Attributes attributes;  // as the branch leaves them
  std::optional<Error> failure;
};

void Interpreter::walk_branch(const torch::jit::Block* block, Frame& frame, Branch& branch) {
  Trial trial(*this, branch.block);
  try {
    run_nodes(block, frame);
    for (const auto* output : block->outputs()) {
      branch.outputs.push_back(get(frame, output));
      if (const auto* cell = get_if<TensorCell>(branch.outputs.back())) current(*cell);
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

Val Interpreter::merge(const Val& then_val, const Val& else_val,
                       const std::vector<bool>& conditions,
                       std::vector<std::pair<ValueId, ValueId>>& pairs,
                       std::vector<ValueId>& outputs) {
  if (same(then_val, else_val)) return then_val;
  adopt(then_val);
  adopt(else_val);
  if (is_unset(then_val)) return merge(placeholder(else_val), else_val, conditions, pairs, outputs);
  if (is_unset(else_val)) return merge(then_val, placeholder(then_val), conditions, pairs, outputs);
  const auto is_number = [](const Val& val) {
    const auto* value = known(val);
    return get_if<SymbolicNumber>(val) || (value != nullptr && value->isScalar());
  };
  const auto merge_all = [&](const std::vector<Val>& a, const std::vector<Val>& b) {
    if (a.size() != b.size()) throw CannotMerge{"lists of different lengths"};
    std::vector<Val> result;
    for (size_t i = 0; i < a.size(); ++i) {
      result.push_back(merge(a[i], b[i], conditions, pairs, outputs));
    }
    return result;
  };
  if (get_if<TensorCell>(then_val) && get_if<TensorCell>(else_val)) {
    const auto& a = *std::get<std::shared_ptr<TensorCell>>(then_val);
    const auto& b = *std::get<std::shared_ptr<TensorCell>>(else_val);
    if (a.lanes[0].dim() != b.lanes[0].dim()) throw CannotMerge{"tensors of different ranks"};
    if (a.lanes[0].scalar_type() != b.lanes[0].scalar_type())
      throw CannotMerge{"tensors of different dtypes"};
    auto both = a.lanes;
    both.insert(both.end(), b.lanes.begin(), b.lanes.end());
    auto cell = std::make_shared<TensorCell>();
    cell->value = recorder_.tensor_value(both);
    cell->base = std::make_shared<AliasBase>();
    for (size_t lane = 0; lane < lanes_; ++lane) {
      cell->lanes.push_back(conditions[lane] ? a.lanes[lane] : b.lanes[lane]);
    }
    cell->worlds = worlds_;
    pairs.emplace_back(a.value, b.value);
    outputs.push_back(cell->value);
    if (a.lanes[0].sizes() != b.lanes[0].sizes()) {
      differing_.push_back({cell, conditions[0] ? b.lanes[0] : a.lanes[0]});
    }
    return cell;
  }
  if (is_number(then_val) && is_number(else_val)) {
    auto number = std::make_shared<SymbolicNumber>();
    std::vector<c10::IValue> both;
    for (const Val* val : {&then_val, &else_val}) {
      for (size_t lane = 0; lane < lanes_; ++lane) both.push_back(in_lane(*val, lane));
    }
    if (both.front().tagKind() != both.back().tagKind())
      throw CannotMerge{"numbers of different types"};
    for (size_t lane = 0; lane < lanes_; ++lane) {
      number->lanes.push_back(both[conditions[lane] ? lane : lane + lanes_]);
    }
    number->worlds = worlds_;
    number->value = recorder_.number_value(both);
    pairs.emplace_back(value_of(then_val), value_of(else_val));
    outputs.push_back(number->value);
    return number;
  }
  if (const auto* a = get_if<ListVal>(then_val), *b = get_if<ListVal>(else_val); a && b) {
    if ((*a)->sequence || (*b)->sequence) throw CannotMerge{"lists of different lengths"};
    return std::make_shared<ListVal>(
        ListVal{(*a)->element_type, merge_all((*a)->elements, (*b)->elements), nullptr});
  }
  if (const auto* a = get_if<TupleVal>(then_val), *b = get_if<TupleVal>(else_val); a && b) {
    return std::make_shared<TupleVal>(
        TupleVal{(*a)->type, merge_all((*a)->elements, (*b)->elements)});
  }
  if (const auto* a = get_if<ModuleRef>(then_val), *b = get_if<ModuleRef>(else_val); a && b) {
    if ((*a)->object == (*b)->object) return then_val;
  }
  if (const auto* a = get_if<DictVal>(then_val), *b = get_if<DictVal>(else_val); a && b) {
    auto dict = std::make_shared<DictVal>(**a);
    if (dict->entries.size() != (*b)->entries.size())
      throw CannotMerge{"dicts with different keys"};
    for (size_t i = 0; i < dict->entries.size(); ++i) {
      auto& [key, value] = dict->entries[i];
      const auto& [other_key, other_value] = (*b)->entries[i];
      if (!same(key, other_key)) throw CannotMerge{"dicts with different keys"};
      value = merge(value, other_value, conditions, pairs, outputs);
    }
    return dict;
  }
  throw CannotMerge{"values of different types"};
}

// What a branch that leaves early gives in place of `other`, which nobody will read.
Val Interpreter::placeholder(const Val& other) {
  if (const auto* cell = get_if<TensorCell>(other)) {
    auto copy = std::make_shared<TensorCell>(**cell);
    const at::Tensor& first = copy->lanes[0];
    copy->parent = nullptr;
    copy->value = recorder_.tensor_value(copy->lanes);
    recorder_.set_constant(copy->value,
                           at::zeros(std::vector<int64_t>(first.dim(), 1), first.options()));
    return copy;
  }
  if (const auto* number = get_if<SymbolicNumber>(other)) return (*number)->lanes[0];
  if (const auto* list = get_if<ListVal>(other)) {
    if ((*list)->sequence) throw CannotMerge{"a list of unknown length and nothing"};
    auto copy = std::make_shared<ListVal>(**list);
    for (Val& element : copy->elements) element = placeholder(element);
    return copy;
  }
  if (const auto* tuple = get_if<TupleVal>(other)) {
    auto copy = std::make_shared<TupleVal>(**tuple);
    for (Val& element : copy->elements) element = placeholder(element);
    return copy;
  }
  return other;
}

// The program value of a number; known ones become constants.
ValueId Interpreter::value_of(const Val& number) {
  if (const auto* symbolic = get_if<SymbolicNumber>(number)) return (*symbolic)->value;
  const ValueId value = recorder_.number_value({*known(number)});
  recorder_.set_constant(
      value, at::scalar_tensor(known(number)->toScalar(),
                               scalar_type_of(recorder_.program().values[value].dtype)));
  return value;
}

// Tensors, lists, dicts and attributes from outside that either branch changed.
void Interpreter::merge_effects(Branch& then_branch, Branch& else_branch,
                                const std::vector<bool>& conditions,
                                std::vector<std::pair<ValueId, ValueId>>& pairs,
                                std::vector<ValueId>& outputs) {
  Journal* journals[] = {&then_branch.journal, &else_branch.journal};
  std::vector<std::shared_ptr<TensorCell>> roots;  // writing to what is viewed reaches all views
  for (const Journal* journal : journals) {
    for (const auto& entry : journal->cells) {
      if (!entry.written || entry.state.parent) continue;
      if (std::find(roots.begin(), roots.end(), entry.cell) == roots.end())
        roots.push_back(entry.cell);
    }
  }
  for (const auto& root : roots) {
    const auto left_by = [&](const Journal& journal) {
      for (const auto& entry : journal.cells) {
        if (entry.cell == root) return entry.state.value;
      }
      return root->value;
    };
    pairs.emplace_back(left_by(*journals[0]), left_by(*journals[1]));
    outputs.push_back(recorder_.tensor_value(root->lanes));
    write(root, outputs.back(), true);
  }
  for (size_t lane = 0; lane < lanes_; ++lane)
    journals[conditions[lane] ? 0 : 1]->redo_data(worlds_->ids[lane]);

  for (Journal* journal : journals) {
    for (const auto& [list, state] : journal->lists) {
      const auto left_by = [&, wanted = list](const Journal& by) {
        for (const auto& [other, left] : by.lists) {
          if (other == wanted) return Val(std::make_shared<ListVal>(left));
        }
        return Val(std::make_shared<ListVal>(*wanted));
      };
      const Val merged =
          merge(left_by(*journals[0]), left_by(*journals[1]), conditions, pairs, outputs);
      if (!journals_.empty()) journals_.back()->save(list);
      *list = *std::get<std::shared_ptr<ListVal>>(merged);
    }
    if (!journal->dicts.empty()) throw CannotMerge{"a dict changed in one branch"};
  }
  for (const auto& [slot, value] : then_branch.attributes) {
    const auto other = else_branch.attributes.find(slot);
    if (other == else_branch.attributes.end() || same(value, other->second)) continue;
    attributes_[slot] = merge(value, other->second, conditions, pairs, outputs);
  }
}

void Interpreter::run_if(Node* node, Frame& frame) {
  const Val condition = get(frame, node->input(0));
  const auto take = [&](const torch::jit::Block* block) {
    run_nodes(block, frame);
    for (size_t i = 0; i < block->outputs().size(); ++i) {
      set(frame, node->output(i), get(frame, block->outputs()[i]));
    }
  };
  if (const auto* value = known(condition)) return take(node->blocks()[value->toBool() ? 0 : 1]);
  for (size_t i = 0; i < 2; ++i) {
    if (always_raises(node->blocks()[i])) return take(node->blocks()[1 - i]);
  }

  const auto& symbol = std::get<std::shared_ptr<SymbolicNumber>>(condition);
  std::vector<bool> conditions;
  for (const auto& lane : symbol->lanes) conditions.push_back(lane.toBool());
  const bool agree = std::equal(conditions.begin() + 1, conditions.end(), conditions.begin());
  Branch branches[2];
  for (size_t i = 0; i < 2; ++i) walk_branch(node->blocks()[i], frame, branches[i]);
  const size_t taken = conditions[0] ? 0 : 1;
  const auto assume = [&](const std::string& why) {
    recorder_.program().warnings.push_back(
        fmt::format("the condition {} is taken to be always {}, as in the examples: {}",
                    place_of(node, frame), taken == 0, why));
    take(node->blocks()[taken]);
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
  std::vector<std::pair<ValueId, ValueId>> pairs;
  std::vector<ValueId> outputs;
  std::vector<Val> results;
  std::optional<std::string> problem;
  differing_.clear();
  try {
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      results.push_back(
          merge(branches[0].outputs[i], branches[1].outputs[i], conditions, pairs, outputs));
    }
    merge_effects(branches[0], branches[1], conditions, pairs, outputs);
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
    for (const auto& entry : attempt.cells) journals_.back()->save(entry.cell, entry.written);
  }
  for (const auto& [then_value, else_value] : pairs) {
    branches[0].block.outputs.push_back(then_value);
    branches[1].block.outputs.push_back(else_value);
  }
  if (!pairs.empty()) {
    Op op{recorder_.schema("prim::If", {"condition"}),
          {ValueRef{symbol->value}},
          outputs,
          origin_of(node, frame),
          {}};
    op.blocks.push_back(std::move(branches[0].block));
    op.blocks.push_back(std::move(branches[1].block));
    recorder_.emit(std::move(op));
  }
  for (size_t i = 0; i < results.size(); ++i) set(frame, node->output(i), results[i]);
  if (!differing_.empty() && observing_ == 0) add_other_path();
}

// Tensors whose shape depends on the branch: from here on there is a world in which the other was
// taken.
void Interpreter::add_other_path() {
  WorldSet more = *worlds_;
  more.ids.push_back(world_tree_.add_child(more.ids[0], WorldKind::other_path));
  enter(std::make_shared<const WorldSet>(std::move(more)));
  for (const auto& [cell, other] : differing_) {
    cell->lanes.push_back(other);
    cell->worlds = worlds_;
  }
  differing_.clear();
}

}  // namespace modelexport::frontend
