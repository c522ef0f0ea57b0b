#include "proxy/shared_store.h"

#include <spdlog/fmt/fmt.h>

#include <functional>
#include <catch2/catch.hpp>

#include "common/io/loop_group.h"
#include "test/support/shared_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kStream = "__defaultVhost__/live/cam";

SharedRoute to(std::string upstream, std::string stream = kStream) {
  return {std::move(stream), std::move(upstream), 7};
}

struct Rig {
  Rig(Loop& loop_, RedisServer& server_)
      : loop(loop_), server(server_), client(resolver, server_.options()) {}
  Task<redis::Reply> cli(std::string line) { return redis_cli(resolver, server, std::move(line)); }
  bool counted(const std::string& line) const { return metrics.text().contains(line); }

  Loop& loop;
  RedisServer& server;
  Resolver resolver{loop};
  redis::Client client;
  Metrics metrics{"test"};
  SharedStore store{loop, client, {.timeout = kPatience}, metrics};
  const std::string key = shared_key("weir:", SharedKind::Route, kStream);
};

using Body = std::function<Task<void>(Rig&)>;

Task<void> run_body(Loop& loop, RedisServer& server, const Body& body) {
  Rig rig(loop, server);
  loop.spawn(rig.client.run());
  const bool up = co_await comes_true(loop, [&] { return rig.client.up(); });
  REQUIRE(up);
  co_await body(rig);
  co_await end_all_others(loop);
}

void with_store(const Body& body) {
  QuietLog quiet;
  RedisServer server;
  Loop loop;
  run(loop, run_body(loop, server, body));
}

}  // namespace

TEST_CASE("the first to claim a stream gets it, and the others are told who that was",
          "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto first = co_await rig.store.claim(to("o1"), rig.store.patience());
      CHECK(first.value() == to("o1"));
      auto second = co_await rig.store.claim(to("o2"), rig.store.patience());
      CHECK(second.value() == to("o1"));
      auto other = co_await rig.store.claim(to("o2", "v/a/other"), rig.store.patience());
      CHECK(other.value().upstream == "o2");
      auto left = co_await rig.cli("PTTL " + rig.key);
      CHECK(left.integer > 50'000);
      CHECK(left.integer <= 60'000);
    }
  };
  with_store(Test::go);
}

TEST_CASE("a stream moves only from where it was", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto claimed = co_await rig.store.claim(to("o1"), rig.store.patience());
      REQUIRE(claimed);
      auto late = co_await rig.store.move(to("o9"), to("o2"), rig.store.patience());
      CHECK(late.value() == to("o1"));
      auto moved = co_await rig.store.move(to("o1"), to("o2"), rig.store.patience());
      CHECK(moved.value() == to("o2"));
      auto again = co_await rig.store.move(to("o1"), to("o3"), rig.store.patience());
      CHECK(again.value() == to("o2"));
      auto nothing =
          co_await rig.store.move(to("o1", "v/a/new"), to("o3", "v/a/new"), rig.store.patience());
      CHECK(nothing.value().upstream == "o3");
    }
  };
  with_store(Test::go);
}

TEST_CASE("a route is the same however its JSON is written", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      const std::string text =
          R"({"generation":"7","later":1,"upstream":"o1","stream":")" + kStream + R"("})";
      auto set = co_await rig.cli("SET " + rig.key + " " + text);
      REQUIRE(set.is_text("OK"));
      std::vector<SharedRoute> live(1, to("o1"));
      auto refreshed = co_await rig.store.refresh(live);
      CHECK(refreshed.value().written == 0);
      CHECK(refreshed.value().contested.empty());
      set = co_await rig.cli("SET " + rig.key + " " + text);
      auto moved = co_await rig.store.move(to("o1"), to("o2"), rig.store.patience());
      CHECK(moved.value() == to("o2"));
    }
  };
  with_store(Test::go);
}

TEST_CASE("forgetting a route leaves another's alone", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto claimed = co_await rig.store.claim(to("o1"), rig.store.patience());
      auto forgotten = co_await rig.store.forget(to("o2"));
      CHECK(forgotten);
      auto there = co_await rig.cli("EXISTS " + rig.key);
      CHECK(there.integer == 1);
      forgotten = co_await rig.store.forget(to("o1"));
      CHECK(forgotten);
      there = co_await rig.cli("EXISTS " + rig.key);
      CHECK(there.integer == 0);
    }
  };
  with_store(Test::go);
}

