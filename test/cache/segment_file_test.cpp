#include "cache/segment_file.h"

#include <map>
#include <catch2/catch.hpp>

#include "test/cache/tier_objects.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace weir::test;
using Outcome = SegmentFile::Outcome;

namespace {

constexpr std::uint64_t kSize = 4 * 1024 * 1024;

std::unique_ptr<SegmentFile> open(const TemporaryFolder& folder, std::uint64_t size = kSize) {
  auto file = SegmentFile::open(folder.path(), size);
  INFO((file ? "" : file.error().text));
  REQUIRE(file);
  return std::move(*file);
}

void put(SegmentFile& file, const std::string& key, const TierObject& object) {
  REQUIRE(file.begin());
  REQUIRE(file.put(key, object, at(0)));
  REQUIRE(file.commit());
}

void put(SegmentFile& file, const std::string& key, std::size_t size) {
  put(file, key, object_of(key, size));
}

Outcome outcome(SegmentFile& file, const std::string& key, int now = 0) {
  auto found = file.get(key, at(now));
  REQUIRE(found);
  return found->outcome;
}

std::string body_in(SegmentFile& file, const std::string& key) {
  auto found = file.get(key, at(0));
  REQUIRE(found);
  REQUIRE(found->outcome == Outcome::Hit);
  return body_text(found->object);
}

}  // namespace

TEST_CASE("an object comes back from disk as it was put", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  TierObject object{.head = std::string("200\r\n\0x", 7), .expires = at(60)};
  std::string whole;
  for (const std::size_t size : {1UZ, 65'511UZ, 0UZ, 100'000UZ, 3UZ}) {
    object.body.push_back(shared(content_of(std::to_string(size), size)));
    whole += as_text(object.body.back().bytes);
  }
  put(*file, "a", object);
  auto found = file->get("a", at(59));
  REQUIRE(found);
  REQUIRE(found->outcome == Outcome::Hit);
  CHECK(found->object.head == object.head);
  CHECK(body_text(found->object) == whole);
  CHECK(found->object.body.size() == 1);
  CHECK(found->object.stored == at(0));
  CHECK(found->object.expires == at(60));
  CHECK(outcome(*file, "b") == Outcome::Miss);
}

