// test/common/wire/rtmp_chunk_walker_test.cpp
#include "common/wire/rtmp_chunk_walker.h"

#include <catch2/catch.hpp>

#include "test/common/wire/rtmp_chunk_peer.h"

using namespace weir;
using namespace weir::rtmp;
using namespace weir::rtmp::test;

namespace {

// What A gets of `later` after B sent `before` to a reader; `later` in pieces.
ByteBuffer relayed(const ByteBuffer& before, const ByteBuffer& later, std::size_t piece = SIZE_MAX,
                   WalkerOptions options = {}) {
  ChunkReader reader;
  REQUIRE_FALSE(read_all(reader, before).error);
  ChunkWalker walker(reader, std::move(options));
  ByteBuffer sent;
  CHECK_FALSE(walk_pieces(walker, later, [piece] { return piece; }, sent));
  CHECK(walker.at_boundary());
  return sent;
}

Bytes type0(std::uint32_t csid, std::uint32_t timestamp_ms, std::string_view payload) {
  Bytes bytes;
  const auto length = static_cast<std::uint32_t>(payload.size());
  return bytes.basic(0, csid)
      .be24(timestamp_ms)
      .be24(length)
      .type(Type::Video)
      .le32(1)
      .text(payload);
}

}  // namespace

TEST_CASE("the whole input goes out as one piece, where it lies", "[rtmp_chunk]") {
  ByteBuffer input = type0(6, 5, "abc").basic(3, 6).text("def").out;
  const ByteBuffer original = input;
  ChunkWalker walker({}, 128);
  Pieces pieces;
  REQUIRE(walker.walk(input, pieces));
  REQUIRE(pieces.size() == 1);
  CHECK(pieces[0].data() == input.data());
  CHECK(pieces[0].size() == input.size());
  CHECK(input == original);
}

TEST_CASE("a history that A has not seen becomes type 0, then an explicit delta", "[rtmp_chunk]") {
  const ByteBuffer before = type0(6, 1000, "abc").out;
  Bytes later;
  later.basic(2, 6).be24(40).text("def").basic(3, 6).text("ghi").basic(3, 6).text("jkl");
  Bytes expected = type0(6, 1040, "def");
  expected.basic(2, 6).be24(40).text("ghi").basic(3, 6).text("jkl");
  for (std::size_t piece : {1u, 2u, 3u, 1000u}) {
    CHECK(relayed(before, later.out, piece) == expected.out);
  }
}

TEST_CASE("a type 0 header syncs at once", "[rtmp_chunk]") {
  Bytes later = type0(6, 50, "def");
  later.basic(3, 6).text("ghi");
  CHECK(relayed(type0(6, 1000, "abc").out, later.out) == later.out);
}

TEST_CASE("continuations of a rewritten message lose B's extended timestamp", "[rtmp_chunk]") {
  const ByteBuffer before =
      type0(6, 0, "abc").basic(2, 6).be24(0xFFFFFF).be32(0xFFFFFFFF).text("def").out;
  // A delta of 2^32-1 is one of -1: from -1 to -2, extended for both.
  Bytes later;
  later.basic(1, 6).be24(0xFFFFFF).be24(130).type(Type::Video).be32(0xFFFFFFFF);
  later.text(std::string(128, 'x')).basic(3, 6).be32(0xFFFFFFFF).text("yz");
  Bytes wide;
  wide.basic(0, 6).be24(0xFFFFFF).be24(130).type(Type::Video).le32(1).be32(0xFFFFFFFE);
  wide.text(std::string(128, 'x')).basic(3, 6).be32(0xFFFFFFFE).text("yz");
  CHECK(relayed(before, later.out) == wide.out);

  // From 10, a delta of -1 gives 9: extended for B, plain for A.
  Bytes narrow;
  narrow.basic(0, 6).be24(9).be24(130).type(Type::Video).le32(1);
  narrow.text(std::string(128, 'x')).basic(3, 6).text("yz");
  CHECK(relayed(type0(6, 10, "abc").out, later.out) == narrow.out);
}

TEST_CASE("continuations of a rewritten message gain the extended timestamp A needs",
          "[rtmp_chunk]") {
  Bytes later;
  later.basic(1, 6).be24(1).be24(130).type(Type::Video);
  later.text(std::string(128, 'x')).basic(3, 6).text("yz");
  Bytes expected;
  expected.basic(0, 6).be24(0xFFFFFF).be24(130).type(Type::Video).le32(1).be32(0xFFFFFF);
  expected.text(std::string(128, 'x')).basic(3, 6).be32(0xFFFFFF).text("yz");
  CHECK(relayed(type0(6, 0xFFFFFE, "abc").out, later.out) == expected.out);
}

