// While other worlds are current than where values were made (the body of a loop, one example
// alone), values are taken over into them; at the end of the scope they are put back.
#pragma once

#include <functional>
#include <vector>

#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {

struct Interpreter::LaneScope {
  LaneScope(Interpreter& interpreter, WorldSet worlds)
      : interpreter_(interpreter), outer_(interpreter.worlds_) {
    interpreter_.lane_scopes_.push_back(this);
    interpreter_.enter(std::make_shared<const WorldSet>(std::move(worlds)));
  }
  ~LaneScope() {
    for (auto undo = restore.rbegin(); undo != restore.rend(); ++undo) (*undo)();
    interpreter_.lane_scopes_.pop_back();
    interpreter_.enter(outer_);
  }
  LaneScope(const LaneScope&) = delete;
  LaneScope& operator=(const LaneScope&) = delete;

  std::vector<std::function<void()>> restore;

 private:
  Interpreter& interpreter_;
  Worlds outer_;
};

}  // namespace modelexport::frontend