TEST_CASE("a refresh extends what is there, writes what is missing and tells what has moved",
          "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto mine = co_await rig.store.claim(to("o1"), rig.store.patience());
      auto theirs = co_await rig.store.claim(to("o2", "v/a/moved"), rig.store.patience());
      REQUIRE(theirs);
      auto shortened = co_await rig.cli("PEXPIRE " + rig.key + " 10000");
      REQUIRE(shortened.integer == 1);
      std::vector<SharedRoute> live{to("o1"), to("o1", "v/a/lost"), to("o1", "v/a/moved")};
      auto refreshed = co_await rig.store.refresh(live);
      REQUIRE(refreshed);
      CHECK(refreshed->written == 1);
      CHECK(refreshed->contested == std::vector<SharedRoute>(1, to("o2", "v/a/moved")));
      auto left = co_await rig.cli("PTTL " + rig.key);
      CHECK(left.integer > 50'000);
      auto lost = co_await rig.store.claim(to("o3", "v/a/lost"), rig.store.patience());
      CHECK(lost.value().upstream == "o1");
    }
  };
  with_store(Test::go);
}

TEST_CASE("a value of another's making counts as missing, and is put right",
          "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig, std::string line, std::string counted) {
      const std::string make = fmt::format(fmt::runtime(line), rig.key);
      for (const auto* what : {"claim", "move", "refresh"}) {
        auto made = co_await rig.cli("DEL " + rig.key);
        made = co_await rig.cli(make);
        REQUIRE_FALSE(made.is(redis::Reply::Kind::Error));
        std::vector<std::string> keys(1, rig.key);
        auto read = co_await rig.store.read(keys);
        CHECK(std::holds_alternative<std::monostate>(read.value()[0]));
        if (what == std::string("claim")) {
          auto claimed = co_await rig.store.claim(to("o1"), rig.store.patience());
          CHECK(claimed.value() == to("o1"));
        } else if (what == std::string("move")) {
          auto moved = co_await rig.store.move(to("o9"), to("o1"), rig.store.patience());
          CHECK(moved.value() == to("o1"));
        } else {
          std::vector<SharedRoute> live(1, to("o1"));
          auto refreshed = co_await rig.store.refresh(live);
          CHECK(refreshed.value().written == 1);
        }
        auto after = co_await rig.store.claim(to("o2"), rig.store.patience());
        CHECK(after.value() == to("o1"));
      }
      CHECK(rig.counted("weir_redis_bad_values_total{reason=\"" + counted + "\"}"));
    }
  };
  const auto with = [](std::string line, std::string counted) {
    return [=](Rig& rig) { return Test::go(rig, line, counted); };
  };
  SECTION("wrong JSON") { with_store(with(R"(SET {} {{"stream":7}})", "content")); }
  SECTION("a huge value") { with_store(with("SETRANGE {} 20000 x", "size")); }
  SECTION("a list") { with_store(with("RPUSH {} x", "type")); }
}

TEST_CASE("a value under another's key is no value", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto made = co_await rig.cli("SET " + rig.key + " " + encode(to("o9", "v/a/other")));
      auto claimed = co_await rig.store.claim(to("o1"), rig.store.patience());
      CHECK(claimed.value() == to("o1"));
      CHECK(rig.counted("weir_redis_bad_values_total{reason=\"name\"} 1"));
    }
  };
  with_store(Test::go);
}

TEST_CASE("members and notes live as long as they are given", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto done = co_await rig.store.announce(SharedKind::Origin, member_named("vid-1"));
      REQUIRE(done);
      const auto key = shared_key("weir:", SharedKind::Origin, "vid-1");
      auto aged = co_await rig.cli("PEXPIRE " + key + " 20000");
      std::vector<std::string> keys(1, key);
      auto read = co_await rig.store.read(keys);
      const auto member = std::get<SharedStore::Member>(read.value()[0]);
      CHECK(member.registration.server == "vid-1");
      CHECK(member.age >= 10s);
      CHECK(member.age < 11s);
      done = co_await rig.store.withdraw(SharedKind::Origin, "vid-1");
      read = co_await rig.store.read(keys);
      CHECK(std::holds_alternative<std::monostate>(read.value()[0]));

      done = co_await rig.store.put("ufrag:x", "some text", 60s);
      REQUIRE(done);
      auto note = co_await rig.store.get("ufrag:x");
      CHECK(note.value() == "some text");
      done = co_await rig.store.remove("ufrag:x");
      note = co_await rig.store.get("ufrag:x");
      CHECK_FALSE(note.value().has_value());
      done = co_await rig.store.put("ufrag:x", std::string(kMaxSharedValue, 'x'), 60s);
      CHECK(done.error().code == Errc::Limit);
    }
  };
  with_store(Test::go);
}