TEST_CASE("stream ids are changed in type 0 headers, also in one that comes in pieces",
          "[rtmp_chunk]") {
  WalkerOptions options;
  options.stream_id_from = 1;
  options.stream_id_to = 0x01020304;
  Bytes later = type0(70, 5, "abc");
  later.basic(0, 4).be24(0).be24(1).type(Type::Audio).le32(9).text("x");
  ByteBuffer expected = later.out;
  store_le32(expected.data() + 2 + 7, 0x01020304);
  for (std::size_t piece : {1u, 5u, 1000u})
    CHECK(relayed({}, later.out, piece, options) == expected);
}

TEST_CASE("a chunk stream that A was sent something else on can be told afresh", "[rtmp_chunk]") {
  ChunkWalker walker({}, 128);
  ByteBuffer sent;
  const auto all = [] { return SIZE_MAX; };
  REQUIRE_FALSE(walk_pieces(walker, type0(6, 1000, "abc").out, all, sent));
  walker.unsync(6);
  walker.unsync(7);  // unknown: nothing to do
  sent.clear();
  REQUIRE_FALSE(walk_pieces(walker, Bytes().basic(2, 6).be24(40).text("def").out, all, sent));
  CHECK(sent == type0(6, 1040, "def").out);
}

TEST_CASE("messages that went by are counted, and commands reported", "[rtmp_chunk]") {
  std::vector<std::string> commands;
  WalkerOptions options;
  options.on_command = [&](const Message& message) {
    commands.emplace_back(as_text(message.payload));
  };
  ChunkWalker walker({}, 128, options);
  ByteBuffer bytes;
  ChunkWriter writer;
  const std::string longest(ChunkWalker::kObservedCommand, 'c');
  writer.append(bytes, {3, 0, 0, 1, Type::CommandAmf0}, as_bytes("onStatus"));
  writer.append(bytes, {4, 20, 0, 1, Type::Audio}, as_bytes("a"));
  writer.append(bytes, {6, 40, 0, 1, Type::Video}, as_bytes("v"));
  writer.append(bytes, {5, 0, 0, 1, Type::DataAmf0}, as_bytes("d"));
  writer.append(bytes, {3, 0, 0, 1, Type::CommandAmf3}, as_bytes(longest));
  writer.append(bytes, {3, 0, 0, 1, Type::CommandAmf0}, as_bytes(longest + "c"));
  writer.append(bytes, {6, 60, 0, 1, Type::Aggregate}, as_bytes("g"));
  writer.set_chunk_size(bytes, 4096);
  ByteBuffer sent;
  REQUIRE_FALSE(walk_pieces(walker, bytes, [] { return 100; }, sent));
  CHECK(sent == bytes);
  CHECK(commands == std::vector<std::string>{"onStatus", longest});
  CHECK(walker.chunk_size() == 4096);
  const WalkerCounters& counters = walker.counters();
  CHECK(counters.audio == 1);
  CHECK(counters.video == 1);
  CHECK(counters.data == 1);
  CHECK(counters.commands == 3);
  CHECK(counters.control == 1);
  CHECK(counters.other == 1);
  CHECK(counters.last_audio_ms == 20);
  CHECK(counters.last_video_ms == 40);
}

TEST_CASE("the walker has the reader's limits", "[rtmp_chunk]") {
  const ReaderLimits limits{.chunk_size = 4096, .message = 10, .chunk_streams = 2};
  const auto error_of = [&](const ByteBuffer& bytes) {
    ChunkWalker walker(limits, 128);
    ByteBuffer sent;
    return walk_pieces(walker, bytes, [] { return SIZE_MAX; }, sent);
  };
  CHECK_FALSE(error_of(type0(6, 0, "0123456789").out));
  CHECK(error_of(type0(6, 0, "0123456789A").out) == Errc::Limit);
  ByteBuffer bytes;
  append_set_chunk_size(bytes, 4096);
  append(bytes, type0(6, 0, "").out);
  CHECK_FALSE(error_of(bytes));
  append(bytes, type0(7, 0, "").out);
  CHECK(error_of(bytes) == Errc::Limit);
  bytes.clear();
  append_set_chunk_size(bytes, 4097);
  CHECK(error_of(bytes) == Errc::Limit);
  CHECK(error_of(Bytes().basic(3, 6).out) == Errc::Protocol);
}

TEST_CASE("who reads what is relayed gets what a reader of the original gets", "[rtmp_chunk]") {
  WalkerOptions options;
  options.stream_id_from = 1;
  options.stream_id_to = 7;
  for (unsigned seed = 0; seed < 150; ++seed) {
    Peer peer(seed);
    for (int i = 0; i < 120; ++i) peer.step();
    peer.finish_messages();
    for (std::size_t set_up : {0u, 1u, 5u, 20u}) {
      const auto next_size = [&] { return peer.below(peer.below(2) ? 5 : 400); };
      INFO("seed " << seed << " set-up " << set_up);
      CHECK(relay_difference(peer.out, set_up, {}, options, next_size) == "");
    }
  }
}
