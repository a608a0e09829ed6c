// What a branch or loop body changes of the world outside it: tensors written to (or views
// recomputed), lists, dicts and attributes. While a journal is open the first change of each thing
// saves its state, so that the branch can be undone after it was walked, and merged with the other
// branch.
#pragma once

#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exporter/frontend/value.h"

namespace modelexport::frontend {

struct Journal {
  struct Cell {
    std::shared_ptr<TensorCell> cell;
    TensorCell state;  // before the change; after undo(): as the branch left it
    uint64_t base_version = 0;
    bool written = false;  // rather than a view that was only recomputed
  };
  struct Data {
    WorldId world = 0;
    at::Tensor tensor, before, after;
  };
  std::vector<Cell> cells;  // each in order of its first change
  std::vector<Data> data;
  // With the contents before; after undo(): as the branch left them.
  std::vector<std::pair<std::shared_ptr<ListVal>, ListVal>> lists;
  std::vector<std::pair<std::shared_ptr<DictVal>, std::vector<std::pair<Val, Val>>>> dicts;

  // The entry of something that was changed; nullptr if it was not.
  const Cell* find(const std::shared_ptr<TensorCell>& cell) const;
  const ListVal* find(const std::shared_ptr<ListVal>& list) const;

  void save(const std::shared_ptr<TensorCell>& cell, bool written);
  void save(const std::shared_ptr<ListVal>& list);
  void save(const std::shared_ptr<DictVal>& dict);
  void save_data(WorldId world, const at::Tensor& tensor);

  // What was changed inside was changed here too; `inner` has not been undone.
  void take_over(const Journal& inner);
  // The same of the tensors of one world whose changes were made again after undoing `inner`.
  void take_over_data(const Journal& inner, WorldId world);

  // Puts everything back and keeps what the branch made of it.
  void undo();
  // Makes the tensors of one world what the branch made of them again.
  void redo_data(WorldId world);

 private:
  std::unordered_map<const void*, size_t> indices_;  // of cells, lists and dicts in their vectors
};

}  // namespace modelexport::frontend
