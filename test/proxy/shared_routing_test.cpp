#include "proxy/shared_routing.h"

#include <deque>
#include <functional>
#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"
#include "test/support/quiet_log.h"
#include "test/support/redis_server.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

Router router_to(const std::vector<std::string>& upstreams) {
  Router router({}, Balancer(Balance::LeastStreams, 1));
  for (const auto& id : upstreams) INVARIANT(router.configure(configured(id)));
  return router;
}

// One node of several on one loop, each with a router of its own.
struct Node {
  Node(Loop& loop, const std::vector<std::string>& upstreams, SharedRoutingOptions options)
      : router(router_to(upstreams)), shared(loop, router, std::move(options), metrics) {
    loop.spawn(shared.run());
  }

  Task<std::string> ask(std::string key) {
    std::vector<std::string> none;
    auto route = co_await shared.route(std::move(key), Protocol::Rtmp, none, std::nullopt);
    co_return route ? route->upstream->id : std::string(name(route.error().code));
  }

  Metrics metrics{"test"};
  Router router;
  SharedRouting shared;
};

struct Rig {
  Rig(Loop& loop_, RedisServer& server_) : loop(loop_), server(server_) {}

  SharedRoutingOptions options() const {
    SharedRoutingOptions options;
    options.state.server = server.options();
    options.state.store.timeout = kPatience;
    return options;
  }
  Node& node(const std::vector<std::string>& upstreams, SharedRoutingOptions with) {
    return nodes.emplace_back(loop, upstreams, std::move(with));
  }
  Node& node(const std::vector<std::string>& upstreams) { return node(upstreams, options()); }
  Task<bool> until(std::function<bool()> condition) {
    return comes_true(loop, std::move(condition));
  }
  Task<bool> all_up() {
    return until([this] {
      return std::ranges::all_of(nodes, [](Node& each) { return each.shared.state().up(); });
    });
  }

  Loop& loop;
  RedisServer& server;
  std::deque<Node> nodes;
};

// Apart from any coroutine, as g++ 12 does not compile such a list in one.
std::vector<std::string> two_ids() { return {"a", "b"}; }
std::vector<std::string> three_ids() { return {"a", "b", "c"}; }
SharedRoute load_at_a() { return {"v/a/load", "a", configured("a").generation()}; }

}  // namespace

