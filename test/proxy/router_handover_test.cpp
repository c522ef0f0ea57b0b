#include "proxy/router_handover.h"

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;

namespace {

Router with_one_configured() {
  Router router;
  REQUIRE(router.configure(configured("c")));
  return router;
}

void hear_all(Router& router, const std::vector<std::string>& lines, double now) {
  for (const auto& line : lines) hear(router, line, at(now));
}

}  // namespace

TEST_CASE("the process that takes over knows the same origins, marks and routes", "[handover]") {
  const QuietLog quiet;
  Router old = with_one_configured();
  REQUIRE(old.heartbeat(beat("o"), at(0)));
  REQUIRE(old.drain("c", true));
  const auto placed = old.route("live/a", Protocol::Rtmp, at(1));
  REQUIRE(placed);
  CHECK(placed->upstream->id == "o");

  Router fresh = with_one_configured();
  hear_all(fresh, tell_all(old, at(20)), 20);
  CHECK(fresh.registry().drained("c"));
  CHECK(fresh.remembered("live/a", at(20)) == old.remembered("live/a", at(20)));
  // The heartbeat is as old as it was.
  fresh.tick(at(29.9));
  CHECK(fresh.registry().find("o") != nullptr);
  fresh.tick(at(30));
  CHECK(fresh.registry().find("o") == nullptr);
}

TEST_CASE("routes that sessions of the old process hold stay, told again and again", "[handover]") {
  const QuietLog quiet;
  Router old = with_one_configured();
  REQUIRE(old.route("live/a", Protocol::Rtmp, at(0)));
  REQUIRE(old.route("live/b", Protocol::Rtmp, at(0)));
  old.opened("live/a", "c");
  CHECK(tell_held(old).size() == 1);

  Router fresh = with_one_configured();
  hear_all(fresh, tell_all(old, at(0)), 0);
  for (double now = 1; now < 100; ++now) {
    hear_all(fresh, tell_held(old), now);
    fresh.tick(at(now));
  }
  CHECK(fresh.remembered("live/a", at(100)));
  CHECK_FALSE(fresh.remembered("live/b", at(100)));
}

TEST_CASE("what is heard never takes a stream from where it is", "[handover]") {
  const QuietLog quiet;
  Router fresh = with_one_configured();
  REQUIRE(fresh.configure(configured("d")));
  REQUIRE(fresh.confirmed("live/a", "d", at(0)));
  hear(fresh,
       "route " +
           encode(SharedRoute{"live/a", "c", fresh.registry().find("c")->upstream->generation()}),
       at(1));
  CHECK(fresh.remembered("live/a", at(1))->upstream == "d");
}

TEST_CASE("lines of another version are ignored", "[handover]") {
  const QuietLog quiet;
  Router fresh = with_one_configured();
  for (const auto* line : {"", "route", "route {}", "origin", "origin x {}", "origin -1 {}",
                           "origin 1", "drained", "drained 7", "weather fine"})
    hear(fresh, line, at(0));
  CHECK(fresh.route_count() == 0);
  CHECK(fresh.registry().entries().size() == 1);
}