TEST_CASE("a scan finds every key of ours and none of others", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      constexpr int kStreams = 1000;
      for (int i = 0; i < kStreams; ++i) {
        auto claimed =
            co_await rig.store.claim(to("o1", "v/a/" + std::to_string(i)), rig.store.patience());
        REQUIRE(claimed);
      }
      auto other = co_await rig.cli("SET other:route x");
      std::set<std::string> keys;
      std::string cursor = "0";
      do {
        auto page = co_await rig.store.scan(cursor);
        REQUIRE(page);
        keys.insert(page->keys.begin(), page->keys.end());
        cursor = page->cursor;
      } while (cursor != "0");
      CHECK(keys.size() == kStreams);
    }
  };
  with_store(Test::go);
}

TEST_CASE(
    "nobody waits longer than the timeout for a Redis that hangs, nor at all for one that is gone",
    "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      SharedStore store(rig.loop, rig.client, {}, rig.metrics);
      rig.server.pause();
      const auto before = Clock::now();
      auto late = co_await store.claim(to("o1"), store.patience());
      CHECK(late.error().code == Errc::Timeout);
      for (int i = 0; i < 20; ++i) {
        auto refused = co_await store.claim(to("o1"), store.patience());
        CHECK(refused.error().code == Errc::Unavailable);
      }
      CHECK(Clock::now() - before < 500ms);
      CHECK(rig.counted("weir_redis_failures_total{reason=\"timeout\"} 1"));
    }
  };
  with_store(Test::go);
}

// ------------------------------------------------------------------------------- races

namespace {

constexpr int kContenders = 4;
constexpr int kStreams = 100;
constexpr int kMoves = 25;

using Answers = std::map<std::string, std::string>;  // stream -> upstream

// Claims every stream for itself, then moves each on from wherever it finds it, and writes down
// each answer.
Task<void> contend(Loop& loop, RedisServer& server, int number, Answers& claimed, int& moved) {
  Rig rig(loop, server);
  Child client(loop);
  client.start(rig.client.run());
  const bool up = co_await comes_true(loop, [&] { return rig.client.up(); });
  INVARIANT(up);
  const std::string mine = "o" + std::to_string(number);
  const auto stream = [](int i) { return "v/a/" + std::to_string(i); };
  for (int i = 0; i < kStreams; ++i) {
    auto winner = co_await rig.store.claim(to(mine, stream(i)), rig.store.patience());
    INVARIANT(winner, winner.error().text);
    claimed[stream(i)] = winner->upstream;
  }
  // A chain of moves on one stream: of all who move it from one place only one may succeed.
  SharedRoute at = to("start", "v/a/chain");
  auto began = co_await rig.store.claim(at, rig.store.patience());
  INVARIANT(began);
  at = *began;
  for (int i = 0; i < kMoves; ++i) {
    const SharedRoute next = to(mine + "-" + std::to_string(i), "v/a/chain");
    auto now_at = co_await rig.store.move(at, next, rig.store.patience());
    INVARIANT(now_at, now_at.error().text);
    if (*now_at == next) ++moved;
    at = *now_at;
  }
  loop.cancel_all();
  co_await client.join();
}

}  // namespace

TEST_CASE("however many claim the same streams at once, each has one winner",
          "[shared][redis-server][threads]") {
  QuietLog quiet;
  RedisServer server;
  std::array<Answers, kContenders> claimed;
  std::array<int, kContenders> moved{};
  {
    LoopGroup loops(kContenders);
    loops.start();
    loops.on_each([&](Loop& loop) {
      const auto i = static_cast<std::size_t>(loop.index());
      loop.spawn(contend(loop, server, loop.index(), claimed[i], moved[i]));
    });
    std::array<bool, kContenders> busy{};
    const auto deadline = Clock::now() + kPatience;
    do {
      loops.on_each([&](Loop& loop) { busy[std::size_t(loop.index())] = loop.spawned() > 0; });
    } while (std::ranges::find(busy, true) != busy.end() && Clock::now() < deadline);
    CHECK(loops.shut_down(kPatience));
  }
  CHECK(claimed[0].size() == kStreams);
  std::set<std::string> winners;
  for (const auto& [stream, upstream] : claimed[0]) winners.insert(upstream);
  for (const Answers& each : claimed) CHECK(each == claimed[0]);
  for (const int each : moved) CHECK(each > 0);
}
