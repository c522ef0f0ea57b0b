#include "proxy/routing.h"

#include <thread>
#include <catch2/catch.hpp>

#include "common/io/gate.h"
#include "common/io/loop_group.h"
#include "test/proxy/routing_fixture.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

Router router_of(const std::vector<std::string>& names) {
  Router router;
  for (const auto& id : names) INVARIANT(router.configure(configured(id)));
  return router;
}

// Loops of their own threads, with the routing on the first.
struct Node {
  Node(std::size_t count, const std::vector<std::string>& upstreams)
      : loops(count), routing(loops[0], router_of(upstreams), metrics) {
    loops.start();
  }
  // What sessions sent home when they ended is dealt with while the routing is there.
  ~Node() {
    for (int i = 0; i < 3; ++i) loops.on_each([](Loop&) {});
  }
  QuietLog quiet;
  Metrics metrics{"test"};
  LoopGroup loops;
  Routing routing;
};

// Waits for a task that runs on `loop`.
void run_on(Loop& loop, Task<void> task) {
  std::promise<void> done;
  auto then_tell = [](Task<void> inner, std::promise<void>& told) -> Task<void> {
    co_await inner;
    told.set_value();
  };
  loop.post([&] { loop.spawn(then_tell(std::move(task), done)); });
  INVARIANT(done.get_future().wait_for(kPatience) == std::future_status::ready);
}

Task<std::string> ask(Routing& routing, std::string key, std::vector<std::string> exclude = {}) {
  auto route = co_await routing.route(std::move(key), Protocol::Rtmp, std::move(exclude));
  co_return route ? route->upstream->id : std::string(name(route.error().code));
}

// Apart from any coroutine, as g++ 12 does not compile such a list in one.
std::vector<std::string> everybody() { return {"a", "b", "c"}; }

// Until everything that this loop has sent home has been dealt with there, and the answers here. No
// CHECK, as several loops may be here at once.
Task<void> settle(Routing& routing) {
  for (int i = 0; i < 2; ++i) {
    auto asked = co_await ask(routing, "none", everybody());
    INVARIANT(asked == "unavailable");
  }
  co_await Turn{*Loop::current()};
}

}  // namespace

