// common/departure.h
// When this process goes away, and who says so: SIGTERM, SIGINT, or the control API.
//
//     Departure departure;                    // before any thread begins
//     departure.on(SIGUSR1, [&] { ... });     // what else main's thread is asked for
//     const auto why = departure.wait();      // main's thread sleeps here
//     ... no new sessions ...
//     departure.linger(grace, [&] { return nobody_is_left(); });
//     ... end what is left ...
//
// SIGTERM and ask() let live sessions go on for a while, SIGINT does not. A second signal ends the
// lingering at once; ask() never counts as one, so it may be said as often as one likes.
//
// Threading: ask() and leaving() by any thread, the rest by the one that made it. Bounds: one.
#pragma once

#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>

namespace weir {

class Departure {
 public:
  enum class Reason { Terminate, Interrupt, Asked };

  // From here on the signals are blocked, in this thread and those that begin later.
  Departure();
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

  // Does `work` every so often while it waits or lingers; by the thread that made this.
  void meanwhile(std::chrono::milliseconds every, std::function<void()> work);

  // What wait() does when `signal` comes; from here on it is blocked. Lingering lets such signals
  // lie.
  void on(int signal, std::function<void()> work);

  Reason wait();
  void ask();
  bool leaving() const { return leaving_; }

  // Until `over` is true or the time is up. False: a second signal came.
  bool linger(std::chrono::milliseconds most, const std::function<bool()>& over);

 private:
  using Clock = std::chrono::steady_clock;

  // The next of `signals`, or 0 when none came before `until`.
  int next_signal(const sigset_t& signals, Clock::time_point until);

  std::atomic<bool> leaving_{false};
  std::chrono::milliseconds period_{std::chrono::hours{1}};
  std::function<void()> work_;
  std::map<int, std::function<void()>> on_signal_;
};

// "SIGTERM", "SIGINT", "control API".
const char* name(Departure::Reason reason);

}  // namespace weir
