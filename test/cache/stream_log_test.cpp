// The log itself: what it keeps and what its views show. Cursors: cursor_test.cpp.
#include "cache/stream_log.h"

#include <catch2/catch.hpp>

#include "test/cache/log_reader.h"

using namespace weir;
using namespace weir::test;

namespace {

// Blocks of ten bytes; each message below fills one.
constexpr StreamLog::Limits kTen{.block_size = 10, .max_bytes = 1000, .window = 100ms};

std::vector<std::uint64_t> begins(const StreamLog& log) {
  std::vector<std::uint64_t> result;
  for (const auto& block : *log.view().blocks) result.push_back(block->begin());
  return result;
}

using Begins = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("a log without messages shows nothing", "[stream_log]") {
  const StreamLog log(kTen);
  const LogView view = log.view();
  CHECK(view.blocks == nullptr);
  CHECK(view.committed == 0);
  CHECK_FALSE(view.keyframe);
  CHECK(log.bytes() == 0);
}

TEST_CASE("a message counts once it has ended", "[stream_log]") {
  StreamLog log(kTen);
  std::memcpy(log.begin_message(3, at(0ms)), "abc", 3);
  CHECK(log.view().committed == 0);
  CHECK_FALSE(log.view().keyframe);
  log.end_message(true);
  CHECK(log.view().committed == 3);
  CHECK(log.view().keyframe == 0);
}

TEST_CASE("the newest keyframe is where viewers start", "[stream_log]") {
  StreamLog log(kTen);
  put_key(log, "[K1]");
  put(log, "[p2]");
  put_key(log, "[K3]");
  CHECK(log.view().keyframe == 8);
  CHECK(Reader(log).read(log) == "[K3]");
}

TEST_CASE("a preamble counts from the next keyframe on", "[stream_log]") {
  StreamLog log(kTen);
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  log.set_preamble(as_bytes("{2}"));
  put(log, "[p2]");
  CHECK(Reader(log).read(log) == "{1}[K1][p2]");
  put_key(log, "[K3]");
  CHECK(Reader(log).read(log) == "{2}[K3]");
  log.set_preamble({});
  put_key(log, "[K4]");
  CHECK(log.view().preamble == nullptr);
  CHECK(Reader(log).read(log) == "[K4]");
}

TEST_CASE("a block is left when the next message does not fit", "[stream_log]") {
  StreamLog log(kTen);
  put(log, "12345");
  put(log, "67890");
  put(log, "a");
  CHECK(begins(log) == Begins{0, 10});
  put(log, "bcdefghijk");
  CHECK(begins(log) == Begins{0, 10, 11});
  CHECK(log.bytes() == 30);
}

TEST_CASE("a message larger than a block has a block of its own", "[stream_log]") {
  StreamLog log(kTen);
  put_key(log, "[K1]");
  put(log, "[a long message]");
  put(log, "[p3]");
  CHECK(begins(log) == Begins{0, 4, 20});
  CHECK(log.bytes() == 10 + 16 + 10);
  CHECK(Reader(log).read(log) == "[K1][a long message][p3]");
}

TEST_CASE("blocks go once they are older than the window and the newest keyframe", "[stream_log]") {
  StreamLog log(kTen);
  put_key(log, "[K1......]", at(0ms));
  put_key(log, "[K2......]", at(10ms));
  put(log, "[p3......]", false, at(100ms));
  CHECK(begins(log) == Begins{0, 10, 20});  // the first is exactly as old as the window
  put(log, "[p4......]", false, at(101ms));
  CHECK(begins(log) == Begins{10, 20, 30});
  put(log, "[p5......]", false, at(10'000ms));
  CHECK(begins(log) == Begins{10, 20, 30, 40});  // the newest keyframe's stays, however old
  put_key(log, "[K6......]", at(10'001ms));
  put(log, "[p7......]", false, at(10'002ms));
  CHECK(begins(log) == Begins{40, 50, 60});
}

TEST_CASE("without a keyframe the window alone rules", "[stream_log]") {
  StreamLog log(kTen);
  put(log, "[p1......]", false, at(0ms));
  put(log, "[p2......]", false, at(200ms));
  CHECK(begins(log) == Begins{10});
}

TEST_CASE("a log keeps max_bytes and not one block more", "[stream_log]") {
  StreamLog log({.block_size = 10, .max_bytes = 30, .window = 1h});
  put_key(log, "[K1......]");
  put(log, "[p2......]");
  put(log, "[p3......]");
  CHECK(begins(log) == Begins{0, 10, 20});
  CHECK(log.view().keyframe == 0);
  CHECK(log.bytes() == 30);
  put(log, "[p4......]");
  CHECK(begins(log) == Begins{10, 20, 30});
  CHECK(log.bytes() == 30);
  CHECK_FALSE(log.view().keyframe);  // nobody can start before the next one
}

TEST_CASE("the last block stays even when it alone is more than max_bytes", "[stream_log]") {
  StreamLog log({.block_size = 10, .max_bytes = 30, .window = 1h});
  put_key(log, "[K1......]");
  const std::string large = "[K2" + std::string(60, '.') + "]";
  put_key(log, large);
  CHECK(begins(log) == Begins{10});
  CHECK(Reader(log).read(log) == large);
  put_key(log, "[K3]");
  CHECK(begins(log) == Begins{10 + large.size()});
  CHECK(log.bytes() == 10);
}

TEST_CASE("what a view shows never changes", "[stream_log]") {
  StreamLog log({.block_size = 10, .max_bytes = 30, .window = 1h});
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  put(log, "[p2]");
  const LogView view = log.view();
  put(log, "[]");  // into the block that the view shows
  log.set_preamble(as_bytes("{2}"));
  for (int i = 0; i < 10; ++i) put_key(log, "[K......]");
  REQUIRE(log.view().blocks->front()->begin() > 10);
  CHECK(view.committed == 8);
  CHECK(view.keyframe == 0);
  Reader reader(log);
  reader.cursor = Cursor::start(view);
  CHECK(reader.write(view) == "{1}[K1][p2]");
  CHECK(reader.write(view).empty());
}

TEST_CASE("blocks that were let go live as long as a view shows them", "[stream_log]") {
  StreamLog log({.block_size = 10, .max_bytes = 20, .window = 1h});
  put_key(log, "[K1......]");
  std::weak_ptr<const LogBlock> first = log.view().blocks->front();
  {
    const LogView view = log.view();
    for (int i = 0; i < 5; ++i) put(log, "[p.......]");
    CHECK_FALSE(first.expired());
  }
  CHECK(first.expired());
}
