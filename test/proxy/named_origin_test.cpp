// Requests that name the origin they want, as the Router and the Dialer see them.
#include <catch2/catch.hpp>

#include "proxy/dialer.h"
#include "test/proxy/routing_fixture.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;

namespace {

struct Pair {
  Pair() {
    REQUIRE(router.configure(configured("a")));
    REQUIRE(router.configure(configured("b", 0)));
  }
  // Whom a request for "s" is sent to, or why to nobody.
  std::string ask(std::string_view wanted, bool binds, double now,
                  const std::vector<std::string>& exclude = {}) {
    const auto route = router.route("s", Protocol::Rtmp, at(now), exclude,
                                    NamedOrigin{origin_token(wanted), binds});
    if (!route) return std::string(name(route.error().code));
    CHECK(route->named == (route->upstream->id == wanted));
    return route->upstream->id;
  }
  QuietLog quiet;
  Router router;
};

Router router_to(std::uint16_t first, std::uint16_t second) {
  Router router;
  for (const auto& [id, port, weight] :
       {std::tuple{"first", first, 1u}, std::tuple{"second", second, 0u}}) {
    Upstream upstream;
    upstream.id = id;
    upstream.weight = weight;
    upstream.at(Protocol::Http).push_back({"127.0.0.1", port});
    INVARIANT(router.configure(std::move(upstream)));
  }
  return router;
}

}  // namespace

TEST_CASE("the origin that a request names is asked, and the stream stays where it is",
          "[named_origin]") {
  Pair pair;
  for (const bool binds : {true, false}) {
    CHECK(pair.ask("b", binds, 0) == "b");
    CHECK(pair.ask("a", binds, 0) == "a");
  }
  CHECK(pair.router.route_count() == 0);
  CHECK(pair.router.route("s", Protocol::Rtmp, at(1))->upstream->id == "a");
  CHECK(pair.ask("b", true, 2) == "b");
  CHECK(pair.router.route("s", Protocol::Rtmp, at(3))->upstream->id == "a");
}

TEST_CASE("a token that names nobody is not found when it binds, else the stream's origin is asked",
          "[named_origin]") {
  Pair pair;
  CHECK(pair.ask("c", true, 0) == "not_found");
  CHECK(pair.ask("c", false, 0) == "a");
  CHECK(pair.ask("b", true, 0, {"b"}) == "not_found");
  CHECK(pair.ask("b", false, 0, {"b"}) == "a");
  const NamedOrigin b{origin_token("b"), true};
  const auto silent = pair.router.route("s", Protocol::Http, at(0), {}, b);
  CHECK(silent.error().code == Errc::NotFound);
}

TEST_CASE("an ejected origin is asked for what is bound to it, not for what prefers it",
          "[named_origin]") {
  Pair pair;
  pair.router.failed("x", "b", Errc::Refused, at(0));
  CHECK(pair.ask("b", true, 1) == "b");
  CHECK(pair.ask("b", false, 1) == "a");
  CHECK(pair.ask("b", false, 10) == "b");
}

TEST_CASE("a registered origin is named from its first heartbeat until it falls silent",
          "[named_origin]") {
  Pair pair;
  CHECK(pair.ask("o", true, 0) == "not_found");
  REQUIRE(pair.router.heartbeat(beat("o"), at(0)));
  CHECK(pair.ask("o", true, 1) == "o");
  REQUIRE(pair.router.heartbeat(beat("o", "second"), at(2)));
  CHECK(pair.ask("o", true, 3) == "o");
  CHECK(pair.ask("o", true, 40) == "not_found");
  pair.router.tick(at(40));
  CHECK(pair.ask("o", true, 40) == "not_found");
  REQUIRE(pair.router.heartbeat(beat("o", "third"), at(41)));
  CHECK(pair.ask("o", true, 42) == "o");
}

TEST_CASE("a bound origin that refuses is not found, and nobody else is tried", "[named_origin]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const QuietLog quiet;
    const RefusingPort dead;
    int guests = 0;
    const auto listener = listen_on(on, [&guests](std::unique_ptr<Socket>) { ++guests; });
    Metrics metrics("test");
    Routing routing(on, router_to(listener->port(), dead.port()), metrics);
    Resolver resolver(on);
    for (const bool binds : {true, false}) {
      Dialer dialer(routing, resolver, "s", Protocol::Http, {});
      dialer.name_first({origin_token("second"), binds});
      auto dialed = co_await dialer.next();
      if (binds)
        CHECK(dialed.error().code == Errc::NotFound);
      else
        CHECK((dialed && dialed->upstream->id == "first"));
    }
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("that a named origin lets itself be connected does not put it back in use",
          "[named_origin]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const QuietLog quiet;
    const auto listener = listen_on(on, [](std::unique_ptr<Socket>) {});
    Metrics metrics("test");
    Routing routing(on, router_to(listener->port(), listener->port()), metrics);
    Resolver resolver(on);
    routing.failed("s", "second", Errc::Timeout, Stage::Setup);
    Dialer dialer(routing, resolver, "s", Protocol::Http, {});
    dialer.name_first({origin_token("second"), true});
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    co_await Turn{on};
    const std::optional second = NamedOrigin{origin_token("second"), false};
    auto preferred = co_await routing.route("s", Protocol::Http, {}, second);
    CHECK((preferred && preferred->upstream->id == "first"));
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}
