// test/common/wire/rtmp_chunk_reader_test.cpp
#include "common/wire/rtmp_chunk_reader.h"

#include <catch2/catch.hpp>

#include "test/common/wire/rtmp_chunk_peer.h"

using namespace weir;
using namespace weir::rtmp;
using namespace weir::rtmp::test;

namespace {

ReadOutcome read(const ByteBuffer& bytes) {
  ChunkReader reader;
  return read_all(reader, bytes);
}

// A whole type 0 message, `length` bytes of it in this chunk.
Bytes type0(std::uint32_t csid, std::uint32_t timestamp_ms, std::string_view payload) {
  return Bytes()
      .basic(0, csid)
      .be24(timestamp_ms)
      .be24(static_cast<std::uint32_t>(payload.size()))
      .type(Type::Video)
      .le32(1)
      .text(payload);
}

std::vector<std::uint32_t> timestamps(const ReadOutcome& outcome) {
  std::vector<std::uint32_t> values;
  for (const Got& message : outcome.messages) values.push_back(message.header.timestamp_ms);
  return values;
}

using Times = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("each basic header form names its chunk stream", "[rtmp_chunk]") {
  for (std::uint32_t csid : {2u, 63u, 64u, 319u, 320u, 65599u}) {
    const ReadOutcome got = read(type0(csid, 5, "abc").out);
    REQUIRE(got.messages.size() == 1);
    CHECK(got.messages[0].header == MessageHeader{csid, 5, 3, 1, Type::Video});
    CHECK(got.messages[0].payload == ByteBuffer{'a', 'b', 'c'});
  }
  // The three-byte form may name a small csid too; both forms are one chunk stream.
  ByteBuffer bytes = type0(70, 5, "abc").out;
  append(bytes, ByteBuffer{0xC1, 6, 0, 'd', 'e', 'f'});
  const ReadOutcome got = read(bytes);
  REQUIRE(got.messages.size() == 2);
  CHECK(got.messages[1].header.chunk_stream == 70);
}

TEST_CASE("header types 1 to 3 take the rest from the header before", "[rtmp_chunk]") {
  Bytes bytes = type0(6, 1000, "abc");
  bytes.basic(1, 6).be24(10).be24(2).type(Type::Audio).text("de");
  bytes.basic(2, 6).be24(20).text("fg").basic(3, 6).text("hi");
  const ReadOutcome got = read(bytes.out);
  REQUIRE(got.messages.size() == 4);
  CHECK(timestamps(got) == Times{1000, 1010, 1030, 1050});
  CHECK(got.messages[3].header == MessageHeader{6, 1050, 2, 1, Type::Audio});
  CHECK(got.messages[3].payload == ByteBuffer{'h', 'i'});
}

TEST_CASE("a type 3 message after a type 0 adds that timestamp again", "[rtmp_chunk]") {
  CHECK(timestamps(read(type0(6, 1000, "abc").basic(3, 6).text("def").out)) == Times{1000, 2000});
}

TEST_CASE("timestamps wrap at 2^32", "[rtmp_chunk]") {
  Bytes bytes;
  bytes.basic(0, 6).be24(0xFFFFFF).be24(1).type(Type::Video).le32(1).be32(0xFFFFFFF0).text("a");
  bytes.basic(2, 6).be24(0x20).text("b");
  CHECK(timestamps(read(bytes.out)) == Times{0xFFFFFFF0, 0x10});
}

TEST_CASE("an extended timestamp is absolute in type 0, a delta in types 1 and 2", "[rtmp_chunk]") {
  Bytes bytes;
  bytes.basic(0, 6).be24(0xFFFFFF).be24(1).type(Type::Video).le32(1).be32(0x1000000).text("a");
  bytes.basic(1, 6).be24(0xFFFFFF).be24(1).type(Type::Video).be32(0x2000000).text("b");
  bytes.basic(2, 6).be24(0xFFFFFF).be32(0x3000000).text("c");
  bytes.basic(3, 6).be32(0x3000000).text("d");
  bytes.basic(3, 6).text("e");  // a peer that does not repeat it
  bytes.basic(2, 6).be24(1).text("f").basic(3, 6).text("g");
  CHECK(timestamps(read(bytes.out)) ==
        Times{0x1000000, 0x3000000, 0x6000000, 0x9000000, 0xC000000, 0xC000001, 0xC000002});
}

TEST_CASE("continuation chunks may repeat the extended timestamp or not", "[rtmp_chunk]") {
  const std::string payload(300, 'x');
  for (const bool repeats : {true, false}) {
    Bytes bytes;
    bytes.basic(0, 6).be24(0xFFFFFF).be24(300).type(Type::Video).le32(1).be32(0x1000000);
    bytes.text(payload.substr(0, 128)).basic(3, 6);
    if (repeats) bytes.be32(0x1000000);
    bytes.text(payload.substr(128, 128)).basic(3, 6);
    if (repeats) bytes.be32(0x1000000);
    bytes.text(payload.substr(256));
    for (std::size_t piece : {1u, 2u, 3u, 1000u}) {
      ChunkReader reader;
      const ReadOutcome got = read_all(reader, bytes.out, piece);
      REQUIRE(got.messages.size() == 1);
      CHECK(as_text(got.messages[0].payload) == payload);
      CHECK(reader.at_boundary());
    }
  }
}

TEST_CASE("payload that begins like the extended timestamp is not lost in pieces", "[rtmp_chunk]") {
  // Two bytes equal the start of 0x01000000, the third does not: all are payload, and the next
  // header too.
  Bytes bytes;
  bytes.basic(0, 6).be24(0xFFFFFF).be24(130).type(Type::Video).le32(1).be32(0x1000000);
  bytes.text(std::string(128, 'x')).basic(3, 6).text(std::string_view("\1\0", 2));
  append(bytes.out, type0(4, 7, "next").out);
  for (std::size_t piece : {1u, 2u, 3u, 5u, 1000u}) {
    ChunkReader reader;
    const ReadOutcome got = read_all(reader, bytes.out, piece);
    REQUIRE(got.messages.size() == 2);
    CHECK(got.messages[0].payload.size() == 130);
    CHECK(as_text(got.messages[1].payload) == "next");
    CHECK(reader.at_boundary());
  }
}

TEST_CASE("chunks of several chunk streams interleave", "[rtmp_chunk]") {
  Bytes bytes;
  bytes.basic(0, 4).be24(1).be24(130).type(Type::Audio).le32(1).text(std::string(128, 'a'));
  bytes.basic(0, 6).be24(2).be24(129).type(Type::Video).le32(1).text(std::string(128, 'v'));
  bytes.basic(3, 4).text("aa").basic(3, 6).text("v");
  const ReadOutcome got = read(bytes.out);
  REQUIRE(got.messages.size() == 2);
  CHECK(as_text(got.messages[0].payload) == std::string(130, 'a'));
  CHECK(as_text(got.messages[1].payload) == std::string(129, 'v'));
}

TEST_CASE("a new chunk size applies inside messages that are already open", "[rtmp_chunk]") {
  Bytes bytes;
  bytes.basic(0, 6).be24(2).be24(400).type(Type::Video).le32(1).text(std::string(128, 'v'));
  append_set_chunk_size(bytes.out, 200);
  bytes.basic(3, 6).text(std::string(200, 'v')).basic(3, 6).text(std::string(72, 'v'));
  ChunkReader reader;
  const ReadOutcome got = read_all(reader, bytes.out);
  REQUIRE(got.messages.size() == 2);
  CHECK(got.messages[0].header.type == Type::SetChunkSize);
  CHECK(as_text(got.messages[1].payload) == std::string(400, 'v'));
  CHECK(reader.chunk_size() == 200);
}

TEST_CASE("abort drops the message begun, and the next one starts afresh", "[rtmp_chunk]") {
  Bytes bytes;
  bytes.basic(0, 6).be24(2).be24(400).type(Type::Video).le32(1).text(std::string(128, 'v'));
  append_abort(bytes.out, 6);
  append_abort(bytes.out, 999);  // never seen: nothing to drop
  append(bytes.out, type0(6, 9, "fresh").out);
  ChunkReader reader;
  const ReadOutcome got = read_all(reader, bytes.out);
  REQUIRE(got.messages.size() == 3);
  CHECK(got.messages[0].header.type == Type::Abort);
  CHECK(as_text(got.messages[2].payload) == "fresh");
  CHECK(reader.at_boundary());
}

TEST_CASE("empty messages are messages", "[rtmp_chunk]") {
  Bytes bytes = type0(6, 1, "");
  bytes.basic(3, 6).basic(1, 6).be24(1).be24(2).type(Type::Audio).text("ab");
  for (std::size_t piece : {1u, 1000u}) {
    ChunkReader reader;
    const ReadOutcome got = read_all(reader, bytes.out, piece);
    REQUIRE(got.messages.size() == 3);
    CHECK(got.messages[0].payload.empty());
    CHECK(got.messages[1].payload.empty());
  }
}

TEST_CASE("a chunk stream may begin with type 1 as librtmp's ping does", "[rtmp_chunk]") {
  Bytes bytes;
  bytes.basic(1, 2).be24(7).be24(2).type(Type::UserControl).text("ab");
  const ReadOutcome got = read(bytes.out);
  REQUIRE(got.messages.size() == 1);
  CHECK(got.messages[0].header == MessageHeader{2, 7, 2, 0, Type::UserControl});
  CHECK(read(Bytes().basic(2, 5).be24(1).text("x").out).error == Errc::Protocol);
  CHECK(read(Bytes().basic(3, 5).text("x").out).error == Errc::Protocol);
}

TEST_CASE("a header other than type 3 inside a message is refused", "[rtmp_chunk]") {
  for (unsigned format : {0u, 1u, 2u}) {
    Bytes bytes;
    bytes.basic(0, 6).be24(2).be24(400).type(Type::Video).le32(1).text(std::string(128, 'v'));
    bytes.basic(format, 6).be24(2).be24(400).type(Type::Video).le32(1);
    CHECK(read(bytes.out).error == Errc::Protocol);
  }
}

TEST_CASE("any splitting of any peer's bytes gives the same messages", "[rtmp_chunk]") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    Peer peer(seed);
    for (int i = 0; i < 120; ++i) peer.step();
    peer.finish_messages();
    for (std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{13}, peer.out.size()}) {
      ChunkReader reader;
      const ReadOutcome got = read_all(reader, peer.out, piece);
      REQUIRE_FALSE(got.error);
      REQUIRE(got.messages == peer.sent);
      REQUIRE(reader.at_boundary());
    }
  }
}
