#include "exporter/lowering/advanced_index.h"

#include <algorithm>
#include <numeric>

#include "exporter/lowering/indexing.h"
#include "exporter/lowering/infer.h"

namespace modelexport::lowering {
namespace {

// An integer index on one axis.
struct Component {
  int64_t axis;
  V index;
  std::optional<Shape> shape;
};

// A mask indexes each of its axes with the positions of its true elements.
void add_mask(Call& c, V mask, int64_t axis, std::vector<Component>& components) {
  const V positions = true_positions(c, mask);
  for (int64_t i = 0; i < c.rank(mask); ++i) {
    components.push_back({axis + i, c.gather(positions, c.constant_int(i), 1), std::nullopt});
  }
}

std::vector<Component> components_of(Call& c, const std::vector<V>& indices) {
  std::vector<Component> components;
  int64_t axis = 0;
  for (V index : indices) {
    if (index == kOmitted) {
      ++axis;
    } else if (is_mask(c, index)) {
      add_mask(c, index, axis, components);
      axis += c.rank(index);
    } else {
      components.push_back({axis++, c.cast(index, DType::i64), c.shape(index)});
    }
  }
  return components;
}

int64_t rank_of(const Component& component) {
  return component.shape ? std::ssize(*component.shape) : 1;  // positions in a mask: 1-D
}

bool have_same_shape(const std::vector<Component>& components) {
  return std::ranges::all_of(components, [&](const Component& component) {
    return component.shape && component.shape == components[0].shape;
  });
}

// All indices in the shape that they broadcast to.
void expand_all(Call& c, std::vector<Component>& components, const std::optional<Shape>& result) {
  if (result && has_sizes(c, *result)) {
    for (Component& component : components) component.index = expand(c, component.index, *result);
    return;
  }
  V sum = components[0].index;
  for (size_t i = 1; i < components.size(); ++i) sum = c.add(sum, components[i].index);
  const V shape = c.shape_of(sum);
  for (Component& component : components) component.index = expand_to(c, component.index, shape);
}

}  // namespace

bool is_mask(Call& c, V index) {
  if (c.dtype_of(index) != DType::boolean && c.dtype_of(index) != DType::u8) return false;
  if (c.rank(index) == 0) throw Unsupported{"a single boolean as an index"};
  return true;
}

SingleIndex single_index(const std::vector<V>& indices) {
  const auto given = [](V index) { return index != kOmitted; };
  if (std::ranges::count_if(indices, given) != 1) return {};
  const auto found = std::ranges::find_if(indices, given);
  return {*found, found - indices.begin()};
}

AdvancedIndex advanced_index(Call& c, const std::vector<V>& indices) {
  AdvancedIndex result;
  if (const auto [index, axis] = single_index(indices); index != kOmitted && is_mask(c, index)) {
    result.axes.resize(c.rank(index));
    std::iota(result.axes.begin(), result.axes.end(), axis);
    result.rank = 1;
    result.positions = true_positions(c, index);
    return result;
  }
  std::vector<Component> components = components_of(c, indices);
  if (components.empty()) return result;
  for (const Component& component : components) {
    result.axes.push_back(component.axis);
    result.rank = std::max(result.rank, rank_of(component));
  }
  result.shape = components[0].shape;
  for (const Component& component : components) {
    result.shape = broadcast(result.shape, component.shape);
  }
  if (components.size() > 1 && !have_same_shape(components))
    expand_all(c, components, result.shape);
  std::vector<V> columns;
  for (const Component& component : components) {
    columns.push_back(c.unsqueeze(component.index, {result.rank}));
  }
  result.positions = c.concat(columns, result.rank);
  return result;
}

}  // namespace modelexport::lowering
