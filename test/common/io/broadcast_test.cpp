#include "common/io/broadcast.h"

#include <catch2/catch.hpp>

#include "common/io/loop_group.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

Task<void> await_change(Broadcast& news, int& woken, Errc& error) {
  auto came = co_await news.after(news.now(), Loop::current()->in(test::kPatience));
  ++woken;
  if (!came) error = came.error().code;
}

}  // namespace

TEST_CASE("everybody who waits is told, once", "[broadcast]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Broadcast news;
    int woken = 0;
    Errc error = Errc::Closed;
    for (int i = 0; i < 3; ++i) on.spawn(await_change(news, woken, error));
    co_await test::Turn{on};
    CHECK(woken == 0);
    news.announce();
    news.announce();
    co_await test::Turn{on};
    CHECK(woken == 3);
    CHECK(error == Errc::Closed);
  };
  test::run(loop, body(loop));
}

TEST_CASE("what was announced between looking and waiting is not lost", "[broadcast]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Broadcast news;
    const auto seen = news.now();
    news.announce();
    auto came = co_await news.after(seen, on.in(1ms));
    CHECK(came);
    auto late = co_await news.after(news.now(), on.in(1ms));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Errc::Timeout);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a waiter can be called off by itself, and nobody tells it again", "[broadcast]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Broadcast news;
    Wait wait(on);
    on.post([&on, &wait] { on.resume_soon(wait.take_cancelled()); });
    auto called_off = co_await news.after(news.now(), wait, on.in(test::kPatience));
    REQUIRE_FALSE(called_off);
    CHECK(called_off.error().code == Errc::Cancelled);
    news.announce();
  };
  test::run(loop, body(loop));
}

TEST_CASE("a change on one loop is heard on another", "[broadcast][threads]") {
  LoopGroup loops(2);
  loops.start();
  Broadcast news;
  std::atomic<int> woken = 0;
  auto listen = [](Broadcast& to, std::atomic<int>& count) -> Task<void> {
    auto came = co_await to.after(0, Loop::current()->in(test::kPatience));
    if (came) ++count;
  };
  loops.on_each([&](Loop& loop) { loop.spawn(listen(news, woken)); });
  loops[0].post([&news] { news.announce(); });
  const auto deadline = Clock::now() + test::kPatience;
  while (woken < 2 && Clock::now() < deadline) std::this_thread::yield();
  CHECK(woken == 2);
  loops.shut_down(1s);
}
