// common/io/broadcast.h
// A gate for the coroutines of all loops: something of one loop has gone on, and whoever waits for
// it anywhere looks again.
//
//     while (true) {
//       const auto seen = progress.now();                // before looking
//       if (look()) break;
//       auto woken = co_await progress.after(seen, deadline);
//     }
//
// A change between looking and waiting is not lost: after() returns at once when anything has been
// announced since now(). However many wait on a loop, telling them is one message to it.
//
// Threading: any loop. Bounds: one small entry per loop that has waiters.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "common/io/wait.h"

namespace weir {

class Broadcast {
 public:
  using Ticket = std::uint64_t;

  Broadcast() = default;
  Broadcast(const Broadcast&) = delete;
  Broadcast& operator=(const Broadcast&) = delete;

  Ticket now() const { return announced_.load(std::memory_order_acquire); }

  // Until something newer than `seen` is announced. Errors: Timeout, Cancelled. REQUIRES: this lives
  // until then, and `wait` is of the calling loop; whoever ends `wait` by itself resumes it.
  Task<Result<void>> after(Ticket seen, Wait& wait, Deadline deadline);
  Task<Result<void>> after(Ticket seen, Deadline deadline);

  // What changed must be visible to other threads before. REQUIRES: the calling thread is a loop, or
  // nobody waits.
  void announce();

 private:
  // Those who wait on one loop; that loop's own.
  struct Station {
    explicit Station(Loop& on) : loop(on) {}
    Loop& loop;
    std::vector<Wait*> waiting;
  };

  std::atomic<Ticket> announced_{0};
  std::mutex mutex_;
  std::vector<std::shared_ptr<Station>> stations_;  // guarded by mutex_
};

}  // namespace weir
