// proxy/access/hook_notices.h
// What callbacks are to be told when somebody has left. Nobody waits for that, so it is queued, and
// tried again while they do not answer.
//
// What is told of one client is told in its order. What is left when the process ends is said in one
// last try; see take_all().
//
// Threading: one loop's. Bounds: `queue` clients, the newest being dropped when it is full; kTellers
// of them are told at a time; each for `keep`.
#pragma once

#include <deque>

#include "common/metrics.h"
#include "proxy/access/hook_caller.h"

namespace weir {

class HookNotices {
 public:
  static constexpr int kTellers = 8;

  struct Message {
    HookUrl url;
    std::string body;
  };
  struct Notice {
    std::vector<Message> messages;
    Clock::time_point until{};  // tried no longer
  };

  HookNotices(Loop& loop, HookCaller& caller, prometheus::Counter& dropped)
      : loop_(loop), caller_(caller), dropped_(dropped) {}

  void add(std::vector<Message> messages, const HookOptions& options);
  std::size_t waiting() const { return queue_.size(); }
  std::deque<Notice> take_all() { return std::exchange(queue_, {}); }

 private:
  Task<void> tell();

  Loop& loop_;
  HookCaller& caller_;
  prometheus::Counter& dropped_;
  milliseconds timeout_{2000};
  std::deque<Notice> queue_;
  int tellers_ = 0;
};

}  // namespace weir
