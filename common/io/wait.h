// common/io/wait.h
// One coroutine that waits for one thing, with a deadline: the building block of
// every await in common/io.
//
// A wait ends by wake(), by its deadline, or by the loop giving up all waits, whichever is first;
// the waiting coroutine then goes on in the same turn. Threading: one loop's. Bounds: lives in the
// waiting coroutine.
#pragma once

#include "common/error.h"
#include "common/io/loop.h"

namespace weir {

class Wait final : private Timer {
 public:
  explicit Wait(Loop& loop) : loop_(loop) {}

  bool waiting() const { return static_cast<bool>(waiter_); }

  // Lets the waiter go on at once. REQUIRES: waiting().
  void wake() { end(Outcome::Ready).resume(); }
  // Ends the wait but leaves it to the caller to resume the waiter, before this Wait goes.
  std::coroutine_handle<> take_ready() { return end(Outcome::Ready); }
  std::coroutine_handle<> take_cancelled() { return end(Outcome::Cancelled); }

  // co_await wait.until(deadline): Result<void>, an error being Timeout or Cancelled.
  struct Awaiter {
    Wait& wait;
    Deadline deadline;
    bool await_ready() const {
      if (!wait.loop_.cancelled()) return false;
      wait.outcome_ = Outcome::Cancelled;
      return true;
    }
    void await_suspend(std::coroutine_handle<> waiter) const {
      wait.waiter_ = waiter;
      wait.loop_.arm(wait, deadline);
    }
    Result<void> await_resume() const {
      switch (wait.outcome_) {
        case Outcome::Ready: return {};
        case Outcome::Timeout: return fail(Errc::Timeout, "deadline passed");
        case Outcome::Cancelled: break;
      }
      return fail(Errc::Cancelled, "cancelled");
    }
  };
  Awaiter until(Deadline deadline) { return {*this, deadline}; }

 private:
  enum class Outcome { Ready, Timeout, Cancelled };

  void expired() override { end(Outcome::Timeout).resume(); }
  void cancelled() override { end(Outcome::Cancelled).resume(); }
  std::coroutine_handle<> end(Outcome outcome) {
    disarm();
    outcome_ = outcome;
    return std::exchange(waiter_, nullptr);
  }

  Loop& loop_;
  std::coroutine_handle<> waiter_;
  Outcome outcome_ = Outcome::Ready;
};

// co_await sleep(loop, after): an error only when the loop gives up its waits.
inline Task<Result<void>> sleep(Loop& loop, Clock::duration after) {
  Wait wait(loop);
  auto woken = co_await wait.until(loop.in(after));
  if (!woken && woken.error().code == Errc::Cancelled) co_return woken;
  co_return Result<void>{};
}

// Runs `work` on `other` and gives its result here. Takes a turn of each loop; has no deadline, as
// a loop always gets to its messages.
template <class Work>
class Call {
 public:
  using Value = std::invoke_result_t<Work&>;
  Call(Loop& other, Work work) : other_(other), work_(std::move(work)) {}
  bool await_ready() {
    if (Loop::current() != &other_) return false;
    value_.emplace(work_());
    return true;
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    other_.post([this, waiter, home = Loop::current()] {
      value_.emplace(work_());
      home->post([waiter] { waiter.resume(); });
    });
  }
  Value await_resume() { return std::move(*value_); }

 private:
  Loop& other_;
  Work work_;
  std::optional<Value> value_;
};

// Runs a task on `other` and gives its result here. `make` is called there; what the task refers to
// must live until then. The deadline, if any, is the task's own.
template <class MakeTask>
class CallTask {
 public:
  using Value = decltype(std::declval<std::invoke_result_t<MakeTask&>>().await_resume());
  CallTask(Loop& other, MakeTask make) : other_(other), make_(std::move(make)) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    other_.post(
        [this, waiter, home = Loop::current()] { other_.spawn(run(*this, waiter, *home)); });
  }
  Value await_resume() { return std::move(*value_); }

 private:
  static Task<void> run(CallTask& call, std::coroutine_handle<> waiter, Loop& home) {
    auto task = call.make_();
    auto value = co_await task;
    call.value_.emplace(std::move(value));
    home.post([waiter] { waiter.resume(); });
  }

  Loop& other_;
  MakeTask make_;
  std::optional<Value> value_;
};

}  // namespace weir
