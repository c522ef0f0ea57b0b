// common/io/child.h
// A task that runs beside its owner, on the same loop, and is joined before what it refers to goes.
//
//     Child reader(loop);
//     reader.start(read_on(socket));
//     ... ; socket.close();            // makes the child end
//     co_await reader.join();
//
// Joining has no deadline and is not cancelled: the child ends because its owner has closed what it
// waits on, or because the loop gives up all waits.
#pragma once

#include "common/check.h"
#include "common/io/loop.h"

namespace weir {

class Child {
 public:
  explicit Child(Loop& loop) : loop_(loop) {}
  ~Child() { INVARIANT(!running_); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void start(Task<void> task) {
    INVARIANT(!running_);
    running_ = true;
    loop_.spawn(run(*this, std::move(task)));
  }
  bool running() const { return running_; }

  struct Joined {
    Child& child;
    bool await_ready() const { return !child.running_; }
    void await_suspend(std::coroutine_handle<> waiter) const { child.waiters_.push_back(waiter); }
    void await_resume() const {}
  };
  Joined join() { return {*this}; }

 private:
  static Task<void> run(Child& child, Task<void> task) {
    co_await task;
    child.running_ = false;
    for (auto waiter : std::exchange(child.waiters_, {})) child.loop_.resume_soon(waiter);
  }

  Loop& loop_;
  bool running_ = false;
  std::vector<std::coroutine_handle<>> waiters_;
};

}  // namespace weir
