// One viewer's way through a StreamLog.
#include <random>
#include <catch2/catch.hpp>

#include "cache/stream_log.h"
#include "test/cache/log_reader.h"

using namespace weir;
using namespace weir::test;

namespace {

// Two blocks of ten bytes: a third pushes the first out.
constexpr StreamLog::Limits kTwoBlocks{.block_size = 10, .max_bytes = 20, .window = 1h};

}  // namespace

TEST_CASE("a cursor reads everything from its keyframe on, whatever the kernel takes", "[cursor]") {
  StreamLog log({.block_size = 16, .max_bytes = 1000, .window = 1h});
  log.set_preamble(as_bytes("{headers}"));
  put(log, "[before]");
  put_key(log, "[K1]");
  std::string expected = "{headers}[K1]";
  for (int i = 0; i < 12; ++i) {
    const std::string message = "[" + std::string(static_cast<std::size_t>(i * 2), 'p') + "]";
    put(log, message);
    expected += message;
  }
  for (std::size_t most = 1; most <= expected.size() + 1; ++most) {
    CAPTURE(most);
    Reader reader(log);
    CHECK(reader.read(log, most) == expected);
    CHECK(reader.jumps == 0);
    CHECK_FALSE(reader.cursor.inside_message());
  }
}

TEST_CASE("a cursor gives no more pieces than there is room for", "[cursor]") {
  StreamLog log({.block_size = 4, .max_bytes = 1000, .window = 1h});
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  put(log, "[p2]");
  put(log, "[p3]");
  Reader reader(log);
  CHECK(reader.write(log.view(), SIZE_MAX, 1) == "{1}");
  CHECK(reader.write(log.view(), SIZE_MAX, 2) == "[K1][p2]");
  CHECK(reader.write(log.view(), SIZE_MAX, 1) == "[p3]");
}

TEST_CASE("a cursor at the end has nothing to send until more comes", "[cursor]") {
  StreamLog log(kTwoBlocks);
  put_key(log, "[K1]");
  Reader reader(log);
  CHECK(reader.read(log) == "[K1]");
  CHECK(reader.write(log).empty());
  CHECK(reader.cursor.behind(log.view()) == 0);
  put(log, "[p2]");
  CHECK(reader.cursor.behind(log.view()) == 4);
  CHECK(reader.write(log) == "[p2]");
  put(log, "[p3]");  // begins the next block
  CHECK(reader.write(log) == "[p3]");
}

TEST_CASE("configuration that changes does not disturb who keeps up", "[cursor]") {
  StreamLog log(kTwoBlocks);
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  Reader reader(log);
  CHECK(reader.read(log) == "{1}[K1]");
  log.set_preamble(as_bytes("{2}"));
  put_key(log, "[K2]");
  CHECK(reader.read(log) == "[K2]");
}

TEST_CASE("a cursor knows when it is inside of a message", "[cursor]") {
  StreamLog log(kTwoBlocks);
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  Reader reader(log);
  std::string inside;
  for (int i = 0; i < 7; ++i) {
    inside += reader.cursor.inside_message() ? 'i' : '-';
    reader.write(log, 1);
  }
  CHECK(inside == "-ii-iii");
  CHECK_FALSE(reader.cursor.inside_message());
}

TEST_CASE("a cursor left behind finishes its message, then jumps to the newest keyframe",
          "[cursor]") {
  StreamLog log(kTwoBlocks);
  put_key(log, "[K1]");
  put(log, "[p2]");
  Reader reader(log);
  CHECK(reader.write(log, 6) == "[K1][p");
  put(log, "[p3......]");
  put_key(log, "[K4......]");
  put(log, "[p5]");
  CHECK(reader.write(log) == "2]");
  CHECK(reader.jumps == 0);
  CHECK(reader.write(log) == "[K4......][p5]");
  CHECK(reader.jumps == 1);
  put(log, "[p6]");
  CHECK(reader.read(log) == "[p6]");
  CHECK(reader.jumps == 1);
}

TEST_CASE("the rest of a message may take many writes, even when the log goes on", "[cursor]") {
  StreamLog log(kTwoBlocks);
  put_key(log, "[K1......]");
  Reader reader(log);
  CHECK(reader.write(log, 3) == "[K1");
  std::string text;
  for (int i = 0; i < 7; ++i) {
    put_key(log, "[K.......]");
    text += reader.write(log, 1);
  }
  CHECK(text == "......]");
  CHECK(reader.jumps == 0);
  CHECK(reader.read(log) == "[K.......]");
  CHECK(reader.jumps == 1);
}

TEST_CASE("a cursor left behind between two messages jumps at once", "[cursor]") {
  StreamLog log(kTwoBlocks);
  put_key(log, "[K1]");
  put(log, "[p2]");
  Reader reader(log);
  CHECK(reader.write(log, 4) == "[K1]");
  put(log, "[p3......]");
  put_key(log, "[K4......]");
  CHECK(reader.write(log) == "[K4......]");
  CHECK(reader.jumps == 1);
}

