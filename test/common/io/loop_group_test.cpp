#include "common/io/loop_group.h"

#include <atomic>
#include <future>
#include <set>
#include <catch2/catch.hpp>

#include "common/io/wait.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

// Sleeps until the loop gives up its waits.
Task<void> sleep_long(Loop& loop, std::atomic<int>& ended) {
  auto slept = co_await sleep(loop, 1h);
  if (!slept) ++ended;
}

// Does not end, whatever the loop says, until it is let go.
Task<void> hang_on(Loop& loop, const std::atomic<bool>& let_go) {
  struct Turn {
    Loop& loop;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
      loop.post([waiter] { waiter.resume(); });
    }
    void await_resume() const {}
  };
  while (!let_go) co_await Turn{loop};
}

}  // namespace

TEST_CASE("every loop runs on a thread of its own, with its own number", "[loop_group][threads]") {
  LoopGroup loops(3);
  REQUIRE(loops.size() == 3);
  loops.start();
  std::set<std::thread::id> threads{std::this_thread::get_id()};
  std::vector<int> indices;
  loops.on_each([&](Loop& loop) {
    CHECK(Loop::current() == &loop);
    threads.insert(std::this_thread::get_id());
    indices.push_back(loop.index());
  });
  CHECK(threads.size() == 4);
  CHECK(indices == std::vector<int>{0, 1, 2});
  CHECK(&loops[1] != &loops[0]);
  CHECK(Loop::current() == nullptr);
}

TEST_CASE("a group that was never started, and an empty one, just go", "[loop_group]") {
  {
    LoopGroup idle(2);
  }
  LoopGroup none(0);
  none.start();
  CHECK(none.shut_down(1s));
}

TEST_CASE("shutting down ends all waits and lets every session unwind", "[loop_group][threads]") {
  std::atomic<int> ended{0};
  LoopGroup loops(2);
  loops.start();
  loops.on_each([&](Loop& loop) {
    for (int i = 0; i < 50; ++i) loop.spawn(sleep_long(loop, ended));
  });
  CHECK(loops.shut_down(10s));
  CHECK(ended == 100);
}

TEST_CASE("sessions that wait for another loop unwind too", "[loop_group][threads]") {
  std::atomic<int> ended{0};
  LoopGroup loops(2);
  loops.start();
  auto ask_the_other = [](LoopGroup& all, std::atomic<int>& count) -> Task<void> {
    auto asked = CallTask(all[1], [&all] { return sleep(all[1], 1h); });
    auto answer = co_await asked;
    if (!answer) ++count;
  };
  loops[0].post([&] { loops[0].spawn(ask_the_other(loops, ended)); });
  loops.on_each([](Loop&) {});
  CHECK(loops.shut_down(10s));
  CHECK(ended == 1);
}

TEST_CASE("shutting down says when a session did not end in time", "[loop_group][threads]") {
  std::atomic<bool> let_go{false};
  LoopGroup loops(2);
  loops.start();
  loops[1].post([&] { loops[1].spawn(hang_on(loops[1], let_go)); });
  loops.on_each([](Loop&) {});
  const auto before = Clock::now();
  CHECK_FALSE(loops.shut_down(50ms));
  CHECK(Clock::now() - before < 5s);
  let_go = true;
  CHECK(loops.shut_down(10s));
}

TEST_CASE("a group answers while all its loops come round, and not while one hangs",
          "[loop_group][threads]") {
  LoopGroup loops(2);
  CHECK_FALSE(loops.answer(1ms));
  loops.start();
  CHECK(loops.answer(10s));
  std::promise<void> let_go;
  loops[1].post([&] { let_go.get_future().wait(); });
  CHECK_FALSE(loops.answer(1ms));
  CHECK_FALSE(loops.answer(1ms));
  let_go.set_value();
  CHECK(loops.answer(10s));
}
