// common/io/loop.h
// One core's event loop: epoll, timers, and messages from other loops. Everything
// weir does on the network happens inside run(), turn by turn:
//
//     wait ─► ready sockets ─► due timers ─► posted messages ─► end-of-turn work ─► outgoing messages
//
// What is posted to another loop during a turn leaves at its end in one batch with at most one
// wake, so a busy loop disturbs its neighbours once a turn however many messages it has for them.
//
// Threading: everything but post() and stop() belongs to the loop's own thread. Loop::current() is
// that loop.
// Bounds: one turn handles at most kMaxEvents sockets; posted messages are bounded by what their
// senders hold.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <coroutine>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "common/io/task.h"
#include "common/io/timer.h"

namespace weir {

// Hears of a file descriptor's readiness. Must be removed from its loop before it is destroyed.
class Watcher {
 public:
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

// Runs once at the end of the turn in which it was scheduled. Disarms itself when destroyed.
class TurnEnd {
 public:
  TurnEnd() = default;
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

 protected:
  ~TurnEnd();
  virtual void turn_ended() = 0;

 private:
  friend class Loop;
  class Loop* loop_ = nullptr;  // not null while scheduled
};

class Loop {
 public:
  using Message = std::move_only_function<void()>;
  static constexpr int kMaxEvents = 512;
  static constexpr std::size_t kScratchSize = 256 * 1024;

  explicit Loop(int index = 0);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop of the calling thread; null elsewhere.
  static Loop* current();

  int index() const { return index_; }
  void run();
  void stop();

  // Runs `message` on this loop, in the order of posting from any one thread.
  void post(Message message);

  void add(int fd, std::uint32_t events, Watcher& watcher);
  void modify(int fd, std::uint32_t events, Watcher& watcher);
  // No readiness is reported to `watcher` after this, nor what epoll had ready already.
  void remove(int fd, Watcher& watcher);

  // The time at which this turn began.
  Clock::time_point now() const { return now_; }
  Deadline in(Clock::duration after) const { return now_ + after; }
  void arm(Timer& timer, Clock::time_point when) { timers_.arm(timer, when); }
  void at_turn_end(TurnEnd& work);
  // Resumes `waiter` later in this turn or in the next: never from inside the caller.
  void resume_soon(std::coroutine_handle<> waiter);

  // Starts a task that nobody awaits.
  void spawn(Task<void> task);
  int spawned() const { return spawned_; }

  // Ends every wait of this loop with Errc::Cancelled, now and from now on: sessions unwind by
  // themselves.
  void cancel_all();
  bool cancelled() const { return cancelled_; }

  // Memory to receive into, for the time up to the next suspension.
  std::span<std::uint8_t> scratch() { return scratch_; }

  // Share of its time that the loop spent working lately, 0 to 1: half of it is the last quarter
  // second.
  double utilisation() const { return utilisation_.load(std::memory_order_relaxed); }

 private:
  friend class TurnEnd;
  struct Outbox {
    Loop* to;
    std::vector<Message> messages;
  };

  void turn();
  void dispatch(std::span<epoll_event> events);
  void run_posted();
  void finish_turn();
  void account(Clock::time_point woke, Clock::time_point slept);

  const int index_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  Clock::time_point now_;
  TimerWheel timers_;
  std::atomic<bool> stopped_{false};
  bool cancelled_ = false;
  int spawned_ = 0;

  std::span<epoll_event> ready_;  // what of this turn is still to be told
  std::vector<TurnEnd*> turn_end_;
  std::vector<std::coroutine_handle<>> resume_;
  std::vector<Outbox> outboxes_;

  bool self_posted_ = false;
  std::mutex inbox_mutex_;
  std::vector<Message> inbox_;
  bool wake_sent_ = false;  // guarded by inbox_mutex_

  std::vector<std::uint8_t> scratch_;
  std::atomic<double> utilisation_{0};
  Clock::time_point period_start_;
  Clock::duration busy_{0};
};

}  // namespace weir
