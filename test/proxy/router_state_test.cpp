#include "proxy/router_state.h"

#include <catch2/catch.hpp>

#include "proxy/state_keeper.h"
#include "test/proxy/routing_fixture.h"
#include "test/support/quiet_log.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::chrono::seconds kLifetime{60};

WallTime wall(double seconds) {
  return WallTime{std::chrono::hours{1000}} +
         std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

// A proxy with one configured origin, and what it has saved.
struct Life {
  Life() { REQUIRE(router.configure(configured("c"))); }

  void save(double now) { apply(state.changes(at(now), wall(now)), now); }
  void apply(const std::vector<SavedChange>& changes, double now) {
    saved = now;
    count = changes.size();
    for (const auto& change : changes) {
      if (change.value)
        kept[{change.kind, change.name}] = change;
      else
        kept.erase({change.kind, change.name});
    }
  }
  SavedState left() const {
    SavedState saved_state{.written = wall(saved)};
    for (const auto& [name, change] : kept) {
      if (name.first == SavedKind::Origin)
        saved_state.origins.push_back({*decode_member(*change.value), change.when});
      if (name.first == SavedKind::Route)
        saved_state.routes.push_back(*decode_route(*change.value));
      if (name.first == SavedKind::Drained) saved_state.drained.push_back(name.second);
    }
    return saved_state;
  }
  // The same clocks go on: at(now) is wall(now) in every life.
  void begin(const SavedState& before, double now) { state.restore(before, at(now), wall(now)); }
  std::string home(const std::string& key, double now) const {
    const auto route = router.remembered(key, at(now));
    return route ? route->upstream : "";
  }

  QuietLog quiet;
  Router router;
  RouterState state{router, kLifetime};
  std::map<std::pair<SavedKind, std::string>, SavedChange> kept;
  double saved = 0;
  std::size_t count = 0;
};

// A life in which o registered at 10, one stream went to o and one to c; saved at 12.
SavedState before() {
  Life life;
  life.begin({}, 0);
  REQUIRE(life.router.heartbeat(beat("o", "first"), at(10)));
  REQUIRE(life.router.confirmed("v/live/a", "o", at(10)));
  REQUIRE(life.router.confirmed("v/live/b", "c", at(10)));
  REQUIRE(life.router.drain("o", true));
  life.save(12);
  return life.left();
}

}  // namespace

TEST_CASE("routes, origins and drain marks come back", "[router_state]") {
  Life life;
  life.begin(before(), 15);
  CHECK(life.router.registry().alive(*life.router.registry().find("o"), at(15)));
  CHECK(life.router.registry().drained("o"));
  CHECK(life.home("v/live/a", 15) == "o");
  CHECK(life.home("v/live/b", 15) == "c");
}

TEST_CASE("an origin counts as heard when it was last heard", "[router_state]") {
  Life life;
  life.begin(before(), 39);
  CHECK(life.router.registry().find("o") != nullptr);
  life.router.tick(at(40));
  CHECK(life.router.registry().find("o") == nullptr);
  CHECK(life.home("v/live/a", 40).empty());

  Life late;
  late.begin(before(), 41);
  CHECK(late.router.registry().find("o") == nullptr);
  CHECK(late.router.registry().drained("o"));
  CHECK(late.home("v/live/a", 41).empty());
  CHECK(late.home("v/live/b", 41) == "c");
  late.save(41);
  CHECK(late.count == 3);  // o and its route are taken out, b's is confirmed
}

TEST_CASE("routes that nobody would remember any more do not come back", "[router_state]") {
  Life life;
  life.begin(before(), 71.9);
  CHECK(life.home("v/live/b", 71.9) == "c");
  Life late;
  late.begin(before(), 72);
  CHECK(late.home("v/live/b", 72).empty());
}

