// common/departure.h
// When this process goes away, and who says so: SIGTERM, SIGINT, or the control API. And until then,
// what else is asked of main's thread: by other signals, and by other threads.
//
//     Departure departure;                    // before any thread begins
//     departure.on(SIGHUP, [&] { ... });
//     const auto why = departure.wait();      // main's thread sleeps here, and does what is asked
//     ... no new sessions ...
//     departure.linger(grace, [&] { return nobody_is_left(); });
//     ... end what is left ...
//
// SIGTERM and ask() let live sessions go on for a while, SIGINT does not. A second signal ends the
// lingering at once; ask() never counts as one, so it may be said as often as one likes.
//
// Threading: ask(), leaving() and post() by any thread, the rest by the one that made it. Bounds:
// what is posted waits, so whoever posts waits for it.
#pragma once

#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "common/error.h"

namespace weir {

class Departure {
 public:
  enum class Reason { Terminate, Interrupt, Asked, Upgraded };

  // From here on the signals are blocked, in this thread and those that begin later.
  Departure();
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

  // Does `work` every so often while it waits or lingers; by the thread that made this.
  void meanwhile(std::chrono::milliseconds every, std::function<void()> work);
  // What wait() does when `signal` comes; from here on it is blocked. Null: nothing. Lingering lets
  // such signals lie.
  void on(int signal, std::function<void()> work);
  // Does `work` once, in wait(). False, and never, when this process is leaving.
  bool post(std::function<void()> work);

  // What `question` answers in main's thread, for another. Errors: Busy when this process is leaving,
  // Timeout when main's thread is at something else.
  template <class Question>
  std::invoke_result_t<Question&> ask_main(Question question, std::chrono::milliseconds patience);

  Reason wait();
  void ask();
  // Another process has this one's place: wait() ends. REQUIRES: called by what wait() does.
  void make_way() { upgraded_ = true; }
  bool leaving() const { return leaving_; }

  // Until `over` is true or the time is up. False: a second signal came.
  bool linger(std::chrono::milliseconds most, const std::function<bool()>& over);

 private:
  using Clock = std::chrono::steady_clock;

  // The next of `signals`, or 0 when none came before `until`.
  int next_signal(const sigset_t& signals, Clock::time_point until);
  sigset_t awaited() const;
  void do_posted();

  std::atomic<bool> leaving_{false};
  bool upgraded_ = false;
  std::chrono::milliseconds period_{std::chrono::hours{1}};
  std::function<void()> work_;
  std::map<int, std::function<void()>> on_signal_;
  std::mutex mutex_;  // for the next one
  std::vector<std::function<void()>> posted_;
};

// "SIGTERM", "SIGINT", "control API", "upgrade".
const char* name(Departure::Reason reason);

template <class Question>
std::invoke_result_t<Question&> Departure::ask_main(Question question,
                                                    std::chrono::milliseconds patience) {
  using Answer = std::invoke_result_t<Question&>;
  // Shared with the question, which may be answered after the patience has ended.
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  if (!post([promise, question = std::move(question)] { promise->set_value(question()); }))
    return fail(Errc::Busy, "this process is leaving");
  if (answer.wait_for(patience) != std::future_status::ready)
    return fail(Errc::Timeout, "it is under way, and takes longer");
  return answer.get();
}

}  // namespace weir
