#include "proxy/router.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <set>
#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

namespace weir {
namespace {

using Ids = std::vector<std::string>;

// Three configured origins a, b and c, and a quiet log.
struct Cluster {
  Cluster() {
    for (const char* id : {"a", "b", "c"}) REQUIRE(router.configure(configured(id)));
  }
  ~Cluster() { spdlog::set_level(level); }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::string ask(const std::string& key, double now, const Ids& exclude = {},
                  Protocol protocol = Protocol::Rtmp) {
    const auto route = router.route(key, protocol, at(now), exclude);
    return route ? route->upstream->id : std::string{name(route.error().code)};
  }
  UpstreamState state(const std::string& id, double now) const {
    for (const auto& state : router.snapshot(at(now)))
      if (state.upstream->id == id) return state;
    return {};
  }

  spdlog::level::level_enum level = [] {
    const auto before = spdlog::get_level();
    spdlog::set_level(spdlog::level::off);
    return before;
  }();
  Router router;
};

std::string other_than(const std::string& id) { return id == "a" ? "b" : "a"; }

}  // namespace

TEST_CASE("every request for a stream reaches the same origin", "[router]") {
  Cluster cluster;
  std::map<std::string, int> streams;
  for (int i = 0; i < 30; ++i) {
    const auto key = fmt::format("v/live/{}", i);
    const auto first = cluster.ask(key, 0);
    for (int again = 1; again < 5; ++again) CHECK(cluster.ask(key, again) == first);
    ++streams[first];
  }
  CHECK(streams == std::map<std::string, int>{{"a", 10}, {"b", 10}, {"c", 10}});
}

TEST_CASE("a failed origin's streams move at once and stay where they went", "[router]") {
  Cluster cluster;
  const auto first = cluster.ask("k", 0);
  cluster.router.opened("k", first);
  cluster.router.failed("k", first, Errc::Refused, at(1));
  CHECK(cluster.state(first, 1).routes == 0);
  CHECK(cluster.state(first, 1).ejected());
  const auto second = cluster.ask("k", 1, {first});
  CHECK(second != first);
  cluster.router.closed("k", first, at(1));
  CHECK(cluster.ask("k", 2) == second);
  CHECK(cluster.ask("k", 30) == second);  // also when the first is back in use
}

TEST_CASE("all streams of a failed origin move, not only the one that noticed", "[router]") {
  Cluster cluster;
  std::set<std::string> moved;
  for (int i = 0; i < 30; ++i) {
    const auto key = fmt::format("{}", i);
    if (cluster.ask(key, 0) == "b") moved.insert(key);
  }
  REQUIRE(moved.size() == 10);
  cluster.router.failed(*moved.begin(), "b", Errc::Timeout, at(1));
  for (const auto& key : moved) CHECK(cluster.ask(key, 1) != "b");
}

TEST_CASE("what says nothing about an origin's health does not eject it", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  for (const Errc reason :
       {Errc::NotFound, Errc::Busy, Errc::Limit, Errc::Loop, Errc::Cancelled, Errc::System})
    cluster.router.failed("k", home, reason, at(1));
  CHECK_FALSE(cluster.state(home, 1).ejected());
  CHECK(cluster.ask("k", 1) == home);
}

TEST_CASE("the further a request had come, the less its end says about the origin", "[router]") {
  const auto ejects = [](Errc reason, Stage stage) {
    Cluster cluster;
    const auto home = cluster.ask("k", 0);
    cluster.router.failed("k", home, reason, at(1), stage);
    return cluster.state(home, 1).ejected();
  };
  for (const Errc reason : {Errc::Closed, Errc::Reset, Errc::Denied, Errc::Protocol}) {
    CHECK(ejects(reason, Stage::Connect));
    CHECK_FALSE(ejects(reason, Stage::Setup));
    CHECK_FALSE(ejects(reason, Stage::Request));
  }
  CHECK(ejects(Errc::Timeout, Stage::Connect));
  CHECK(ejects(Errc::Timeout, Stage::Setup));
  CHECK_FALSE(ejects(Errc::Timeout, Stage::Request));
}

TEST_CASE("who hangs up five times in a row gets no new streams and keeps those it has",
          "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  using Effect = Router::Effect;
  for (int i = 0; i < 4; ++i)
    CHECK(cluster.router.failed("x", home, Errc::Closed, at(1), Stage::Setup) == Effect::None);
  CHECK(cluster.router.failed("x", home, Errc::Reset, at(1), Stage::Setup) == Effect::Ejected);
  CHECK(cluster.state(home, 1).ejected());
  CHECK(cluster.ask("k", 1) == home);
  for (int i = 0; i < 20; ++i) CHECK(cluster.ask(fmt::format("new/{}", i), 1) != home);
  CHECK(cluster.router.failed("k", home, Errc::Refused, at(2)) == Effect::Moved);
  CHECK(cluster.ask("k", 2) != home);
}

TEST_CASE("five WebRTC sessions without media are as five hang-ups, unless one has it",
          "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  const auto silent = [&] {
    return cluster.router.failed("x", home, Errc::Timeout, at(1), Stage::Media);
  };
  for (int i = 0; i < 4; ++i) CHECK(silent() == Router::Effect::None);
  cluster.router.served(home);
  for (int i = 0; i < 4; ++i) CHECK(silent() == Router::Effect::None);
  CHECK(silent() == Router::Effect::Ejected);
  CHECK(cluster.ask("k", 1) == home);
}