TEST_CASE("a route to another life of its origin does not come back", "[router_state]") {
  auto state = before();
  state.origins[0].registration.service = "second";
  Life life;
  life.begin(state, 15);
  CHECK(life.router.registry().find("o") != nullptr);
  CHECK(life.home("v/live/a", 15).empty());
}

TEST_CASE("an origin whose name the configuration has taken does not come back", "[router_state]") {
  Life life;
  REQUIRE(life.router.configure(configured("o")));
  life.begin(before(), 15);
  CHECK(life.router.registry().find("o")->upstream->knowledge == Knowledge::Configured);
  CHECK(life.home("v/live/a", 15).empty());
}

TEST_CASE("a wall clock that was set back makes nothing young again", "[router_state]") {
  Life life;
  life.state.restore(before(), at(15), wall(-5000));
  CHECK(life.router.registry().find("o")->heard == at(15));
}

TEST_CASE("only what has changed is written", "[router_state]") {
  Life life;
  life.begin({}, 0);
  life.save(0);
  CHECK(life.count == 0);
  REQUIRE(life.router.heartbeat(beat("o"), at(1)));
  REQUIRE(life.router.confirmed("v/live/a", "o", at(1)));
  life.save(1);
  CHECK(life.count == 2);
  REQUIRE(life.router.confirmed("v/live/a", "o", at(2)));  // where it leads already
  life.save(2);
  CHECK(life.count == 0);
  REQUIRE(life.router.heartbeat(beat("o"), at(11)));
  life.save(11);
  CHECK(life.count == 1);
  REQUIRE(life.router.drain("o", true));
  life.router.tick(at(50));
  life.save(50);
  CHECK(life.count == 3);
  CHECK(life.left().origins.empty());
  CHECK(life.left().routes.empty());
  CHECK(life.left().drained == std::vector<std::string>{"o"});
}

TEST_CASE("a keeper's last word is written before it ends", "[router_state]") {
  const TemporaryFolder folder;
  const QuietLog quiet;
  Metrics metrics{"test"};
  {
    StateKeeper keeper(folder.path(), metrics);
    REQUIRE(keeper.keeps());
    for (int i = 0; i < 100; ++i)
      keeper.save({{SavedKind::Route, "v/live/a", encode(SharedRoute{"v/live/a", "o", 7}), wall(0)},
                   {SavedKind::Drained, std::to_string(i),
                    encode(SharedNote{std::to_string(i), ""}), wall(0)}});
  }
  StateKeeper keeper(folder.path(), metrics);
  const auto restored = keeper.take_restored();
  CHECK(restored.routes.size() == 1);
  CHECK(restored.drained.size() == 100);
}

TEST_CASE("without a usable folder, or in another's, nothing is kept and nothing breaks",
          "[router_state]") {
  const QuietLog quiet;
  Metrics metrics{"test"};
  StateKeeper nowhere("/proc/no such folder", metrics);
  CHECK_FALSE(nowhere.keeps());
  nowhere.save({{SavedKind::Drained, "o", "{}", wall(0)}});

  const TemporaryFolder folder;
  StateKeeper first(folder.path(), metrics);
  StateKeeper second(folder.path(), metrics);
  CHECK(first.keeps());
  CHECK_FALSE(second.keeps());
}

TEST_CASE("a file that is full is given up, for what is old would mislead", "[router_state]") {
  const TemporaryFolder folder;
  const QuietLog quiet;
  Metrics metrics{"test"};
  {
    StateKeeper keeper(folder.path(), metrics, 128 * 1024);
    REQUIRE(keeper.keeps());
    std::vector<SavedChange> many;
    for (int i = 0; i < 2000; ++i) {
      const auto key = "v/live/" + std::to_string(i);
      many.push_back({SavedKind::Route, key, encode(SharedRoute{key, "o", 7}), wall(0)});
    }
    keeper.save(std::move(many));
  }
  StateKeeper keeper(folder.path(), metrics);
  CHECK(keeper.keeps());
  CHECK(keeper.take_restored().routes.empty());
}
