// common/io/timer.h
// Deadlines of a loop: a hierarchical timing wheel, so that setting and dropping
// one is a few pointer writes however many there are. Every await has a deadline and hardly any
// ever fires.
//
//     level 0: 64 slots of 1 ms    level 1: 64 of 64 ms    level 2: 64 of 4 s    level 3: 64 of 262 s
//
// A timer waits in the coarsest slot that still keeps it apart and moves down as its time comes
// near.
// Threading: one loop's. Bounds: no memory of its own; each Timer belongs to whoever waits.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

namespace weir {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
using std::chrono::milliseconds;

class TimerWheel;

// Derive and override expired(). Not armed when made; disarms itself when destroyed.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool armed() const { return next_ != nullptr; }
  void disarm();

 protected:
  ~Timer() { disarm(); }
  // Called once on the loop, the timer being disarmed already. It may arm or destroy any timer.
  virtual void expired() = 0;
  // Called instead when the loop gives up all its waits: the timer is disarmed and will not fire.
  virtual void cancelled() {}

 private:
  friend class TimerWheel;
  Timer* prev_ = nullptr;
  Timer* next_ = nullptr;
  std::uint64_t tick_ = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(Clock::time_point start);
  ~TimerWheel();

  // (Re)arms: fires at the first millisecond at or after `when`, at the earliest in the next
  // advance().
  void arm(Timer& timer, Clock::time_point when);
  // Fires what is due.
  void advance(Clock::time_point now);
  // Disarms every timer and tells each.
  void cancel_all();
  // A time by which advance() should next be called; nothing when no timer is armed.
  std::optional<Clock::time_point> next_wake() const;

 private:
  static constexpr int kLevels = 4;
  static constexpr int kSlots = 64;
  // The head of a circular list.
  struct Slot final : Timer {
    void expired() override {}
  };

  std::uint64_t tick_of(Clock::time_point when) const;
  void place(Timer& timer);
  static void take(Slot& from, Slot& to);
  void cascade(int level, std::uint64_t slot);

  Clock::time_point start_;
  std::uint64_t now_ = 0;  // every tick before it has fired
  std::array<std::array<Slot, kSlots>, kLevels> slots_;
};

}  // namespace weir
