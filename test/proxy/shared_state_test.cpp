#include "proxy/shared_state.h"

#include <functional>
#include <catch2/catch.hpp>

#include "test/support/shared_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kStream = "__defaultVhost__/live/cam";
const SharedRoute kRoute{kStream, "o1", 7};

struct Rig {
  Rig(Loop& loop_, RedisServer& server_) : loop(loop_), server(server_) {}

  SharedStateOptions options() const {
    SharedStateOptions options;
    options.server = server.options();
    options.store.timeout = kPatience;
    options.refresh = 50ms;
    options.rescan = 50ms;
    options.scan_pause = 1ms;
    return options;
  }
  Node& node(SharedStateOptions with) { return nodes.emplace_back(resolver, std::move(with)); }
  Node& node() { return node(options()); }
  Task<redis::Reply> cli(std::string line) { return redis_cli(resolver, server, std::move(line)); }
  Task<bool> until(std::function<bool()> condition) {
    return comes_true(loop, std::move(condition));
  }
  Task<bool> all_are(bool up) {
    return until([this, up] {
      return std::ranges::all_of(nodes, [up](Node& each) { return each.state.up() == up; });
    });
  }

  Loop& loop;
  RedisServer& server;
  Resolver resolver{loop};
  std::deque<Node> nodes;
};

std::string redis_up(Node& node) {
  const std::string text = node.metrics.text();
  const auto at = text.find("\nweir_redis_up ");
  return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

}  // namespace

