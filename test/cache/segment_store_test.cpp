#include "cache/segment_store.h"

#include <fstream>
#include <future>
#include <catch2/catch.hpp>

#include "common/io/loop_group.h"
#include "test/cache/tier_objects.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr off_t kRootsAlone = 2 * 4096;

SegmentStore::Options options_for(const std::string& folder) {
  SegmentStore::Options options;
  options.folder = folder;
  options.size = 16 * 1024 * 1024;
  options.gather = std::chrono::hours(1);  // unless a get, the end or enough to write forces it
  return options;
}

TierObject fresh(const std::string& key, std::size_t size) {
  TierObject object = object_of(key, size);
  object.expires = std::chrono::system_clock::now() + std::chrono::hours(1);
  return object;
}

Task<std::string> body_of(SegmentStore& store, std::string key) {
  auto found = co_await get_within(store, std::move(key), Loop::current()->in(kPatience));
  co_return found ? body_text(*found) : "miss";
}

double value(const Metrics& metrics, const std::string& line) {
  const std::string text = '\n' + metrics.text();
  const auto at = text.find('\n' + line + ' ');
  INVARIANT(at != std::string::npos, line);
  return std::stod(text.substr(at + line.size() + 2));
}

double hits(const Metrics& metrics) {
  return value(metrics, R"(weir_disk_cache_lookups_total{result="hit"})");
}

double misses(const Metrics& metrics) {
  return value(metrics, R"(weir_disk_cache_lookups_total{result="miss"})");
}

double dropped(const Metrics& metrics) { return value(metrics, "weir_disk_cache_dropped_total"); }

// A tier whose disk hangs.
class SilentTier final : public ObjectTier {
 public:
  void get(std::string, Got on_done) override { pending = std::move(on_done); }
  void put(std::string, TierObject) override {}
  void erase(std::string) override {}
  void erase_prefix(std::string) override {}
  Got pending;
};

}  // namespace

