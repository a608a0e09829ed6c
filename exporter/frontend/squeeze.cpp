// squeeze() takes away the dimensions of size 1, and so gives another rank in a what-if world where
// a size is 1 by chance (or not). What the examples take away is taken away everywhere.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

constexpr const char* kSqueeze = R"(
def squeeze(x: Tensor, dims: List[int]):
  return torch.squeeze(x, dims)
)";

// The dimensions that it would take away, were they of size 1.
std::vector<int64_t> candidates(const std::vector<Val>& inputs, int64_t rank) {
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  std::iota(dims.begin(), dims.end(), 0);
  if (inputs.size() == 1) return dims;
  const c10::IValue given = in_lane(inputs[1], 0);
  dims = given.isInt() ? std::vector{given.toInt()} : given.toIntVector();
  for (int64_t& dim : dims) dim += dim < 0 ? rank : 0;
  return dims;
}

// Whether one of the dimensions that stay has another size in another lane: it may be 1 elsewhere.
bool may_be_one(const std::vector<at::Tensor>& lanes, const std::vector<int64_t>& dims) {
  return std::any_of(dims.begin(), dims.end(), [&](int64_t dim) {
    const int64_t size = lanes[0].size(dim);
    return size != 1 && std::any_of(lanes.begin(), lanes.end(),
                                    [&](const at::Tensor& lane) { return lane.size(dim) != size; });
  });
}

Val list_of(const std::vector<int64_t>& numbers) {
  auto list = std::make_shared<ListVal>(ListVal{c10::IntType::get(), {}, nullptr});
  for (int64_t number : numbers) list->elements.emplace_back(c10::IValue(number));
  return list;
}

}  // namespace

bool Interpreter::squeeze_alike(Node* node, const NodeInfo& info, const std::vector<Val>& inputs,
                                Frame& frame) {
  if (info.op->schema().name() != "aten::squeeze") return false;
  const auto& tensors = std::get<std::shared_ptr<TensorCell>>(inputs[0])->lanes;
  if (tensors.size() == 1 || tensors[0].dim() == 0) return false;
  if (inputs.size() > 1 && is_symbolic(inputs[1])) return false;
  const std::vector<int64_t> asked = candidates(inputs, tensors[0].dim());
  const auto taken_in = [&](size_t lane) {
    std::vector<int64_t> dims;
    std::copy_if(asked.begin(), asked.end(), std::back_inserter(dims),
                 [&](int64_t dim) { return tensors[lane].size(dim) == 1; });
    return dims;
  };
  const std::vector<int64_t> dims = taken_in(0);
  bool alike = true;
  for (size_t lane = 1; lane < lanes_; ++lane) {
    const bool same = taken_in(lane) == dims;
    if (!same && !is_what_if(lane)) return false;
    alike &= same;
  }
  if (observing_ == 0 && may_be_one(tensors, asked)) {
    recorder_.program().warnings.push_back(fmt::format(
        "the rank of what aten::squeeze {} gives depends on whether a dynamic size is 1; it is "
        "exported for sizes that are not",
        place_of(node, frame)));
  }
  if (alike || dims == asked) return false;
  const Val left = call_source(kSqueeze, {inputs[0], list_of(dims)}, frame, source_of(node, frame));
  set(frame, node->output(), left);
  return true;
}

}  // namespace modelexport::frontend
