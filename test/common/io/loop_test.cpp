#include "common/io/loop.h"

#include <thread>
#include <catch2/catch.hpp>

#include "common/io/wait.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace std::chrono_literals;

TEST_CASE("messages from one thread arrive in the order of their posting", "[loop][threads]") {
  Loop loop;
  std::vector<int> order;
  std::thread poster([&] {
    for (int i = 0; i < 10'000; ++i) loop.post([&order, i] { order.push_back(i); });
    loop.stop();
  });
  loop.run();
  poster.join();
  REQUIRE(order.size() == 10'000);
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("a call to another loop runs there and gives its result here", "[loop][threads]") {
  Loop here(0);
  Loop there(1);
  std::thread other([&] { there.run(); });
  auto body = [](Loop& home, Loop& away) -> Task<void> {
    for (int i = 0; i < 1000; ++i) {
      auto work = Call(away, [i] { return std::pair(i * 2, Loop::current()); });
      auto answer = co_await work;
      REQUIRE(answer.first == i * 2);
      REQUIRE(answer.second == &away);
      REQUIRE(Loop::current() == &home);
    }
  };
  test::run(here, body(here, there));
  there.stop();
  other.join();
}

TEST_CASE("what a loop posts in one turn reaches its neighbour in one batch", "[loop][threads]") {
  Loop here(0);
  Loop there(1);
  std::vector<Clock::time_point> turns;
  here.post([&] {
    for (int i = 0; i < 100; ++i) there.post([&] { turns.push_back(there.now()); });
    CHECK(turns.empty());
    there.stop();
    here.stop();
  });
  std::thread other([&] { there.run(); });
  here.run();
  other.join();
  REQUIRE(turns.size() == 100);
  CHECK(turns.front() == turns.back());
}

TEST_CASE("work for the end of the turn runs once, after everything else of the turn", "[loop]") {
  Loop loop;
  struct Work final : TurnEnd {
    void turn_ended() override { log += "end"; }
    std::string log;
  } work;
  loop.post([&] {
    loop.at_turn_end(work);
    loop.at_turn_end(work);
    work.log += "a";
  });
  loop.post([&] { work.log += "b"; });
  loop.stop();
  loop.run();
  CHECK(work.log == "abend");
}

TEST_CASE("utilisation follows the share of time a loop works", "[loop]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    for (int i = 0; i < 40; ++i) {
      const auto until = Clock::now() + 9ms;
      while (Clock::now() < until) {
      }
      auto slept = co_await weir::sleep(on, 1ms);
      REQUIRE(slept);
    }
  };
  test::run(loop, body(loop));
  CHECK(loop.utilisation() > 0.4);
}