TEST_CASE("the node that is first makes the route of all", "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node(three_ids());
      Node& two = rig.node(three_ids());
      auto up = co_await rig.all_up();
      REQUIRE(up);
      for (int i = 0; i < 20; ++i) {
        const auto key = "v/a/" + std::to_string(i);
        auto first = co_await one.ask(key);
        auto second = co_await two.ask(key);
        CHECK(first == second);
      }
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("requests that come together wait for one claim", "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node(three_ids());
      Node& two = rig.node(three_ids());
      auto up = co_await rig.all_up();
      REQUIRE(up);
      std::vector<std::string> answers;
      auto ask = [](Node& node, std::string key, std::vector<std::string>& all) -> Task<void> {
        auto answer = co_await node.ask(std::move(key));
        all.push_back(answer);
      };
      // The routers have different loads, so that each alone would choose another.
      REQUIRE(one.router.adopt(load_at_a(), rig.loop.now()));
      for (int i = 0; i < 10; ++i) {
        rig.loop.spawn(ask(one, "v/a/s", answers));
        rig.loop.spawn(ask(two, "v/a/s", answers));
      }
      auto came = co_await rig.until([&] { return answers.size() == 20; });
      CHECK(came);
      CHECK(std::ranges::count(answers, answers.front()) == 20);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a route that leads nowhere from here is moved, once for all",
          "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node(two_ids());
      Node& two = rig.node(two_ids());
      auto up = co_await rig.all_up();
      REQUIRE(up);
      auto home = co_await one.ask("v/a/s");
      auto same = co_await two.ask("v/a/s");
      REQUIRE(home == same);
      for (Node* node : {&one, &two})
        node->router.failed("v/a/s", home, Errc::Refused, rig.loop.now());
      auto next = co_await two.ask("v/a/s");
      CHECK(next != home);
      auto agreed = co_await one.ask("v/a/s");
      CHECK(agreed == next);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("what is confirmed here is followed there", "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node(two_ids());
      Node& two = rig.node(two_ids());
      auto up = co_await rig.all_up();
      REQUIRE(up);
      auto home = co_await one.ask("v/a/s");
      const std::string other = home == "a" ? "b" : "a";
      one.shared.confirmed("v/a/s", other);
      auto came = co_await rig.until([&] {
        const auto route = two.router.remembered("v/a/s", rig.loop.now());
        return route && route->upstream == other;
      });
      CHECK(came);
      auto followed = co_await two.ask("v/a/s");
      CHECK(followed == other);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a stream is where it is published, whatever Redis has",
          "[shared_routing][redis-server]") {
  struct Test {
    static std::string home(Rig& rig, Node& node) {
      const auto route = node.router.remembered("v/a/s", rig.loop.now());
      return route ? route->upstream : "";
    }
    static Task<void> go(Rig& rig) {
      Node& one = rig.node(two_ids());
      Node& two = rig.node(two_ids());
      auto up = co_await rig.all_up();
      REQUIRE(up);
      auto first = co_await one.ask("v/a/s");
      const std::string other = first == "a" ? "b" : "a";
      std::vector<std::string> moved;
      two.router.on_moved([&](const std::string&, const std::string& id) { moved.push_back(id); });
      two.router.opened("v/a/s", first);

      one.router.opened("v/a/s", other, rig.loop.now(), Purpose::Publish);
      one.shared.confirmed("v/a/s", other);
      auto followed = co_await rig.until([&] { return home(rig, two) == other; });
      CHECK(followed);
      CHECK(moved == std::vector{other});  // its viewer is at the wrong place

      // Somebody without a publisher moves it: the publisher's node moves it back.
      two.shared.confirmed("v/a/s", first);
      CHECK(home(rig, two) == first);
      auto back = co_await rig.until([&] { return home(rig, two) == other; });
      CHECK(back);
      CHECK(home(rig, one) == other);

      // A publisher elsewhere is later, and right.
      two.router.opened("v/a/s", first, rig.loop.now() + 11s, Purpose::Publish);
      one.router.closed("v/a/s", other, rig.loop.now(), Purpose::Publish);
      two.shared.confirmed("v/a/s", first);
      auto later = co_await rig.until([&] { return home(rig, one) == first; });
      CHECK(later);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a claim that was too late for its request does not differ from what was chosen",
          "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      SharedRoutingOptions options = rig.options();
      options.state.store.timeout = 20ms;
      Node& one = rig.node(three_ids(), options);
      auto up = co_await rig.all_up();
      REQUIRE(up);
      for (const char* load : {"v/a/1", "v/a/2"})
        REQUIRE(one.router.adopt({load, "a", configured("a").generation()}, rig.loop.now()));
      std::map<std::string, std::string> chosen;
      rig.server.pause();
      for (int i = 0; i < 10; ++i) {
        const auto key = "v/a/s" + std::to_string(i);
        auto at = co_await one.ask(key);
        chosen[key] = at;
      }
      rig.server.resume();
      Node& two = rig.node(three_ids());
      up = co_await rig.all_up();
      REQUIRE(up);
      auto told = co_await rig.until([&] {
        return std::ranges::all_of(chosen, [&](const auto& each) {
          return two.router.remembered(each.first, rig.loop.now()).has_value();
        });
      });
      REQUIRE(told);
      for (const auto& [key, at] : chosen) {
        auto answer = co_await two.ask(key);
        CHECK(answer == at);
      }
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("without Redis all nodes choose alike, and nobody waits",
          "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Node& one = rig.node(three_ids());
      Node& two = rig.node(three_ids());
      rig.server.stop();
      REQUIRE(one.router.adopt(load_at_a(), rig.loop.now()));
      const auto began = Clock::now();
      for (int i = 0; i < 50; ++i) {
        const auto key = "v/a/" + std::to_string(i);
        auto first = co_await one.ask(key);
        auto second = co_await two.ask(key);
        CHECK(first == second);
      }
      CHECK(Clock::now() - began < kPatience);  // which is what each might wait
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a Redis that hangs costs a request its timeout and no more",
          "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      constexpr auto kTimeout = 100ms;
      SharedRoutingOptions options = rig.options();
      options.state.store.timeout = kTimeout;
      Node& one = rig.node(three_ids(), options);
      Node& two = rig.node(three_ids(), options);
      auto up = co_await rig.all_up();
      REQUIRE(up);
      rig.server.pause();
      auto began = Clock::now();
      auto first = co_await one.ask("v/a/s");
      CHECK(Clock::now() - began > kTimeout / 2);
      CHECK(Clock::now() - began < 10 * kTimeout);
      auto second = co_await two.ask("v/a/s");
      CHECK(first == second);
      // Whoever missed a deadline is not asked again before it has said something.
      began = Clock::now();
      co_await one.ask("v/a/other");
      CHECK(Clock::now() - began < kTimeout);
      rig.server.resume();
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("a member heard of elsewhere is an upstream here, until it leaves",
          "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      std::vector<std::string> nobody;
      Node& one = rig.node(nobody);
      Node& two = rig.node(nobody);
      auto up = co_await rig.all_up();
      REQUIRE(up);
      const auto origin = beat("o");
      REQUIRE(one.shared.heartbeat(origin));
      auto came =
          co_await rig.until([&] { return two.router.snapshot(rig.loop.now()).size() == 1; });
      CHECK(came);
      auto at = co_await two.ask("v/a/s");
      CHECK(at == "o");
      REQUIRE(one.shared.remove("o"));
      auto left = co_await rig.until([&] { return two.router.snapshot(rig.loop.now()).empty(); });
      CHECK(left);
    }
  };
  with_redis<Rig>(Test::go);
}

TEST_CASE("an edge that looks for proxies claims no routes", "[shared_routing][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      std::vector<std::string> nobody;
      SharedRoutingOptions as_proxy = rig.options();
      as_proxy.self = beat("proxy");
      Node& proxy = rig.node(nobody, as_proxy);
      SharedRoutingOptions as_edge = rig.options();
      as_edge.state.follow.clear();
      as_edge.state.follow.insert(SharedKind::Proxy);
      Node& edge = rig.node(nobody, as_edge);
      auto came =
          co_await rig.until([&] { return edge.router.snapshot(rig.loop.now()).size() == 1; });
      CHECK(came);
      CHECK(proxy.router.snapshot(rig.loop.now()).empty());
      auto at = co_await edge.ask("v/a/s");
      CHECK(at == "proxy");

      Node& other = rig.node(two_ids());
      auto up = co_await rig.all_up();
      REQUIRE(up);
      auto claimed = co_await other.ask("v/a/s");
      CHECK(claimed != "proxy");

      proxy.shared.leave();
      auto left = co_await rig.until([&] { return edge.router.snapshot(rig.loop.now()).empty(); });
      CHECK(left);
    }
  };
  with_redis<Rig>(Test::go);
}
