#include "exporter/frontend/journal.h"

namespace modelexport::frontend {

const Journal::Cell* Journal::find(const std::shared_ptr<TensorCell>& cell) const {
  const auto found = indices_.find(cell.get());
  return found == indices_.end() ? nullptr : &cells[found->second];
}

const ListVal* Journal::find(const std::shared_ptr<ListVal>& list) const {
  const auto found = indices_.find(list.get());
  return found == indices_.end() ? nullptr : &lists[found->second].second;
}

void Journal::save(const std::shared_ptr<TensorCell>& cell, bool written) {
  const auto [index, is_new] = indices_.try_emplace(cell.get(), cells.size());
  if (is_new) {
    cells.push_back({cell, *cell, cell->base->version, written});
  } else {
    cells[index->second].written |= written;
  }
}

void Journal::save(const std::shared_ptr<ListVal>& list) {
  if (indices_.try_emplace(list.get(), lists.size()).second) lists.emplace_back(list, *list);
}

void Journal::save(const std::shared_ptr<DictVal>& dict) {
  if (indices_.try_emplace(dict.get(), dicts.size()).second)
    dicts.emplace_back(dict, dict->entries);
}

void Journal::save_data(WorldId world, const at::Tensor& tensor) {
  data.push_back({world, tensor.alias(), tensor.clone(), {}});
}

void Journal::take_over(const Journal& inner) {
  for (const Cell& entry : inner.cells) {
    const auto [index, is_new] = indices_.try_emplace(entry.cell.get(), cells.size());
    if (is_new) {
      cells.push_back(entry);
    } else {
      cells[index->second].written |= entry.written;
    }
  }
  for (const auto& entry : inner.lists) {
    if (indices_.try_emplace(entry.first.get(), lists.size()).second) lists.push_back(entry);
  }
  for (const auto& entry : inner.dicts) {
    if (indices_.try_emplace(entry.first.get(), dicts.size()).second) dicts.push_back(entry);
  }
}

void Journal::take_over_data(const Journal& inner, WorldId world) {
  for (const Data& entry : inner.data) {
    if (entry.world == world) data.push_back(entry);
  }
}

void Journal::undo() {
  for (Data& entry : data) entry.after = entry.tensor.clone();
  for (auto entry = data.rbegin(); entry != data.rend(); ++entry)
    entry->tensor.copy_(entry->before);
  for (auto entry = cells.rbegin(); entry != cells.rend(); ++entry) {
    std::swap(*entry->cell, entry->state);
    entry->cell->base->version = entry->base_version;
  }
  for (auto& [list, state] : lists) std::swap(*list, state);
  for (auto& [dict, entries] : dicts) std::swap(dict->entries, entries);
}

void Journal::redo_data(WorldId world) {
  for (Data& entry : data) {
    if (entry.world == world) entry.tensor.copy_(entry.after);
  }
}

}  // namespace modelexport::frontend
