#include "proxy/registry.h"

#include <spdlog/fmt/fmt.h>

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

namespace weir {
namespace {

using Ids = std::vector<std::string>;

Ids usable(const Registry& registry, double now, std::span<const std::string> exclude = {}) {
  return ids(registry.candidates(Protocol::Rtmp, at(now), exclude));
}

void fail(Registry& registry, const std::string& id, double now) {
  registry.health_of(id)->failed(registry.health(), at(now));
}

Registry two() {
  Registry registry;
  REQUIRE(registry.configure(configured("a")));
  REQUIRE(registry.configure(configured("b")));
  return registry;
}

}  // namespace

TEST_CASE("a configured upstream never expires", "[registry]") {
  Registry registry = two();
  CHECK(registry.expire(at(1e6)).empty());
  CHECK(usable(registry, 1e6) == Ids{"a", "b"});
}

TEST_CASE("a registered upstream lives as long as its heartbeats come", "[registry]") {
  Registry registry;
  REQUIRE(registry.heartbeat(beat("o"), at(0)) == Registry::Heard::Added);
  REQUIRE(registry.heartbeat(beat("o"), at(20)) == Registry::Heard::Refreshed);
  CHECK(usable(registry, 49.9) == Ids{"o"});
  CHECK(usable(registry, 50).empty());
  CHECK(registry.expire(at(49.9)).empty());
  CHECK(registry.expire(at(50)) == Ids{"o"});
  CHECK(registry.find("o") == nullptr);
}

TEST_CASE("a restarted server replaces its old entry at once", "[registry]") {
  Registry registry;
  REQUIRE(registry.heartbeat(beat("o", "first"), at(0)));
  const auto before = registry.find("o")->upstream;
  REQUIRE(registry.heartbeat(beat("o", "second"), at(1)) == Registry::Heard::Restarted);
  CHECK(registry.entries().size() == 1);
  CHECK(registry.find("o")->upstream->generation() != before->generation());
}

TEST_CASE("a heartbeat may change endpoints within one life", "[registry]") {
  Registry registry;
  REQUIRE(registry.heartbeat(beat("o"), at(0)));
  auto moved = beat("o");
  moved.endpoints[static_cast<std::size_t>(Protocol::Rtmp)] = {{"10.0.0.9", 1935}};
  CHECK(registry.heartbeat(moved, at(1)) == Registry::Heard::Changed);
  CHECK(registry.find("o")->upstream->at(Protocol::Rtmp).front().host == "10.0.0.9");
}

TEST_CASE("a heartbeat cannot take the name of a configured upstream", "[registry]") {
  Registry registry = two();
  const auto heard = registry.heartbeat(beat("a"), at(0));
  REQUIRE_FALSE(heard);
  CHECK(heard.error().code == Errc::Denied);
  CHECK(registry.find("a")->upstream->host == "a.example");
}

TEST_CASE("the registry takes `max` upstreams and not one more", "[registry]") {
  Registry registry{{.max = 3}};
  REQUIRE(registry.configure(configured("a")));
  REQUIRE(registry.heartbeat(beat("b"), at(0)));
  REQUIRE(registry.heartbeat(beat("c"), at(10)));
  const auto refused = registry.heartbeat(beat("d"), at(10));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::Limit);
  CHECK_FALSE(registry.configure(configured("d")));

  CHECK(registry.heartbeat(beat("b"), at(10)));  // who is known stays welcome
  CHECK(registry.heartbeat(beat("d"), at(45)));  // b and c are silent by now
}

TEST_CASE("two configured upstreams need two names", "[registry]") {
  Registry registry = two();
  CHECK(registry.configure(configured("a")).error().code == Errc::Busy);
}

TEST_CASE("only upstreams that speak the protocol are candidates", "[registry]") {
  Registry registry = two();
  CHECK(registry.candidates(Protocol::Http, at(0)).empty());
}

TEST_CASE("when all are ejected the one whose ejection ends first remains", "[registry]") {
  Registry registry = two();
  fail(registry, "a", 0);
  fail(registry, "b", 1);
  CHECK(usable(registry, 2) == Ids{"a"});
  const Ids tried{"a"};
  CHECK(usable(registry, 2, tried) == Ids{"b"});
  const Ids both{"a", "b"};
  CHECK(usable(registry, 2, both).empty());
}

TEST_CASE("a restart ends the ejection, another heartbeat does not", "[registry]") {
  Registry registry;
  REQUIRE(registry.heartbeat(beat("o", "first"), at(0)));
  REQUIRE(registry.heartbeat(beat("p"), at(0)));
  fail(registry, "o", 1);
  REQUIRE(registry.heartbeat(beat("o", "first"), at(2)));
  CHECK(usable(registry, 2) == Ids{"p"});
  REQUIRE(registry.heartbeat(beat("o", "second"), at(3)));
  CHECK(usable(registry, 3) == Ids{"o", "p"});
  CHECK(registry.find("o")->health.failures() == 1);
}

TEST_CASE("a drained upstream gets no new streams, not even when there is no other", "[registry]") {
  Registry registry = two();
  REQUIRE(registry.drain("a", true));
  CHECK(usable(registry, 0) == Ids{"b"});
  fail(registry, "b", 0);
  CHECK(usable(registry, 1) == Ids{"b"});
  const Ids tried{"b"};
  CHECK(usable(registry, 1, tried).empty());
  REQUIRE(registry.drain("a", false));
  CHECK(usable(registry, 1) == Ids{"a"});
}