TEST_CASE("bodies of no, one and several pieces, to the byte, come back", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  for (const std::size_t size : {0UZ, 1UZ, 65'511UZ, 65'512UZ, 65'513UZ, 131'024UZ, 131'025UZ}) {
    const std::string key = std::to_string(size);
    put(*file, key, size);
    CHECK(body_in(*file, key) == content_of(key, size));
  }
}

TEST_CASE("an object is of use until it expires and not from then on", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  TierObject object = object_of("a", 10);
  object.expires = at(60);
  put(*file, "a", object);
  CHECK(outcome(*file, "a", 59) == Outcome::Hit);
  CHECK(outcome(*file, "a", 60) == Outcome::Expired);
}

TEST_CASE("what is on disk is there after a restart", "[segment_file]") {
  const TemporaryFolder folder;
  SegmentFile::Usage before;
  {
    auto file = open(folder);
    put(*file, "a", 100'000);
    put(*file, "b", 10);
    before = file->usage();
  }
  auto file = open(folder);
  CHECK(file->usage().entries == 2);
  CHECK(file->usage().bytes == before.bytes);
  CHECK(body_in(*file, "a") == content_of("a", 100'000));
  put(*file, "c", 1000);
  CHECK(body_in(*file, "c") == content_of("c", 1000));
  CHECK(body_in(*file, "b") == content_of("b", 10));
}

TEST_CASE("a put replaces, an erase removes, and nothing is left behind", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  put(*file, "a", 200'000);
  put(*file, "a", object_of("x", 5));
  CHECK(body_in(*file, "a") == content_of("x", 5));
  CHECK(file->usage().entries == 1);
  REQUIRE(file->begin());
  REQUIRE(file->erase("a"));
  REQUIRE(file->erase("never there"));
  REQUIRE(file->commit());
  CHECK(outcome(*file, "a") == Outcome::Miss);
  CHECK(file->usage().entries == 0);
  CHECK(file->usage().bytes == 0);
}

TEST_CASE("a transaction that is aborted has changed nothing, but sees itself", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  put(*file, "a", 10);
  const auto before = file->usage();
  REQUIRE(file->begin());
  REQUIRE(file->put("a", object_of("b", 20), at(0)));
  CHECK(body_in(*file, "a") == content_of("b", 20));
  file->abort();
  CHECK(body_in(*file, "a") == content_of("a", 10));
  CHECK(file->usage().bytes == before.bytes);
}

TEST_CASE("an object of max_object is kept, and one byte more only replaces", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  CHECK(file->max_object() == kSize / 16);
  const std::size_t overhead = 44 + 1 + object_of("a", 0).head.size();
  const std::size_t most = file->max_object() - overhead;
  put(*file, "a", most);
  CHECK(body_in(*file, "a") == content_of("a", most));
  put(*file, "a", most + 1);
  CHECK(outcome(*file, "a") == Outcome::Miss);
}

TEST_CASE("the oldest goes when room is needed, unless it was read meanwhile", "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  std::vector<std::string> keys;
  while (file->take_evicted() == 0) {
    if (keys.size() == 3) CHECK(outcome(*file, keys[1]) == Outcome::Hit);
    keys.push_back(fmt::format("key {}", keys.size()));
    put(*file, keys.back(), 100'000);
    CHECK(file->usage().bytes <= file->limit());
  }
  CHECK(outcome(*file, keys[0]) == Outcome::Miss);
  CHECK(outcome(*file, keys.back()) == Outcome::Hit);
  keys.push_back("one more");
  put(*file, keys.back(), 100'000);
  CHECK(outcome(*file, keys[2]) == Outcome::Miss);
  CHECK(outcome(*file, keys[1]) == Outcome::Hit);
}

TEST_CASE("however much is put, the file stays within its size and sound", "[segment_file]") {
  constexpr std::uint64_t kLarger = 16 * 1024 * 1024;
  const TemporaryFolder folder;
  auto file = open(folder, kLarger);
  std::mt19937 random(1);
  std::map<std::string, std::size_t> sizes;
  for (int round = 0; round < 500; ++round) {
    REQUIRE(file->begin());
    for (int i = 0; i < 8; ++i) {
      const std::string key = fmt::format("key {}", random() % 2000);
      const std::size_t size = random() % (random() % 3 == 0 ? 120'000 : 3000);
      sizes[key] = size;
      REQUIRE(file->put(key, object_of(key, size), at(0)));
      if (random() % 4 == 0) REQUIRE(file->erase(fmt::format("key {}", random() % 2000)));
    }
    REQUIRE(file->commit());
    CHECK(file->usage().bytes <= file->limit());
  }
  CHECK(std::filesystem::file_size(folder / "segments.mdb") <= kLarger);
  const auto before = file->usage();
  file.reset();
  file = open(folder, kLarger);
  CHECK(file->usage().entries == before.entries);
  CHECK(file->usage().bytes == before.bytes);
  std::uint64_t hits = 0;
  for (const auto& [key, size] : sizes) {
    auto found = file->get(key, at(0));
    REQUIRE(found);
    if (found->outcome == Outcome::Miss) continue;
    CHECK(found->outcome == Outcome::Hit);
    CHECK(body_text(found->object) == content_of(key, size));
    ++hits;
  }
  CHECK(hits == before.entries);
}

TEST_CASE("a file larger than it may be any more is begun anew", "[segment_file]") {
  const TemporaryFolder folder;
  {
    auto file = open(folder);
    for (const char* key : {"a", "b", "c", "d", "e", "f"}) put(*file, key, 200'000);
  }
  CHECK(open(folder)->usage().entries == 6);
  auto file = open(folder, SegmentFile::kLeastSize);
  CHECK(file->usage().entries == 0);
  put(*file, "a", 1000);
  CHECK(body_in(*file, "a") == content_of("a", 1000));
}

TEST_CASE("a folder in use is Busy, and free again when its user has gone", "[segment_file]") {
  const TemporaryFolder folder;
  auto first = open(folder);
  put(*first, "a", 10);
  auto second = SegmentFile::open(folder.path(), kSize);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::Busy);
  CHECK(body_in(*first, "a") == content_of("a", 10));
  first.reset();
  CHECK(SegmentFile::open(folder.path(), kSize));
}

TEST_CASE("a folder is made in one that is there, and nowhere else", "[segment_file]") {
  const TemporaryFolder folder;
  CHECK(SegmentFile::open(folder / "new", kSize));
  CHECK_FALSE(SegmentFile::open(folder / "not/there", kSize));
  write_file(folder / "file", "");
  CHECK_FALSE(SegmentFile::open(folder / "file", kSize));
  CHECK_FALSE(SegmentFile::open("/proc/weir", kSize));
}

TEST_CASE("a sweep erases what begins so, step by step, and spares what came later",
          "[segment_file]") {
  const TemporaryFolder folder;
  auto file = open(folder);
  for (int i = 0; i < 10; ++i) {
    put(*file, "h/a/" + std::to_string(i), 70'000);
    put(*file, "h/b/" + std::to_string(i), 100);
  }
  auto sweep = file->sweep("h/a/");
  int steps = 0;
  for (bool done = false; !done; ++steps) {
    REQUIRE(file->begin());
    auto step = file->go_on(sweep, 7);
    REQUIRE(step);
    done = *step;
    REQUIRE(file->commit());
    if (steps == 0) put(*file, "h/a/9", 3);
  }
  CHECK(steps == 3);
  for (int i = 0; i < 10; ++i) {
    CHECK(outcome(*file, "h/a/" + std::to_string(i)) == (i < 9 ? Outcome::Miss : Outcome::Hit));
    CHECK(outcome(*file, "h/b/" + std::to_string(i)) == Outcome::Hit);
  }
  CHECK(file->usage().entries == 11);
}