TEST_CASE("a cursor left behind before its first byte starts at a newer keyframe", "[cursor]") {
  StreamLog log(kTwoBlocks);
  put_key(log, "[K1]");
  Reader reader(log);
  put_key(log, "[K2......]");
  put_key(log, "[K3......]");
  CHECK(reader.read(log) == "[K3......]");
  CHECK(reader.jumps == 1);
}

TEST_CASE("a jump sends the preamble again if it has changed", "[cursor]") {
  const bool changed = GENERATE(false, true);
  StreamLog log(kTwoBlocks);
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  Reader reader(log);
  CHECK(reader.write(log) == "{1}[K1]");
  put(log, "[p2]");
  if (changed) log.set_preamble(as_bytes("{2}"));
  put(log, "[p3......]");
  put_key(log, "[K4......]");
  CHECK(reader.read(log) == (changed ? "{2}[K4......]" : "[K4......]"));
}

TEST_CASE("a preamble that has gone out in part goes out whole before a jump", "[cursor]") {
  StreamLog log(kTwoBlocks);
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  Reader reader(log);
  CHECK(reader.write(log, 1) == "{");
  put(log, "[p2......]");
  put_key(log, "[K3......]");
  CHECK(reader.write(log) == "1}");
  CHECK(reader.jumps == 0);
  CHECK(reader.write(log) == "[K3......]");
  CHECK(reader.jumps == 1);
}

TEST_CASE("a preamble of which nothing has gone out goes before the keyframe of a jump",
          "[cursor]") {
  StreamLog log(kTwoBlocks);
  log.set_preamble(as_bytes("{1}"));
  put_key(log, "[K1]");
  Reader reader(log);
  put(log, "[p2......]");
  put_key(log, "[K3......]");
  CHECK(reader.read(log) == "{1}[K3......]");
}

TEST_CASE("a cursor left behind waits while the log has no keyframe", "[cursor]") {
  StreamLog log(kTwoBlocks);
  put_key(log, "[K1......]");
  Reader reader(log);
  CHECK(reader.write(log, 3) == "[K1");
  for (int i = 0; i < 3; ++i) put(log, "[p.......]");
  REQUIRE_FALSE(log.view().keyframe);
  CHECK(reader.read(log) == "......]");
  CHECK(reader.write(log).empty());
  CHECK(reader.jumps == 0);
  put_key(log, "[K2......]");
  CHECK(reader.read(log) == "[K2......]");
  CHECK(reader.jumps == 1);
}

TEST_CASE("a cursor left behind holds the one block it is in, and lets it go by jumping",
          "[cursor]") {
  StreamLog log({.block_size = 10, .max_bytes = 30, .window = 1h});
  put_key(log, "[K1......]");
  put(log, "[p2......]");
  put(log, "[p3......]");
  std::vector<std::weak_ptr<const LogBlock>> blocks;
  for (const auto& block : *log.view().blocks) blocks.emplace_back(block);
  Reader reader(log);
  reader.write(log, 12);
  for (int i = 0; i < 4; ++i) put_key(log, "[K.......]");
  CHECK(blocks[0].expired());
  CHECK_FALSE(blocks[1].expired());
  CHECK(blocks[2].expired());
  reader.write(log);
  CHECK_FALSE(blocks[1].expired());
  reader.write(log, 1);
  CHECK(blocks[1].expired());
}

TEST_CASE("whatever a viewer misses, it sees whole messages and goes on at keyframes", "[cursor]") {
  std::minstd_rand random(GENERATE(1u, 2u, 3u, 4u));
  auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  StreamLog log({.block_size = 64, .max_bytes = 256, .window = 1h});
  std::vector<std::string> preamble_at;  // of each message
  std::vector<bool> keyframe_at;
  std::string preamble;
  auto put_next = [&](bool keyframe) {
    if (keyframe && below(3) == 0) {
      preamble = "{" + std::to_string(preamble_at.size()) + "}";
      log.set_preamble(as_bytes(preamble));
    }
    put(log, "[" + std::to_string(preamble_at.size()) + std::string(below(60), '.') + "]",
        keyframe);
    preamble_at.push_back(preamble);
    keyframe_at.push_back(keyframe);
  };
  put_next(true);
  Reader reader(log);
  std::string seen;
  for (int step = 0; step < 5000; ++step) {
    for (std::size_t i = below(step % 500 < 250 ? 3 : 12); i > 0; --i) put_next(below(10) == 0);
    seen += reader.write(log, 1 + below(100));
  }
  put_next(true);  // who is lost just now may go on
  seen += reader.read(log);

  std::size_t next = 0;
  std::string had;
  while (!seen.empty()) {
    const bool is_preamble = seen.front() == '{';
    const std::size_t end = seen.find(is_preamble ? '}' : ']');
    REQUIRE(end != std::string::npos);
    if (is_preamble) {
      had = seen.substr(0, end + 1);
    } else {
      REQUIRE(seen.front() == '[');
      const auto number = static_cast<std::size_t>(std::stoul(seen.substr(1)));
      REQUIRE(number >= next);
      if (number > next) {
        REQUIRE(keyframe_at[number]);
        REQUIRE(had == preamble_at[number]);
      }
      next = number + 1;
    }
    seen.erase(0, end + 1);
  }
  CHECK(next == preamble_at.size());
  CHECK(reader.jumps > 10);
}