TEST_CASE("a stream that was served makes hang-ups no row", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  for (int i = 0; i < 12; ++i) {
    cluster.router.failed("x", home, Errc::Closed, at(1), Stage::Setup);
    if (i % 4 == 3) REQUIRE(cluster.router.confirmed("k", home, at(1)));
  }
  CHECK_FALSE(cluster.state(home, 1).ejected());
}

TEST_CASE("whom probes find down loses its streams, and gets new ones when they find it up",
          "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  using Effect = Router::Effect;
  CHECK(cluster.router.probed(home, Probed::Bad, "silent", at(0)) == Effect::None);
  CHECK(cluster.router.probed(home, Probed::Bad, "silent", at(1)) == Effect::None);
  CHECK(cluster.router.probed(home, Probed::Bad, "silent", at(2)) == Effect::Moved);
  CHECK(cluster.state(home, 2).probes == Probes::Down);
  const auto second = cluster.ask("k", 2);
  CHECK(second != home);
  cluster.router.probed(home, Probed::Good, "", at(3));
  cluster.router.probed(home, Probed::Good, "", at(4));
  CHECK_FALSE(cluster.state(home, 4).ejected());
  CHECK(cluster.ask("k", 4) == second);
}

TEST_CASE("when probes find all down somebody is still asked", "[router]") {
  Cluster cluster;
  using Effect = Router::Effect;
  CHECK(cluster.router.probed("a", Probed::Refused, "", at(0)) == Effect::Moved);
  CHECK(cluster.router.probed("b", Probed::Refused, "", at(0)) == Effect::Moved);
  CHECK(cluster.router.probed("c", Probed::Refused, "", at(0)) == Effect::Ejected);
  CHECK(cluster.ask("k", 1) != "unavailable");
  CHECK(cluster.router.probed("z", Probed::Refused, "", at(0)) == Effect::None);
}

TEST_CASE("trying others after a not-found does not move the stream", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  const auto second = cluster.router.route("k", Protocol::Rtmp, at(1), Ids{home});
  REQUIRE(second);
  CHECK_FALSE(second->remembered);
  const auto third = cluster.ask("k", 1, {home, second->upstream->id});
  CHECK(std::set{home, second->upstream->id, third}.size() == 3);
  CHECK(cluster.ask("k", 1, {"a", "b", "c"}) == "unavailable");
  CHECK(cluster.ask("k", 1) == home);

  REQUIRE(cluster.router.confirmed("k", third, at(2)));
  CHECK(cluster.ask("k", 3) == third);
  CHECK(cluster.router.confirmed("k", "z", at(3)).error().code == Errc::NotFound);
}

TEST_CASE("open sessions hold the route, the last one's end lets it expire", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  cluster.router.opened("k", home);
  cluster.router.opened("k", home);
  CHECK(cluster.state(home, 0).streams == 1);
  cluster.router.closed("k", home, at(1000));
  cluster.router.tick(at(1000));
  CHECK(cluster.router.route_count() == 1);

  cluster.router.closed("k", home, at(2000));
  CHECK(cluster.state(home, 2000).streams == 0);
  cluster.router.tick(at(2059));
  CHECK(cluster.router.route_count() == 1);
  cluster.router.tick(at(2060));
  CHECK(cluster.router.route_count() == 0);
}

