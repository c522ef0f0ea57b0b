// test/common/wire/rtmp_chunk_limits_test.cpp
// What a peer may make a reader hold, at each bound and past it.
#include <catch2/catch.hpp>

#include "test/common/wire/rtmp_chunk_peer.h"

using namespace weir;
using namespace weir::rtmp;
using namespace weir::rtmp::test;

namespace {

Bytes claim(std::uint32_t csid, std::uint32_t length) {
  return Bytes().basic(0, csid).be24(0).be24(length).type(Type::Video).le32(1);
}

std::optional<Errc> error_of(ChunkReader& reader, const ByteBuffer& bytes) {
  return read_all(reader, bytes).error;
}

}  // namespace

TEST_CASE("chunk sizes from 128 to 1 MiB are accepted, others refused", "[rtmp_chunk]") {
  for (const auto& [size, error] :
       std::vector<std::pair<std::uint32_t, std::optional<Errc>>>{{0, Errc::Limit},
                                                                  {127, Errc::Limit},
                                                                  {128, std::nullopt},
                                                                  {1 << 20, std::nullopt},
                                                                  {(1 << 20) + 1, Errc::Limit},
                                                                  {0x7FFFFFFF, Errc::Limit},
                                                                  {0x80000080, Errc::Limit}}) {
    ByteBuffer bytes;
    append_set_chunk_size(bytes, size);
    ChunkReader reader;
    INFO(size);
    CHECK(error_of(reader, bytes) == error);
  }
}

TEST_CASE("set chunk size and abort have four bytes, no more and no fewer", "[rtmp_chunk]") {
  for (Type type : {Type::SetChunkSize, Type::Abort}) {
    for (std::uint32_t length : {0u, 3u, 5u}) {
      Bytes bytes = Bytes().basic(0, 2).be24(0).be24(length).type(type).le32(0);
      bytes.text(std::string(length, '\0'));
      ChunkReader reader;
      CHECK(error_of(reader, bytes.out) == Errc::Protocol);
    }
  }
}

TEST_CASE("a message may be as long as the limit, which can be raised later", "[rtmp_chunk]") {
  ChunkReader reader;
  CHECK_FALSE(error_of(reader, claim(6, kCommandMessageLimit).out));
  ChunkReader small;
  CHECK(error_of(small, claim(6, kCommandMessageLimit + 1).out) == Errc::Limit);
  ChunkReader media;
  media.set_message_limit(kMediaMessageLimit);
  CHECK_FALSE(error_of(media, claim(6, kMediaMessageLimit).out));
  ChunkReader media_too_long;
  media_too_long.set_message_limit(kMediaMessageLimit);
  CHECK(error_of(media_too_long, claim(6, kMediaMessageLimit + 1).out) == Errc::Limit);
}

TEST_CASE("32 chunk streams are accepted, the 33rd refused", "[rtmp_chunk]") {
  ChunkReader reader;
  for (std::uint32_t csid = 2; csid < 34; ++csid) {
    REQUIRE_FALSE(error_of(reader, claim(csid, 0).out));
  }
  CHECK_FALSE(error_of(reader, claim(2, 0).out));
  CHECK(error_of(reader, claim(34, 0).out) == Errc::Limit);
}

TEST_CASE("a claimed length costs nothing until its bytes come", "[rtmp_chunk]") {
  ReaderLimits limits;
  limits.message = 0xFFFFFF;
  ChunkReader reader(limits);
  for (std::uint32_t csid = 2; csid < 34; ++csid) {
    REQUIRE_FALSE(error_of(reader, claim(csid, 0xFFFFFF).text(std::string(128, 'x')).out));
  }
  CHECK(reader.memory() < 16 * 1024);
}

TEST_CASE("a reader at rest is small and gives large buffers back", "[rtmp_chunk]") {
  CHECK(sizeof(ChunkReader) < 200);
  CHECK(ChunkReader().memory() == 0);
  ChunkReader reader;
  ChunkWriter writer;
  ByteBuffer bytes;
  writer.append(bytes, {6, 0, 0, 1, Type::Video}, ByteBuffer(60000, 1));
  REQUIRE(read_all(reader, bytes).messages.size() == 1);
  CHECK(reader.memory() < 1000);

  bytes.clear();
  writer.append(bytes, {6, 0, 0, 1, Type::Video}, ByteBuffer(ChunkReader::kIdleBuffer, 1));
  REQUIRE(read_all(reader, bytes).messages.size() == 1);
  CHECK(reader.memory() > ChunkReader::kIdleBuffer);
}

TEST_CASE("abort gives the partial message's memory back", "[rtmp_chunk]") {
  ChunkReader reader;
  ChunkWriter writer;
  ByteBuffer bytes;
  writer.append(bytes, {6, 0, 0, 1, Type::Video}, ByteBuffer(60000, 1));
  bytes.resize(12 + 128 + (1 + 128) * 300);
  append_abort(bytes, 6);
  REQUIRE(read_all(reader, bytes).messages.size() == 1);
  CHECK(reader.memory() < 1000);
}

TEST_CASE("a message in one piece is returned where it lies", "[rtmp_chunk]") {
  ByteBuffer bytes;
  ChunkWriter().append(bytes, {6, 0, 0, 1, Type::Video}, ByteBuffer(100, 1));
  ChunkReader reader;
  ByteView input = bytes;
  const auto message = reader.next(input);
  REQUIRE(message.has_value());
  REQUIRE(message->has_value());
  CHECK((*message)->payload.data() == bytes.data() + 12);
  CHECK(input.empty());
}

TEST_CASE("half a header or half a message is no boundary", "[rtmp_chunk]") {
  ByteBuffer bytes;
  ChunkWriter().append(bytes, {6, 0, 0, 1, Type::Video}, ByteBuffer(200, 1));
  ChunkReader reader;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    CHECK(reader.at_boundary() == (i == 0));
    ByteView one = ByteView(bytes).subspan(i, 1);
    REQUIRE(reader.next(one).has_value());
  }
  CHECK(reader.at_boundary());
}
