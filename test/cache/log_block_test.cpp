#include "cache/log_block.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

void put(LogBlock& block, std::string_view message) {
  std::uint8_t* room = block.room_for(message.size());
  REQUIRE(room != nullptr);
  std::memcpy(room, message.data(), message.size());
  block.end_message(message.size());
}

}  // namespace

TEST_CASE("a block takes messages up to its capacity and not a byte more", "[log_block]") {
  LogBlock block(100, 10);
  CHECK(block.begin() == 100);
  CHECK(block.room_for(11) == nullptr);
  put(block, "abcd");
  CHECK(block.room_for(7) == nullptr);
  put(block, "efghij");
  CHECK(block.size() == 10);
  CHECK(block.room_for(1) == nullptr);
  CHECK(as_text({block.data(), block.size()}) == "abcdefghij");
}

TEST_CASE("a block takes kMaxMessages messages and not one more", "[log_block]") {
  LogBlock block(0, 2 * LogBlock::kMaxMessages);
  for (std::uint32_t i = 0; i < LogBlock::kMaxMessages; ++i) put(block, "x");
  CHECK(block.room_for(1) == nullptr);
  CHECK(block.message_end(LogBlock::kMaxMessages - 1) == LogBlock::kMaxMessages - 1);
  CHECK(block.message_end(LogBlock::kMaxMessages) == LogBlock::kMaxMessages);
}

TEST_CASE("room that was asked for but not filled does not count", "[log_block]") {
  LogBlock block(0, 10);
  CHECK(block.room_for(10) != nullptr);
  CHECK(block.size() == 0);
  put(block, "abc");
  CHECK(block.size() == 3);
}

TEST_CASE("a message ends where the next one begins", "[log_block]") {
  LogBlock block(0, 100);
  put(block, "abcd");
  put(block, "e");
  put(block, "fgh");
  const std::vector<std::uint32_t> ends{0, 4, 4, 4, 4, 5, 8, 8, 8};
  for (std::uint32_t offset = 0; offset < ends.size(); ++offset) {
    CAPTURE(offset);
    CHECK(block.message_end(offset) == ends[offset]);
  }
}

TEST_CASE("bytes of a block stay where they are while it fills up", "[log_block]") {
  LogBlock block(0, 1000);
  put(block, "first");
  const std::uint8_t* const data = block.data();
  for (int i = 0; i < 100; ++i) put(block, "more");
  CHECK(block.data() == data);
  CHECK(as_text({data, 5}) == "first");
}

TEST_CASE("a block can be one message that belongs to no log", "[log_block]") {
  const LogBlock block(as_bytes("headers"));
  CHECK(block.begin() == 0);
  CHECK(as_text({block.data(), block.size()}) == "headers");
  CHECK(block.message_end(3) == 7);
}