TEST_CASE("a confirmed route is held by the sessions that run there already", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("k", 0);
  const auto real = other_than(home);
  cluster.router.opened("k", real);
  REQUIRE(cluster.router.confirmed("k", real, at(0)));
  cluster.router.tick(at(1000));
  CHECK(cluster.ask("k", 1000) == real);
}

TEST_CASE("who asks is told whether sessions of the stream run where it is sent", "[router]") {
  Router router;
  REQUIRE(router.configure(configured("a")));
  const auto held = [&](int now) {
    const auto route = router.route("k", Protocol::Rtmp, at(now));
    REQUIRE(route);
    return route->held;
  };
  CHECK_FALSE(held(0));
  router.opened("k", "a");
  CHECK(held(1));
  router.failed("k", "a", Errc::Refused, at(2));  // the route is lost, the session is not
  CHECK(held(10));
  router.closed("k", "a", at(11));
  CHECK_FALSE(held(12));
}

TEST_CASE("a stream whose route was lost goes back to where its sessions run", "[router]") {
  Cluster cluster;
  for (int i = 0; i < 20; ++i) {
    const auto key = fmt::format("{}", i);
    const auto home = cluster.ask(key, 100 * i);
    cluster.router.opened(key, home);
    cluster.router.failed(key, home, Errc::Timeout, at(100 * i));
    CHECK(cluster.ask(key, 100 * i + 90) == home);
  }
}

TEST_CASE("a restarted origin loses its routes, a refreshed one keeps them", "[router]") {
  Cluster cluster;
  REQUIRE(cluster.router.heartbeat(beat("o", "first"), at(0)));
  REQUIRE(cluster.router.confirmed("k", "o", at(0)));
  REQUIRE(cluster.router.heartbeat(beat("o", "first"), at(10)));
  CHECK(cluster.ask("k", 10) == "o");
  CHECK(cluster.state("o", 10).routes == 1);
  REQUIRE(cluster.router.heartbeat(beat("o", "second"), at(11)));
  CHECK(cluster.state("o", 11).routes == 0);
}

TEST_CASE("a silent origin loses its streams, with tick() or before it", "[router]") {
  Cluster cluster;
  REQUIRE(cluster.router.heartbeat(beat("o"), at(0)));
  REQUIRE(cluster.router.confirmed("k", "o", at(0)));
  REQUIRE(cluster.router.confirmed("other", "o", at(0)));
  CHECK(cluster.ask("k", 29.9) == "o");
  CHECK_FALSE(cluster.state("o", 30).alive);
  CHECK(cluster.ask("k", 30) != "o");
  CHECK(cluster.router.confirmed("k", "o", at(30)).error().code == Errc::NotFound);
  cluster.router.tick(at(30));
  CHECK(cluster.router.snapshot(at(30)).size() == 3);
  CHECK(cluster.router.route_count() == 1);
}

TEST_CASE("only upstreams with an endpoint for the protocol are given", "[router]") {
  Cluster cluster;
  auto web = configured("web");
  web.at(Protocol::Http) = {{"web.example", 8080}};
  REQUIRE(cluster.router.configure(web));
  for (int i = 0; i < 10; ++i)
    CHECK(cluster.ask(fmt::format("{}", i), 0, {}, Protocol::Http) == "web");
  const auto route = cluster.router.route("k", Protocol::Http, at(0));
  REQUIRE(route);
  CHECK(route->endpoints() == std::vector<Endpoint>{{"web.example", 8080}});
  CHECK(cluster.ask("k", 0, {}, Protocol::Srt) == "unavailable");
}

TEST_CASE("a stream is never looked for where it cannot be", "[router]") {
  Cluster cluster;
  auto web = configured("web");
  web.at(Protocol::Http) = {{"web.example", 8080}};
  REQUIRE(cluster.router.configure(web));
  REQUIRE(cluster.router.confirmed("k", "a", at(0)));

  SECTION("while a session runs at an origin without the protocol it is refused") {
    cluster.router.opened("k", "a");
    const auto route = cluster.router.route("k", Protocol::Http, at(1));
    REQUIRE_FALSE(route);
    CHECK(route.error().text == "the stream is at a, which has no http endpoint");
  }
  SECTION("a route that nobody uses makes way") {
    CHECK(cluster.ask("k", 1, {}, Protocol::Http) == "web");
    CHECK(cluster.ask("k", 2) == "web");
  }
}

