#include "proxy/route_store.h"

#include <spdlog/fmt/fmt.h>

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

namespace weir {

TEST_CASE("a later route replaces the one before", "[route_store]") {
  RouteStore store;
  REQUIRE(store.set("k", "a", 1, at(0)));
  REQUIRE(store.set("k", "b", 2, at(1)));
  CHECK(store.find("k", at(1)) == StoredRoute{"b", 2, at(1)});
  CHECK(store.count("a") == 0);
  CHECK(store.count("b") == 1);
  CHECK(store.size() == 1);
}

TEST_CASE("unused routes expire, used ones do not", "[route_store]") {
  RouteStore store;
  for (const char* key : {"unused", "touched", "held"}) REQUIRE(store.set(key, "a", 1, at(0)));
  store.hold("held", "a");
  store.touch("touched", at(30));
  CHECK(store.find("unused", at(59.9)));
  CHECK_FALSE(store.find("unused", at(60)));
  store.expire(at(60));
  CHECK(store.size() == 2);
  CHECK(store.find("touched", at(60)));
  CHECK(store.find("held", at(1e6)));

  store.release("held", "a", at(100));
  CHECK(store.find("held", at(159.9)));
  store.expire(at(160));
  CHECK(store.size() == 0);
  CHECK(store.count("a") == 0);
}

TEST_CASE("a full store lets go of the longest unused route", "[route_store]") {
  RouteStore store{{.max = 3}};
  for (const char* key : {"1", "2", "3"}) REQUIRE(store.set(key, "a", 1, at(0)));
  CHECK(store.size() == 3);
  store.touch("1", at(1));
  REQUIRE(store.set("4", "a", 1, at(2)));
  CHECK(store.size() == 3);
  CHECK(store.find("1", at(2)));
  CHECK_FALSE(store.find("2", at(2)));
}

TEST_CASE("held routes never make room for others", "[route_store]") {
  RouteStore store{{.max = 2}};
  for (const char* key : {"1", "2"}) {
    REQUIRE(store.set(key, "a", 1, at(0)));
    store.hold(key, "a");
  }
  const auto refused = store.set("3", "a", 1, at(1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::Limit);
  CHECK(store.set("2", "b", 1, at(1)));  // a move needs no more room
  CHECK(store.set("3", "a", 1, at(1)));
  CHECK(store.find("1", at(1)));
}

TEST_CASE("the routes of one upstream go together", "[route_store]") {
  RouteStore store;
  for (int i = 0; i < 10; ++i)
    REQUIRE(store.set(fmt::format("{}", i), i % 2 == 0 ? "a" : "b", 1, at(0)));
  store.hold("0", "a");
  CHECK(store.erase_upstream("a") == 5);
  CHECK(store.erase_upstream("a") == 0);
  CHECK(store.size() == 5);
  CHECK(store.count("b") == 5);
  CHECK_FALSE(store.find("0", at(0)));
  store.expire(at(100));
  CHECK(store.size() == 0);
}

TEST_CASE("holding and releasing ask for the right upstream", "[route_store]") {
  RouteStore store;
  REQUIRE(store.set("k", "a", 1, at(0)));
  store.hold("k", "b");
  CHECK_FALSE(store.find("k", at(60)));
  REQUIRE(store.set("k", "a", 1, at(60)));
  store.hold("k", "a");
  store.release("k", "b", at(61));
  CHECK(store.find("k", at(1000)));
}

TEST_CASE("unknown keys are no trouble to a store", "[route_store]") {
  RouteStore store;
  store.touch("k", at(0));
  store.hold("k", "a");
  store.release("k", "a", at(0));
  store.erase("k");
  CHECK_FALSE(store.find("k", at(0)));
  CHECK(store.size() == 0);
}

}  // namespace weir
