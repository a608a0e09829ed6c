// A walk that leaves the interpreter as it was: its operators go to a block of their own, and what
// it changes of the values outside is undone at the end (and told by the journal).
#pragma once

#include <utility>

#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {

class Interpreter::Trial {
 public:
  Trial(Interpreter& interpreter, Block& block)
      : interpreter_(interpreter),
        worlds_(interpreter.worlds_),
        attributes_(interpreter.attributes_) {
    interpreter_.recorder_.begin_block(block);
    interpreter_.journals_.push_back(&journal_);
  }
  ~Trial() { end(); }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  const Journal& journal() const { return journal_; }

  // The journal after undoing; the second time it is empty.
  Journal end() {
    if (!open_) return {};
    open_ = false;
    interpreter_.journals_.pop_back();
    interpreter_.recorder_.end_block();
    interpreter_.enter(worlds_);
    journal_.undo();
    interpreter_.attributes_ = std::move(attributes_);
    return std::move(journal_);
  }

 private:
  Interpreter& interpreter_;
  Worlds worlds_;
  Attributes attributes_;
  Journal journal_;
  bool open_ = true;
};

}  // namespace modelexport::frontend