TEST_CASE("a loop sees what it has put, replaced and erased before", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  SegmentStore store(options_for(folder.path()), metrics);
  auto session = [](SegmentStore& tier) -> Task<void> {
    auto body = co_await body_of(tier, "a");
    CHECK(body == "miss");
    tier.put("a", fresh("x", 100'000));
    body = co_await body_of(tier, "a");
    CHECK(body == content_of("x", 100'000));
    tier.put("a", fresh("y", 10));
    tier.put("b", fresh("b", 10));
    body = co_await body_of(tier, "a");
    CHECK(body == content_of("y", 10));
    tier.erase("a");
    body = co_await body_of(tier, "a");
    CHECK(body == "miss");
    body = co_await body_of(tier, "b");
    CHECK(body == content_of("b", 10));
  };
  run(loop, session(store));
  CHECK(hits(metrics) == 3);
  CHECK(misses(metrics) == 2);
  CHECK(value(metrics, "weir_disk_cache_entries") == 1);
}

TEST_CASE("a get overtakes changes of other keys", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  SegmentStore store(options_for(folder.path()), metrics);
  auto session = [](SegmentStore& tier, Metrics& counted) -> Task<void> {
    tier.put("a", fresh("a", 10));
    auto body = co_await body_of(tier, "b");
    CHECK(body == "miss");
    CHECK(value(counted, "weir_disk_cache_entries") == 0);
  };
  run(loop, session(store, metrics));
}

TEST_CASE("what was put is there after a restart", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  {
    SegmentStore store(options_for(folder.path()), metrics);
    for (int i = 0; i < 50; ++i) store.put(std::to_string(i), fresh(std::to_string(i), 20'000));
  }
  SegmentStore store(options_for(folder.path()), metrics);
  auto session = [](SegmentStore& tier) -> Task<void> {
    for (int i = 0; i < 50; ++i) {
      auto body = co_await body_of(tier, std::to_string(i));
      CHECK(body == content_of(std::to_string(i), 20'000));
    }
  };
  run(loop, session(store));
}

TEST_CASE("max_waiting requests wait, and one more is dropped or a miss",
          "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  auto options = options_for(folder.path());
  options.max_waiting = 3;
  SegmentStore store(options, metrics);
  for (const char* key : {"a", "b", "c"}) store.put(key, fresh(key, 10));
  CHECK(dropped(metrics) == 0);
  store.put("d", fresh("d", 10));
  CHECK(dropped(metrics) == 1);
  auto session = [](SegmentStore& tier) -> Task<void> {
    auto body = co_await body_of(tier, "a");
    CHECK(body == "miss");
  };
  run(loop, session(store));
  CHECK(dropped(metrics) == 2);
}

TEST_CASE("max_waiting_bytes wait to be written, and one byte more is dropped",
          "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  auto options = options_for(folder.path());
  const std::size_t overhead = 1 + fresh("a", 0).head.size();
  options.max_waiting_bytes = 2 * (overhead + 1000);
  SegmentStore store(options, metrics);
  store.put("a", fresh("a", 1000));
  store.put("b", fresh("b", 1001));
  CHECK(dropped(metrics) == 1);
  store.put("c", fresh("c", 1000));
  CHECK(dropped(metrics) == 1);
}

TEST_CASE("without a disk everything misses and nothing else happens", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  SegmentStore store(options_for(folder / "not/there"), metrics);
  auto session = [](SegmentStore& tier) -> Task<void> {
    tier.put("a", fresh("a", 10));
    auto body = co_await body_of(tier, "a");
    CHECK(body == "miss");
  };
  run(loop, session(store));
  CHECK(value(metrics, "weir_disk_cache_up") == 0);
  CHECK(value(metrics, "weir_disk_cache_errors_total") == 1);
  CHECK(dropped(metrics) == 1);
}

TEST_CASE("a disk that comes back is used again", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  auto options = options_for(folder / "sub/cache");
  options.retry = milliseconds(0);
  SegmentStore store(options, metrics);
  auto session = [](SegmentStore& tier, const TemporaryFolder& place) -> Task<void> {
    auto body = co_await body_of(tier, "a");
    CHECK(body == "miss");
    std::filesystem::create_directory(place / "sub");
    tier.put("a", fresh("a", 10));
    body = co_await body_of(tier, "a");
    CHECK(body == content_of("a", 10));
  };
  run(loop, session(store, folder));
  CHECK(value(metrics, "weir_disk_cache_up") == 1);
}

TEST_CASE("a file cut short under our hands costs what was in it", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  auto options = options_for(folder.path());
  options.retry = milliseconds(0);
  SegmentStore store(options, metrics);
  auto session = [](SegmentStore& tier, const TemporaryFolder& place) -> Task<void> {
    tier.put("a", fresh("a", 100'000));
    auto body = co_await body_of(tier, "a");
    CHECK(body == content_of("a", 100'000));
    CHECK(::truncate((place / "segments.mdb").c_str(), kRootsAlone) == 0);
    body = co_await body_of(tier, "a");
    CHECK(body == "miss");
    tier.put("a", fresh("b", 10));
    body = co_await body_of(tier, "a");
    CHECK(body == content_of("b", 10));
  };
  run(loop, session(store, folder));
  CHECK(value(metrics, "weir_disk_cache_errors_total") == 1);
}

TEST_CASE("more than fits evicts and goes on", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  Loop loop;
  auto options = options_for(folder.path());
  options.transaction_bytes = 256 * 1024;
  options.size = 4 * 1024 * 1024;
  auto session = [](SegmentStore& tier) -> Task<void> {
    for (int i = 0; i < 200; ++i) {
      const std::string key = std::to_string(i);
      tier.put(key, fresh(key, 100'000));
      auto body = co_await body_of(tier, key);
      CHECK(body == content_of(key, 100'000));
    }
  };
  SegmentStore store(options, metrics);
  run(loop, session(store));
  CHECK(value(metrics, "weir_disk_cache_evictions_total") > 100);
  CHECK(dropped(metrics) == 0);
  CHECK(value(metrics, "weir_disk_cache_up") == 1);
}

TEST_CASE("what comes at once in more than the file's size is written in parts that fit",
          "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  {
    SegmentStore store(options_for(folder.path()), metrics);
    for (int i = 0; i < 300; ++i) store.put(std::to_string(i), fresh(std::to_string(i), 100'000));
  }
  CHECK(dropped(metrics) == 0);
  CHECK(value(metrics, "weir_disk_cache_evictions_total") > 100);
  CHECK(value(metrics, "weir_disk_cache_bytes") > 10e6);
}

TEST_CASE("a file that is none of ours is begun anew, and that counts as an error",
          "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  std::ofstream(folder / "segments.mdb") << std::string(20'000, 'x');
  Metrics metrics("test");
  {
    SegmentStore store(options_for(folder.path()), metrics);
  }
  CHECK(value(metrics, "weir_disk_cache_errors_total") == 1);
  CHECK(value(metrics, "weir_disk_cache_up") == 1);
}

TEST_CASE("an answer after the deadline comes to nobody", "[segment_store]") {
  Loop loop;
  SilentTier tier;
  auto session = [](SilentTier& silent) -> Task<void> {
    auto found = co_await get_within(silent, "a", Loop::current()->in(milliseconds(1)));
    CHECK_FALSE(found);
    silent.pending(object_of("a", 10));
  };
  run(loop, session(tier));
}

TEST_CASE("many loops ask at once and each sees its own", "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  Metrics metrics("test");
  LoopGroup loops(4);
  auto options = options_for(folder.path());
  options.transaction_bytes = 64 * 1024;
  options.gather = milliseconds(1);
  SegmentStore store(options, metrics);
  std::atomic<int> good = 0;
  auto session = [](SegmentStore& tier, int loop, std::atomic<int>& right) -> Task<void> {
    for (int i = 0; i < 50; ++i) {
      const std::string key = fmt::format("{} {}", loop, i);
      tier.put(key, fresh(key, static_cast<std::size_t>(i) * 1000));
      auto body = co_await body_of(tier, key);
      if (body == content_of(key, static_cast<std::size_t>(i) * 1000)) ++right;
      tier.erase(fmt::format("{} {}", loop, i / 2));
    }
  };
  std::promise<void> done;
  std::atomic<int> left = 4;
  auto counted = [](Task<void> task, std::atomic<int>& still,
                    std::promise<void>& end) -> Task<void> {
    co_await task;
    if (--still == 0) end.set_value();
  };
  loops.start();
  loops.on_each(
      [&](Loop& loop) { loop.spawn(counted(session(store, loop.index(), good), left, done)); });
  done.get_future().wait();
  CHECK(good == 200);
}

TEST_CASE("what is erased by its beginning is gone at once and after a restart",
          "[segment_store][threads]") {
  const QuietLog quiet;
  const TemporaryFolder folder;
  for (const bool restarted : {false, true}) {
    Metrics metrics("test");
    Loop loop;
    auto body = [](const std::string& path, Metrics& told, bool again) -> Task<void> {
      SegmentStore store(options_for(path), told);
      if (!again) {
        for (int i = 0; i < 1000; ++i) store.put("h/a/" + std::to_string(i), fresh("a", 100));
        store.put("h/b", fresh("b", 100));
        store.erase_prefix("h/a/");
        store.put("h/c", fresh("c", 100));
      }
      for (const char* key : {"h/a/0", "h/a/500", "h/a/999"}) {
        auto gone = co_await body_of(store, key);
        CHECK(gone == "miss");
      }
      for (const char* key : {"h/b", "h/c"}) {
        auto there = co_await body_of(store, key);
        CHECK(there == content_of(std::string(1, key[2]), 100));
      }
    };
    test::run(loop, body(folder.path(), metrics, restarted));
  }
}
