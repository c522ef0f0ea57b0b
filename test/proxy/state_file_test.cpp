#include "proxy/state_file.h"

#include <spdlog/fmt/fmt.h>

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace weir::test;

namespace {

WallTime wall(int seconds) { return WallTime{std::chrono::seconds{1'700'000'000 + seconds}}; }

SavedChange origin(const std::string& id, int heard) {
  return {SavedKind::Origin, id, encode(beat(id)), wall(heard)};
}
SavedChange route(const std::string& stream, const std::string& upstream) {
  return {SavedKind::Route, stream, encode(SharedRoute{stream, upstream, 7}), wall(0)};
}
SavedChange drained(const std::string& id) {
  return {SavedKind::Drained, id, encode(SharedNote{id, ""}), wall(0)};
}
SavedChange gone(SavedKind kind, const std::string& name) {
  return {kind, name, std::nullopt, wall(0)};
}

Result<void> write(StateFile& file, const std::vector<SavedChange>& changes, int at = 0) {
  return file.write(changes, wall(at));
}

SavedState reopened(const TemporaryFolder& folder) {
  auto file = StateFile::open(folder.path());
  REQUIRE(file);
  auto state = (*file)->load();
  REQUIRE(state);
  return std::move(*state);
}

void write_some(const TemporaryFolder& folder) {
  auto file = StateFile::open(folder.path());
  REQUIRE(file);
  REQUIRE(write(**file,
                {origin("o", 5), route("v/live/a", "o"), route("v/live/b", "o"), drained("o")}, 9));
}

}  // namespace

TEST_CASE("what was written is there when the file is opened again", "[state_file]") {
  const TemporaryFolder folder;
  write_some(folder);
  const auto state = reopened(folder);
  REQUIRE(state.origins.size() == 1);
  CHECK(state.origins[0].registration.server == "o");
  CHECK(state.origins[0].registration.endpoints == beat("o").endpoints);
  CHECK(state.origins[0].heard == wall(5));
  CHECK(state.routes.size() == 2);
  CHECK(state.drained == std::vector<std::string>{"o"});
  CHECK(state.written == wall(9));
  CHECK(state.damaged == 0);
}

TEST_CASE("what is replaced or gone is not there any more", "[state_file]") {
  const TemporaryFolder folder;
  write_some(folder);
  {
    auto file = StateFile::open(folder.path());
    REQUIRE(file);
    REQUIRE(write(**file, {gone(SavedKind::Origin, "o"), route("v/live/a", "p"),
                           gone(SavedKind::Route, "v/live/b"), gone(SavedKind::Drained, "o"),
                           gone(SavedKind::Drained, "never there")}));
  }
  const auto state = reopened(folder);
  CHECK(state.origins.empty());
  CHECK(state.routes == std::vector<SharedRoute>{{"v/live/a", "p", 7}});
  CHECK(state.drained.empty());
}

TEST_CASE("a damaged record is left out, and all others are there", "[state_file]") {
  const TemporaryFolder folder;
  write_some(folder);
  auto content = read_file(folder / "state.mdb");
  const auto at = content.rfind("v/live/b");
  REQUIRE(at != std::string::npos);
  content[at] = 'V';
  for (auto next = content.find("v/live/b"); next != std::string::npos;
       next = content.find("v/live/b"))
    content[next] = 'V';
  write_file(folder / "state.mdb", content);
  const auto state = reopened(folder);
  CHECK(state.damaged == 1);
  CHECK(state.routes == std::vector<SharedRoute>{{"v/live/a", "o", 7}});
  CHECK(state.origins.size() == 1);
}

TEST_CASE("a file that is none of ours, or cut short, is begun anew", "[state_file]") {
  for (const std::string& content : {std::string("not a database"), std::string(100'000, 'x')}) {
    const TemporaryFolder folder;
    write_some(folder);
    write_file(folder / "state.mdb", content);
    const auto state = reopened(folder);
    CHECK(state.origins.empty());
    CHECK(state.damaged == 0);
    write_some(folder);
    CHECK(reopened(folder).routes.size() == 2);
  }
  const TemporaryFolder folder;
  write_some(folder);
  const auto whole = read_file(folder / "state.mdb");
  for (std::size_t size = 4096; size < whole.size(); size += 4096) {
    write_file(folder / "state.mdb", whole.substr(0, size));
    const auto state = reopened(folder);
    CHECK(state.routes.size() <= 2);
  }
}

TEST_CASE("two processes do not share one file", "[state_file]") {
  const TemporaryFolder folder;
  auto first = StateFile::open(folder.path());
  REQUIRE(first);
  auto second = StateFile::open(folder.path());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::Busy);
}

TEST_CASE("a file without room says so, and keeps what it had", "[state_file]") {
  const TemporaryFolder folder;
  {
    auto file = StateFile::open(folder.path(), 128 * 1024);
    REQUIRE(file);
    REQUIRE(write(**file, {route("v/live/a", "o")}));
    std::vector<SavedChange> many;
    for (int i = 0; i < 2000; ++i) many.push_back(route(fmt::format("v/live/{}", i), "o"));
    const auto full = write(**file, many);
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Errc::Limit);
  }
  CHECK(reopened(folder).routes.size() == 1);
}