TEST_CASE("what one node claims, moves and forgets, the others follow", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      SharedStateOptions hints_only = rig.options();
      hints_only.rescan = 1h;
      Node& one = rig.node(hints_only);
      Node& two = rig.node(hints_only);
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      auto answer = co_await one.state.claim(kRoute, one.state.patience());
      REQUIRE(answer);
      done = co_await rig.until([&] { return two.view.upstream_of(kStream) == "o1"; });
      CHECK(done);
      const SharedRoute next{kStream, "o2", 8};
      answer = co_await two.state.move(kRoute, next, two.state.patience());
      done = co_await rig.until([&] { return one.view.upstream_of(kStream) == "o2"; });
      CHECK(done);
      auto forgotten = co_await one.state.forget(next);
      done = co_await rig.until([&] { return two.view.routes.empty(); });
      CHECK(done);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a node that comes later learns all there is, and so does one that missed the news",
          "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      constexpr int kStreams = 600;  // more than a page
      Node& one = rig.node();
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      for (int i = 0; i < kStreams; ++i) {
        const SharedRoute route{"v/a/" + std::to_string(i), "o1", 7};
        auto claimed = co_await one.state.claim(route, one.state.patience());
        REQUIRE(claimed);
      }
      one.state.announce(SharedKind::Origin, member_named("vid-1"));
      Node& two = rig.node();
      done = co_await rig.until(
          [&] { return two.view.routes.size() == kStreams && two.view.members.size() == 1; });
      CHECK(done);
      // Written behind everybody's back: nothing is published.
      const std::string key = shared_key("weir:", SharedKind::Route, kStream);
      auto set = co_await rig.cli("SET " + key + " " + encode(kRoute));
      done = co_await rig.until([&] { return two.view.upstream_of(kStream) == "o1"; });
      CHECK(done);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a member is told with its age, and withdrawn everywhere", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node();
      SharedStateOptions edge = rig.options();
      edge.follow = {SharedKind::Proxy};
      Node& two = rig.node(edge);
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      one.state.announce(SharedKind::Origin, member_named("vid-1"));
      one.state.announce(SharedKind::Proxy, member_named("proxy-1"));
      done = co_await rig.until(
          [&] { return one.view.members.size() == 1 && two.view.members.size() == 1; });
      REQUIRE(done);
      CHECK(one.view.members.contains("vid-1"));
      CHECK(two.view.members.contains("proxy-1"));
      CHECK(two.view.members.at("proxy-1").age < 5s);
      one.state.withdraw(SharedKind::Proxy, "proxy-1");
      done = co_await rig.until([&] { return two.view.members.empty(); });
      CHECK(done);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("routes of live sessions and members heard here are written again after FLUSHALL",
          "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node();
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      auto claimed = co_await one.state.claim(kRoute, one.state.patience());
      one.view.live.push_back(kRoute);
      one.state.announce(SharedKind::Origin, member_named("vid-1"));
      auto flushed = co_await rig.cli("FLUSHALL");
      REQUIRE(flushed.is_text("OK"));
      Node& two = rig.node();
      done = co_await rig.until([&] {
        return two.view.upstream_of(kStream) == "o1" && two.view.members.contains("vid-1");
      });
      CHECK(done);
      CHECK(one.metrics.text().contains("weir_redis_routes_rewritten_total 1"));
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE(
    "while Redis is away nobody waits and no member grows old, and when it is back all is there "
    "again",
    "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node();
      Node& two = rig.node();
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      one.state.announce(SharedKind::Origin, member_named("vid-1"));
      auto claimed = co_await one.state.claim(kRoute, one.state.patience());
      one.view.live.push_back(kRoute);
      done = co_await rig.until([&] { return two.view.members.contains("vid-1"); });
      REQUIRE(done);
      CHECK(redis_up(two) == "weir_redis_up 1");

      rig.server.stop();
      done = co_await rig.all_are(false);
      REQUIRE(done);
      claimed = co_await two.state.claim(kRoute, two.state.patience());
      CHECK(claimed.error().code == Errc::Unavailable);
      two.view.members.clear();
      const int before = two.view.tellings;
      done = co_await rig.until([&] { return two.view.tellings >= before + 2; });
      REQUIRE(done);
      CHECK(two.view.members.at("vid-1").age == 0ms);
      CHECK(redis_up(two) == "weir_redis_up 0");

      rig.server.start();
      done = co_await rig.all_are(true);
      REQUIRE(done);
      Node& three = rig.node();
      done = co_await rig.until([&] {
        return three.view.upstream_of(kStream) == "o1" && three.view.members.contains("vid-1");
      });
      CHECK(done);
      done = co_await rig.until([&] { return redis_up(two) == "weir_redis_up 1"; });
      CHECK(done);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a node whose live session disagrees with Redis is told so", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      SharedStateOptions deaf = rig.options();
      deaf.follow.clear();
      Node& one = rig.node(deaf);
      Node& two = rig.node();
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      auto claimed = co_await two.state.claim(kRoute, two.state.patience());
      const SharedRoute mine{kStream, "o2", 1};
      one.view.live.push_back(mine);
      done = co_await rig.until([&] { return one.view.upstream_of(kStream) == "o1"; });
      CHECK(done);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("hints that are none are ignored", "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node();
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      for (const auto* hint : {"", "x", "set", "set route", "gone session s", "set elephant e"}) {
        const redis::Command publish{"PUBLISH", "weir:changes", hint};
        auto published = co_await redis_ask(rig.resolver, rig.server, publish);
        CHECK_FALSE(published.is(redis::Reply::Kind::Error));
      }
      auto claimed = co_await one.state.claim(kRoute, one.state.patience());
      done = co_await rig.until([&] { return one.view.upstream_of(kStream) == "o1"; });
      CHECK(done);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a user with the rights that docs/operations.md names can do all of it",
          "[shared][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto made = co_await rig.cli(
          "ACL SETUSER weir on >secret ~weir:* &weir:* +@connection +select +set +get +getrange "
          "+strlen +type +del +pttl +scan +eval +publish +subscribe +role");
      REQUIRE(made.is_text("OK"));
      SharedStateOptions options = rig.options();
      options.server.user = "weir";
      options.server.password = "secret";
      options.server.db = 1;
      Node& one = rig.node(options);
      Node& two = rig.node(options);
      bool done = co_await rig.all_are(true);
      REQUIRE(done);
      auto answer = co_await one.state.claim(kRoute, one.state.patience());
      REQUIRE(answer);
      const SharedRoute next{kStream, "o2", 8};
      answer = co_await one.state.move(kRoute, next, one.state.patience());
      CHECK(answer.value() == next);
      one.state.announce(SharedKind::Origin, member_named("vid-1"));
      one.view.live.push_back(next);
      done = co_await rig.until([&] {
        return two.view.upstream_of(kStream) == "o2" && two.view.members.contains("vid-1");
      });
      CHECK(done);
      one.state.withdraw(SharedKind::Origin, "vid-1");
      done = co_await rig.until([&] { return two.view.members.empty(); });
      CHECK(done);
      auto forgotten = co_await one.state.forget(next);
      CHECK(forgotten);
      CHECK_FALSE(one.metrics.text().contains("weir_redis_failures_total{"));
    }
  };
  with_redis<Rig>(Test::go);
}