TEST_CASE("when all are ejected somebody is still asked, and a success brings it back",
          "[router]") {
  Cluster cluster;
  cluster.router.failed("k", "a", Errc::Refused, at(0));
  cluster.router.failed("k", "b", Errc::Refused, at(1));
  cluster.router.failed("k", "c", Errc::Refused, at(2));
  CHECK(cluster.ask("k", 3) == "a");
  CHECK(cluster.ask("k", 3, {"a"}) == "b");
  CHECK(cluster.ask("k", 3) == "a");
  cluster.router.succeeded("a", at(3));
  CHECK_FALSE(cluster.state("a", 3).ejected());
  CHECK(cluster.ask("other", 3) == "a");
}

TEST_CASE("a route to an ejected origin lasts until somebody is in use", "[router]") {
  Cluster cluster;
  for (const char* id : {"a", "b", "c"}) cluster.router.failed("k", id, Errc::Refused, at(0));
  const auto last = cluster.ask("k", 1);
  CHECK(cluster.ask("k", 2) == last);
  const auto up = other_than(last);
  cluster.router.succeeded(up, at(3));
  CHECK(cluster.ask("k", 3) == up);
}

TEST_CASE("a drained origin keeps its streams and gets no new ones", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("v/live/s", 0);
  REQUIRE(cluster.router.drain(home, true));
  CHECK(cluster.state(home, 0).drained);
  CHECK(cluster.ask("v/live/s", 1) == home);
  for (int i = 0; i < 20; ++i) CHECK(cluster.ask(fmt::format("v/live/{}", i), 1) != home);
  REQUIRE(cluster.router.drain(home, false));
  CHECK_FALSE(cluster.state(home, 1).drained);
  CHECK(cluster.ask("v/live/new", 1) == home);
}

TEST_CASE("a stream whose route was lost goes back to a drained origin where it runs", "[router]") {
  Cluster cluster;
  const auto home = cluster.ask("v/live/s", 0);
  cluster.router.opened("v/live/s", home);
  REQUIRE(cluster.router.drain(home, true));
  cluster.router.failed("v/live/s", home, Errc::Refused, at(0));
  cluster.router.succeeded(home, at(1));
  CHECK(cluster.ask("v/live/s", 1) == home);
  CHECK(cluster.ask("v/live/s", 1, {home}) != home);
}

TEST_CASE("an origin that is removed loses its routes", "[router]") {
  Cluster cluster;
  REQUIRE(cluster.router.heartbeat(beat("o"), at(0)));
  REQUIRE(cluster.router.confirmed("v/live/s", "o", at(0)));
  REQUIRE(cluster.router.remove("o"));
  CHECK(cluster.router.route_count() == 0);
  CHECK(cluster.ask("v/live/s", 1) != "o");
  CHECK(cluster.router.remove("a").error().code == Errc::Denied);
}

TEST_CASE("nobody at all is a clear error", "[router]") {
  Router empty;
  const auto route = empty.route("k", Protocol::Rtmp, at(0));
  REQUIRE_FALSE(route);
  CHECK(route.error().code == Errc::Unavailable);
  CHECK(route.error().text == "no live upstream has a rtmp endpoint (0 known)");
}

TEST_CASE("a router whose routes are all in use refuses new streams only", "[router]") {
  Router router{{}, Balancer{}, {.max = 1}};
  REQUIRE(router.configure(configured("a")));
  REQUIRE(router.route("k", Protocol::Rtmp, at(0)));
  router.opened("k", "a");
  CHECK(router.route("k", Protocol::Rtmp, at(1)));
  const auto refused = router.route("other", Protocol::Rtmp, at(1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::Unavailable);
}

TEST_CASE("the snapshot tells each upstream's state", "[router]") {
  Cluster cluster;
  REQUIRE(cluster.router.confirmed("k", "a", at(0)));
  cluster.router.opened("k", "a");
  cluster.router.failed("j", "b", Errc::Timeout, at(0));
  const auto states = cluster.router.snapshot(at(1));
  REQUIRE(states.size() == 3);
  CHECK(states[0].streams == 1);
  CHECK(states[0].routes == 1);
  CHECK_FALSE(states[0].ejected());
  CHECK(states[1].ejected_for == std::chrono::seconds{4});
  CHECK(states[1].failures == 1);
  CHECK(states[1].ejections == 1);
  CHECK(states[2].alive);
}

}  // namespace weir
