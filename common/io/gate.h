// common/io/gate.h
// A place where coroutines of one loop wait until something has changed. Waiters
// look again at what they wait for after each notify(): a gate carries no state of its own.
#pragma once

#include <vector>

#include "common/io/wait.h"

namespace weir {

class Gate {
 public:
  explicit Gate(Loop& loop) : loop_(loop) {}
  ~Gate() { notify(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Until the next notify(). An error is Timeout or Cancelled.
  Task<Result<void>> wait(Deadline deadline);
  // Lets everyone who waits now go on, before this turn ends.
  void notify();

 private:
  Loop& loop_;
  std::vector<Wait*> waiting_;
};

}  // namespace weir
