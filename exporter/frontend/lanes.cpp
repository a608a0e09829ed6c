// The worlds that the lanes stand for (see worlds.h): taking values over into them, adding what-ifs
// where sizes depend on data, dropping those that contradict themselves.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "exporter/frontend/interpreter.h"
#include "exporter/frontend/lane_scope.h"

namespace modelexport::frontend {
namespace {

// One element less along `dim`; one more where that would leave nothing.
at::Tensor one_less(const at::Tensor& tensor, int64_t dim) {
  const int64_t size = tensor.size(dim);
  if (size > 1) return tensor.narrow(dim, 0, size - 1);
  if (size == 1) return at::cat({tensor, tensor}, dim);
  auto sizes = tensor.sizes().vec();
  sizes[dim] = 1;
  return at::zeros(sizes, tensor.options());
}

bool is_mask(const c10::IValue& index) {
  return index.isTensor() && index.toTensor().defined() &&
         (index.toTensor().scalar_type() == at::kBool ||
          index.toTensor().scalar_type() == at::kByte);
}

// The dimension of the result of aten::index that a mask gives rise to; -1 if there is no mask.
int64_t masked_dim(const c10::IValue& indices) {
  int64_t first = -1, last = -1, given = 0;
  bool any_mask = false;
  for (int64_t i = 0; const auto& index : indices.toListRef()) {
    if (index.isTensor() && index.toTensor().defined()) {
      if (first < 0) first = i;
      last = i;
      ++given;
    }
    any_mask |= is_mask(index);
    ++i;
  }
  if (!any_mask) return -1;
  return last - first + 1 == given ? first : 0;
}

// Along which dimension the results of an operator depend on what it finds in data: 0 for most, -1
// for none.
int64_t found_dim(const c10::FunctionSchema& schema, const c10::IValue& second_input) {
  static const std::unordered_set<std::string> kNames = {
      "aten::nonzero",       "aten::nonzero_numpy",      "aten::argwhere",
      "aten::masked_select", "aten::unique_consecutive", "aten::_unique",
      "aten::_unique2",      "aten::unique_dim",         "aten::unique_dim_consecutive",
      "aten::bincount",      "torchvision::nms"};
  if (kNames.contains(schema.name())) return 0;
  if (schema.name() == "aten::where" && schema.arguments().size() == 1) return 0;
  if (schema.name() == "aten::index") return masked_dim(second_input);
  return -1;
}

// An int taken from data, and so perhaps a size.
bool is_number_from_data(const c10::FunctionSchema& schema) {
  static const std::unordered_set<std::string> kNames = {
      "aten::item", "aten::Int", "aten::IntImplicit", "aten::ScalarImplicit",
      "aten::_local_scalar_dense"};
  return kNames.contains(schema.name());
}

c10::IValue vary(const c10::IValue& value, int64_t dim, int64_t elements) {
  if (value.isTensor() && value.toTensor().dim() > dim && value.toTensor().size(dim) == elements) {
    return one_less(value.toTensor(), dim);
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(one_less(tensor, dim));
    return list;
  }
  return value;
}

}  // namespace

void Interpreter::enter(Worlds worlds) {
  worlds_ = std::move(worlds);
  lanes_ = worlds_->ids.size();
  worlds_changed_ = true;
}

template <class Observed>
void Interpreter::adopt_lanes(const std::shared_ptr<Observed>& observed) {
  if (observed->worlds == worlds_) return;
  if (!lane_scopes_.empty()) {
    lane_scopes_.back()->restore.push_back(
        [observed, lanes = observed->lanes, worlds = observed->worlds] {
          observed->lanes = lanes;
          observed->worlds = worlds;
        });
  }
  decltype(observed->lanes) lanes;
  for (WorldId id : worlds_->ids) {
    lanes.push_back(observed->lanes[world_tree_.lane(*observed->worlds, id)]);
  }
  observed->lanes = std::move(lanes);
  observed->worlds = worlds_;
}

void Interpreter::adopt(const Val& val) {
  if (!worlds_changed_) return;
  if (const auto* cell = get_if<TensorCell>(val)) {
    adopt_lanes(*cell);
    if ((*cell)->parent) adopt(Val((*cell)->parent));
  } else if (const auto* number = get_if<SymbolicNumber>(val)) {
    adopt_lanes(*number);
  } else if (const auto* list = get_if<ListVal>(val)) {
    if ((*list)->sequence) adopt_lanes((*list)->sequence);
    for (const Val& element : (*list)->elements) adopt(element);
  } else if (const auto* tuple = get_if<TupleVal>(val)) {
    for (const Val& element : (*tuple)->elements) adopt(element);
  } else if (const auto* dict = get_if<DictVal>(val)) {
    for (const auto& [key, value] : (*dict)->entries) adopt(value);
  } else if (const auto* optional = get_if<OptionalVal>(val)) {
    adopt_lanes((*optional)->given);
    adopt((*optional)->value);
  }
}

bool Interpreter::are_what_ifs_from(size_t lane) const {
  while (lane < lanes_ && is_what_if(lane)) ++lane;
  return lane == lanes_;
}

void Interpreter::keep_real_lanes(std::vector<c10::IValue>& results) const {
  for (size_t lane = results.size(); lane-- > 0;) {
    if (is_what_if(lane)) results.erase(results.begin() + static_cast<std::ptrdiff_t>(lane));
  }
}

void Interpreter::drop_what_ifs(const std::string& why) {
  WorldSet left;
  for (size_t lane = 0; lane < lanes_; ++lane) {
    if (!is_what_if(lane)) left.ids.push_back(worlds_->ids[lane]);
  }
  if (left.ids.empty()) throw Contradiction{why};
  enter(std::make_shared<const WorldSet>(std::move(left)));
  recorder_.program().warnings.push_back(
      "sizes that depend on data or on the path taken may be fixed as they are in the examples, "
      "since others do not fit together " +
      why);
}

void Interpreter::vary_found(const c10::FunctionSchema& schema, std::vector<Val>& inputs,
                             std::vector<std::vector<c10::IValue>>& lanes) {
  const bool number = is_number_from_data(schema) && lanes[0][0].isInt();
  const int64_t dim =
      number ? -1 : found_dim(schema, inputs.size() > 1 ? in_lane(inputs[1], 0) : c10::IValue());
  if (!number && dim < 0) return;
  if (number) {
    std::vector<int64_t> sizes;
    for (const auto& lane : lanes[0]) sizes.push_back(lane.toInt());
    const bool varies =
        std::adjacent_find(sizes.begin(), sizes.end(), std::not_equal_to<>()) != sizes.end();
    if (varies || recorder_.is_symbol(sizes)) return;  // a size of an input, or different already
  }
  const auto finds_less = [&](size_t lane) {
    return world_tree_.kind(worlds_->ids[lane]) == WorldKind::found_less;
  };
  bool any = false;
  for (size_t lane = 0; lane < lanes_; ++lane) any |= finds_less(lane);
  if (!any && observing_ > 0) return;
  if (!any) {
    WorldSet more = *worlds_;
    more.ids.push_back(world_tree_.add_child(worlds_->ids[0], WorldKind::found_less));
    enter(std::make_shared<const WorldSet>(std::move(more)));
    for (const Val& input : inputs) adopt(input);
    for (auto& output : lanes) output.push_back(output[0]);
  }
  if (number) return vary_number(std::get<ValueRef>(argument(inputs[0])).id, finds_less, lanes[0]);
  for (size_t lane = 0; lane < lanes_; ++lane) {
    if (!finds_less(lane)) continue;
    const auto& first = lanes[0][lane];
    const int64_t elements = first.isTensor() ? first.toTensor().size(dim) : 0;
    // A loop that goes on until nothing is found would never end.
    if (elements == 0 && observing_ > 0) continue;
    for (size_t output = lanes.size(); output-- > 0;) {
      lanes[output][lane] = vary(lanes[output][lane], dim, elements);
    }
  }
}

// By more than numbers from other tensors that are equal in the examples: it is not the same size.
void Interpreter::vary_number(ValueId tensor, const std::function<bool(size_t)>& finds_less,
                              std::vector<c10::IValue>& lanes) {
  for (int64_t by = 1;; ++by) {
    std::vector<int64_t> varied;
    for (size_t lane = 0; lane < lanes_; ++lane) {
      const int64_t value = lanes[lane].toInt(), less = value > by ? value - by : value + by;
      varied.push_back(finds_less(lane) ? less : value);
    }
    if (numbers_found_.try_emplace(varied, tensor).first->second != tensor) continue;
    lanes.assign(varied.begin(), varied.end());
    return;
  }
}

}  // namespace modelexport::frontend