TEST_CASE("every loop is told the same way for one stream", "[routing][threads]") {
  Node node(3, {"a", "b", "c"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  for (int stream = 0; stream < 10; ++stream) {
    std::vector<std::string> answers;
    auto body = [](Routing& at, int number, std::vector<std::string>& all) -> Task<void> {
      auto answer = co_await ask(at, "v/live/" + std::to_string(number));
      all.push_back(answer);
    };
    for (std::size_t i = 0; i < loops.size(); ++i) run_on(loops[i], body(routing, stream, answers));
    CHECK(answers == std::vector<std::string>(3, answers[0]));
  }
}

TEST_CASE("a stream follows who is confirmed to have it, and leaves who failed",
          "[routing][threads]") {
  Node node(2, {"a", "b"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  auto body = [](Routing& at) -> Task<void> {
    auto first = co_await ask(at, "s");
    const std::string other = first == "a" ? "b" : "a";
    at.confirmed("s", other);
    auto confirmed = co_await ask(at, "s");
    CHECK(confirmed == other);
    at.failed("s", other, Errc::Refused);
    auto moved = co_await ask(at, "s");
    CHECK(moved == first);
    at.confirmed("s", "nobody");
    auto stays = co_await ask(at, "s");
    CHECK(stays == first);
    at.succeeded(other);
    auto excluded = co_await ask(at, "s", std::vector<std::string>(1, first));
    CHECK(excluded == other);
    auto nobody = co_await ask(at, "s", everybody());
    CHECK(nobody == "unavailable");
  };
  run_on(loops[1], body(routing));
  loops.on_each([](Loop&) {});  // what is under way to the routing has arrived
}

TEST_CASE("a session counts while it lives", "[routing][threads]") {
  Node node(2, {"a"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  const auto streams = [&] {
    auto count = routing.ask_from_outside(
        [](Router& router) { return router.snapshot(Clock::now())[0].streams; }, 10s);
    return count.value_or(99);
  };
  std::optional<RouteUse> use;
  run_on(loops[1], [](Routing& at, std::optional<RouteUse>& place) -> Task<void> {
    place.emplace(at, "s", "a");
    co_await settle(at);
  }(routing, use));
  CHECK(streams() == 1);
  run_on(loops[1], [](Routing& at, std::optional<RouteUse>& place) -> Task<void> {
    place.reset();
    co_await settle(at);
  }(routing, use));
  CHECK(streams() == 0);
}

TEST_CASE("a session hears on its own loop that its upstream was ejected", "[routing][threads]") {
  Node node(2, {"a", "b"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  auto body = [](Routing& at, Loop& own) -> Task<void> {
    Gate told(own);
    Loop* where = nullptr;
    int others = 0;
    const RouteUse use(at, "s", "a", [&] {
      where = Loop::current();
      told.notify();
    });
    const RouteUse silent(at, "s", "a");
    const RouteUse elsewhere(at, "t", "b", [&] { ++others; });
    at.failed("s", "a", Errc::NotFound);  // says nothing about its health
    co_await settle(at);
    CHECK(where == nullptr);
    at.failed("s", "a", Errc::Refused);
    auto woken = co_await told.wait(own.in(kPatience));
    CHECK(woken);
    CHECK(where == &own);
    co_await settle(at);
    CHECK(others == 0);
  };
  const std::size_t index = GENERATE(0u, 1u);
  run_on(loops[index], body(routing, loops[index]));
  loops.on_each([](Loop&) {});  // what is under way to the routing has arrived
}

TEST_CASE("failures are counted by why, and those that eject", "[routing][threads]") {
  Node node(2, {"a", "b"});
  auto body = [](Routing& at) -> Task<void> {
    at.failed("s", "a", Errc::NotFound);
    at.failed("s", "a", Errc::Refused);
    at.failed("s", "a", Errc::Refused);  // out already
    co_await settle(at);
  };
  run_on(node.loops[1], body(node.routing));
  const std::string text = node.metrics.text();
  CHECK(text.find("weir_upstream_failures_total{reason=\"not_found\"} 1\n") != std::string::npos);
  CHECK(text.find("weir_upstream_failures_total{reason=\"refused\"} 2\n") != std::string::npos);
  CHECK(text.find("weir_upstream_ejections_total 1\n") != std::string::npos);
}

TEST_CASE("who has nowhere else to go is left alone", "[routing][threads]") {
  Node node(2, {"a"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  auto body = [](Routing& at) -> Task<void> {
    int told = 0;
    const RouteUse use(at, "s", "a", [&] { ++told; });
    at.failed("s", "a", Errc::Refused);
    co_await settle(at);
    CHECK(told == 0);
  };
  run_on(loops[1], body(routing));
  loops.on_each([](Loop&) {});  // what is under way to the routing has arrived
}

TEST_CASE("a session that has ended hears no more, even of news that are under way",
          "[routing][threads]") {
  Node node(2, {"a", "b"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  std::atomic<bool> known_at_home{false};
  std::atomic<bool> told_by_home{false};
  std::promise<int> heard;
  auto body = [](Routing& at, std::atomic<bool>& known, std::atomic<bool>& gone_out,
                 std::promise<int>& result) -> Task<void> {
    int told = 0;
    auto early = std::make_unique<RouteUse>(at, "s", "a", [&] { ++told; });
    auto late = std::make_unique<RouteUse>(at, "s", "a", [&] { ++told; });
    early.reset();
    co_await settle(at);
    known = true;
    // Home tells this loop while it is busy here, and the session ends before it listens.
    while (!gone_out) std::this_thread::yield();
    late.reset();
    co_await settle(at);
    result.set_value(told);
  };
  loops[1].post([&] { loops[1].spawn(body(routing, known_at_home, told_by_home, heard)); });
  while (!known_at_home) std::this_thread::yield();
  routing.failed("s", "a", Errc::Refused);
  // Messages to home stay in order, and what home sends leaves with its turn: this is a turn later.
  loops[0].post([&] { loops[0].post([&] { told_by_home = true; }); });
  CHECK(heard.get_future().get() == 0);
  loops.on_each([](Loop&) {});  // what is under way to the routing has arrived
}

TEST_CASE("sessions come and go on all loops while upstreams fail and recover",
          "[routing][threads]") {
  Node node(3, {"a", "b"});
  auto& loops = node.loops;
  auto& routing = node.routing;
  std::atomic<int> open{0};
  auto sessions = [](Routing& at, Loop& own, std::atomic<int>& count) -> Task<void> {
    for (int i = 0; i < 300; ++i) {
      bool alive = true;
      auto id = co_await ask(at, "s" + std::to_string(i % 7));
      {
        const RouteUse use(at, "s" + std::to_string(i % 7), id, [&alive] { INVARIANT(alive); });
        if (i % 3 == 0) at.failed("s", id, Errc::Refused);
        if (i % 3 == 1) at.succeeded("a"), at.succeeded("b");
        co_await Turn{own};
      }
      alive = false;
    }
    co_await settle(at);
    --count;
  };
  for (std::size_t i = 0; i < loops.size(); ++i) {
    ++open;
    loops[i].post([&, i] { loops[i].spawn(sessions(routing, loops[i], open)); });
  }
  const auto deadline = Clock::now() + 30s;
  while (open > 0 && Clock::now() < deadline) std::this_thread::yield();
  CHECK(open == 0);
  for (std::size_t i = 0; i < loops.size(); ++i)
    run_on(loops[i], [](Routing& at) -> Task<void> { co_await settle(at); }(routing));
  auto left = routing.ask_from_outside(
      [](Router& router) {
        std::size_t streams = 0;
        for (const auto& state : router.snapshot(Clock::now())) streams += state.streams;
        return streams;
      },
      10s);
  CHECK(left == 0u);
}

TEST_CASE("a thread that is no loop is answered, or told that nobody answers",
          "[routing][threads]") {
  LoopGroup loops(1);
  Metrics metrics("test");
  Routing routing(loops[0], router_of({"a", "b"}), metrics);
  const auto count = [](Router& router) { return router.snapshot(Clock::now()).size(); };
  const auto early = routing.ask_from_outside(count, 10ms);  // no loop runs yet
  REQUIRE_FALSE(early);
  CHECK(early.error().code == Errc::Timeout);
  loops.start();
  CHECK(routing.ask_from_outside(count, 10s) == 2u);
}

TEST_CASE("the routing's own work ends with the loop's waits", "[routing]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Metrics metrics("test");
    Routing routing(on, router_of({"a"}), metrics);
    on.spawn(routing.run());
    CHECK(on.spawned() == 3);  // the test, run(), and the checks that a reload may switch on
    co_await end_all_others(on);
    CHECK(on.spawned() == 1);
  };
  run(loop, body(loop));
}
