// What a bad disk, a killed process and a stranger's hand do to the file of the cache: objects may
// be lost, nothing else.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <catch2/catch.hpp>

#include "cache/segment_file.h"
#include "common/lmdb_check.h"
#include "test/cache/tier_objects.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace weir::test;
using Outcome = SegmentFile::Outcome;

namespace {

constexpr std::uint64_t kSize = 16 * 1024 * 1024;
constexpr int kObjects = 60;
constexpr off_t kRootsAlone = 2 * 4096;

std::string key_at(int i) { return fmt::format("key {}", i); }
std::size_t size_at(int i) { return i % 10 == 0 ? 150'000 : 37UZ * static_cast<std::size_t>(i); }

const std::string& content_at(int i) {
  static const auto all = [] {
    std::vector<std::string> contents;
    for (int n = 0; n < kObjects; ++n) contents.push_back(content_of(key_at(n), size_at(n)));
    return contents;
  }();
  return all[static_cast<std::size_t>(i)];
}

// A third of them in each transaction.
Result<void> put_all(SegmentFile& file) {
  for (int from = 0; from < kObjects; from += kObjects / 3) {
    auto done = file.begin();
    for (int i = from; done && i < from + kObjects / 3; ++i) {
      TierObject object{.head = "head", .expires = at(60)};
      object.body.push_back({as_bytes(content_at(i)), nullptr});
      done = file.put(key_at(i), object, at(0));
    }
    if (!done) file.abort();
    if (done) done = file.commit();
    if (!done) return done;
  }
  return {};
}

// Objects that came back; each one as it was put.
int count_whole(SegmentFile& file) {
  int whole = 0;
  for (int i = 0; i < kObjects; ++i) {
    auto found = file.get(key_at(i), at(0));
    if (!found || found->outcome != Outcome::Hit) continue;
    REQUIRE(body_text(found->object) == content_at(i));
    ++whole;
  }
  return whole;
}

// A file with all objects in it, after some coming and going.
std::string filled_file() {
  const TemporaryFolder folder;
  auto file = SegmentFile::open(folder.path(), kSize);
  REQUIRE(file);
  for (int round = 0; round < 3; ++round) REQUIRE(put_all(**file));
  file->reset();
  REQUIRE(check_lmdb_file(folder / "segments.mdb"));
  return read_file(folder / "segments.mdb");
}

// Pages that are not the inside of a value: those whose damage LMDB would believe.
std::vector<std::size_t> structure_pages(const std::string& content) {
  std::vector<std::size_t> pages;
  for (std::size_t at = 0; at + 4096 <= content.size(); at += 4096) {
    std::uint64_t number = 0;
    std::memcpy(&number, content.data() + at, sizeof(number));
    if (number == at / 4096) pages.push_back(at);
  }
  return pages;
}

}  // namespace

TEST_CASE("bytes flipped anywhere cost objects at most", "[segment_damage]") {
  const std::string good = filled_file();
  const auto structure = structure_pages(good);
  std::mt19937 random(7);
  int damaged = 0;
  const TemporaryFolder folder;
  for (int round = 0; round < 500; ++round) {
    std::string bad = good;
    for (const bool anywhere : {round % 4 == 0, round % 2 == 0}) {
      const std::size_t at = anywhere ? random() % bad.size()
                                      : structure[random() % structure.size()] + random() % 4096;
      bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    }
    write_file(folder / "segments.mdb", bad);
    auto file = SegmentFile::open(folder.path(), kSize);
    REQUIRE(file);
    if (count_whole(**file) < kObjects) ++damaged;
    if (round % 50 == 0 && put_all(**file)) CHECK(count_whole(**file) == kObjects);
  }
  CHECK(damaged > 100);
}

TEST_CASE("a damaged body is told from a sound one, and its neighbours are served",
          "[segment_damage]") {
  const TemporaryFolder folder;
  std::string content = filled_file();
  const std::string body = content_at(10);
  for (std::size_t at = 0; (at = content.find(body.substr(1000, 100), at)) != std::string::npos;)
    content[at] = static_cast<char>(content[at] ^ 1);
  write_file(folder / "segments.mdb", content);
  auto file = SegmentFile::open(folder.path(), kSize);
  REQUIRE(file);
  auto found = (*file)->get(key_at(10), at(0));
  REQUIRE(found);
  CHECK(found->outcome == Outcome::Corrupt);
  CHECK(count_whole(**file) == kObjects - 1);
}

TEST_CASE("a file cut short, empty, or of another kind is begun anew", "[segment_damage]") {
  const std::string good = filled_file();
  std::string wrong_version = good;
  wrong_version[20] = 2;
  for (const auto& content :
       {good.substr(0, good.size() / 2), good.substr(0, 4096), good.substr(0, 5000),
        good.substr(0, 100), std::string(), std::string(20'000, 'x'), wrong_version}) {
    const TemporaryFolder folder;
    write_file(folder / "segments.mdb", content);
    auto file = SegmentFile::open(folder.path(), kSize);
    REQUIRE(file);
    CHECK(count_whole(**file) == 0);
    REQUIRE(put_all(**file));
    CHECK(count_whole(**file) == kObjects);
  }
}

TEST_CASE("a file cut short under our hands is given up, and the process goes on",
          "[segment_damage]") {
  const TemporaryFolder folder;
  auto file = SegmentFile::open(folder.path(), kSize);
  REQUIRE(file);
  REQUIRE(put_all(**file));
  REQUIRE(::truncate((folder / "segments.mdb").c_str(), kRootsAlone) == 0);
  CHECK(count_whole(**file) == 0);
  CHECK((*file)->lost());
  CHECK_FALSE((*file)->begin());
  SegmentFile::discard(folder.path());
  file->reset();
  auto anew = SegmentFile::open(folder.path(), kSize);
  REQUIRE(anew);
  REQUIRE(put_all(**anew));
  CHECK(count_whole(**anew) == kObjects);
}

TEST_CASE("a disk without room is Limit, and what is there stays", "[segment_damage]") {
  const TemporaryFolder folder;
  auto file = SegmentFile::open(folder.path(), kSize);
  REQUIRE(file);
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit usual{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
  rlimit small = usual;
  small.rlim_cur = 640 * 1024;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto filled = put_all(**file);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &usual) == 0);
  std::signal(SIGXFSZ, before);
  REQUIRE_FALSE(filled);
  CHECK(filled.error().code == Errc::Limit);
  const int whole = count_whole(**file);
  CHECK(whole > 0);
  CHECK(static_cast<std::uint64_t>(whole) == (*file)->usage().entries);
  REQUIRE(put_all(**file));
  CHECK(count_whole(**file) == kObjects);
}

TEST_CASE("killing the process loses nothing that was committed", "[segment_damage]") {
  const TemporaryFolder folder;
  for (int round = 0; round < 5; ++round) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto file = SegmentFile::open(folder.path(), kSize);
      for (int i = 0; file; ++i) {
        const std::string key = fmt::format("{} {}", round, i);
        const bool done =
            (*file)->begin() && (*file)->put(key, object_of(key, 3000), at(0)) && (*file)->commit();
        if (!done || ::write(ends[1], "x", 1) != 1) break;
      }
      ::_exit(1);
    }
    ::close(ends[1]);
    char done = 0;
    const int committed = 20 + 7 * round;
    for (int i = 0; i < committed; ++i) REQUIRE(::read(ends[0], &done, 1) == 1);
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    ::close(ends[0]);

    REQUIRE(check_lmdb_file(folder / "segments.mdb"));
    auto file = SegmentFile::open(folder.path(), kSize);
    REQUIRE(file);
    for (int i = 0; i < committed; ++i) {
      const std::string key = fmt::format("{} {}", round, i);
      auto found = (*file)->get(key, at(0));
      REQUIRE(found);
      REQUIRE(found->outcome == Outcome::Hit);
      CHECK(body_text(found->object) == content_of(key, 3000));
    }
  }
}