TEST_CASE("a search asks drained upstreams after those in use and before those ejected",
          "[registry]") {
  Registry registry = two();
  REQUIRE(registry.drain("a", true));
  const auto search = [&](double now, const Ids& tried) {
    return ids(registry.candidates(Protocol::Rtmp, at(now), tried, Registry::Purpose::Search));
  };
  CHECK(search(0, {}) == Ids{"b"});
  CHECK(search(0, {"b"}) == Ids{"a"});
  fail(registry, "b", 0);
  CHECK(search(1, {}) == Ids{"a"});
  CHECK(search(1, {"a"}) == Ids{"b"});
}

TEST_CASE("the drain mark survives restart, silence and removal of the server", "[registry]") {
  Registry registry;
  REQUIRE(registry.heartbeat(beat("o", "first"), at(0)));
  REQUIRE(registry.drain("o", true));
  REQUIRE(registry.heartbeat(beat("o", "second"), at(1)) == Registry::Heard::Restarted);
  CHECK(usable(registry, 1).empty());
  CHECK(registry.expire(at(31)) == Ids{"o"});
  REQUIRE(registry.heartbeat(beat("o", "second"), at(32)) == Registry::Heard::Added);
  CHECK(usable(registry, 32).empty());
  REQUIRE(registry.remove("o"));
  CHECK(registry.find("o") == nullptr);
  CHECK(registry.drained("o"));
  REQUIRE(registry.drain("o", false));
  REQUIRE(registry.heartbeat(beat("o", "second"), at(33)) == Registry::Heard::Added);
  CHECK(usable(registry, 33) == Ids{"o"});
}

TEST_CASE("only who is known can be drained, only who registered can be removed", "[registry]") {
  Registry registry = two();
  CHECK(registry.drain("z", true).error().code == Errc::NotFound);
  CHECK(registry.drain("z", false).error().code == Errc::NotFound);
  CHECK(registry.drain("a", false));
  CHECK(registry.remove("z").error().code == Errc::NotFound);
  CHECK(registry.remove("a").error().code == Errc::Denied);
}

TEST_CASE("as many ids as there may be upstreams can be drained, and not one more", "[registry]") {
  Registry registry{{.max = 2}};
  for (const char* id : {"a", "b"}) {
    REQUIRE(registry.heartbeat(beat(id), at(0)));
    REQUIRE(registry.drain(id, true));
  }
  REQUIRE(registry.heartbeat(beat("c"), at(40)));  // both went silent
  CHECK(registry.drain("c", true).error().code == Errc::Limit);
  REQUIRE(registry.drain("a", false));
  CHECK(registry.drain("c", true));
}

TEST_CASE("whom probes find down is asked after those that are only left alone", "[registry]") {
  Registry registry = two();
  registry.health_of("a")->probed(registry.health(), Probed::Refused, at(0));
  fail(registry, "b", 4);
  CHECK(usable(registry, 5) == Ids{"b"});
  const Ids tried{"b"};
  CHECK(usable(registry, 5, tried) == Ids{"a"});
}

TEST_CASE("a heartbeat changes zone and load within one life", "[registry]") {
  Registry registry;
  auto said = beat("o");
  REQUIRE(registry.heartbeat(said, at(0)));
  said.load = 0.5;
  CHECK(registry.heartbeat(said, at(1)) == Registry::Heard::Refreshed);
  CHECK(registry.find("o")->load == 0.5);
  said.zone = "east";
  CHECK(registry.heartbeat(said, at(2)) == Registry::Heard::Changed);
  CHECK(registry.find("o")->upstream->zone == "east");
}

TEST_CASE("who is not known has no health", "[registry]") {
  Registry registry = two();
  CHECK(registry.health_of("z") == nullptr);
}

TEST_CASE("another configuration adds, takes away and changes its upstreams alone", "[registry]") {
  Registry registry = two();
  REQUIRE(registry.heartbeat(beat("o"), at(0)));
  fail(registry, "a", 0);
  auto moved = configured("b");
  moved.host = "other";
  auto heavier = configured("a");
  heavier.weight = 7;
  CHECK(registry.reconfigure({}, {heavier, moved, configured("c")}, at(1)) == Ids{"b"});
  CHECK(registry.entries().size() == 4);
  CHECK(registry.find("a")->upstream->weight == 7);
  CHECK(Registry::ejected(*registry.find("a"), at(1)));  // what is known of it stays known
  CHECK(registry.find("b")->upstream->host == "other");

  CHECK(registry.reconfigure({}, {configured("c")}, at(2)) == Ids{"a", "b"});
  CHECK(usable(registry, 2) == Ids{"c", "o"});
}

TEST_CASE("who has registered under a name gives way to the configuration", "[registry]") {
  Registry registry;
  REQUIRE(registry.heartbeat(beat("o"), at(0)));
  CHECK(registry.reconfigure({}, {configured("o")}, at(1)) == Ids{"o"});
  CHECK(registry.expire(at(1e6)).empty());
  CHECK(registry.heartbeat(beat("o"), at(2)).error().code == Errc::Denied);
}

}  // namespace weir
