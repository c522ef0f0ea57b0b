// test/common/wire/rtmp_chunk_writer_test.cpp
#include "common/wire/rtmp_chunk_writer.h"

#include <catch2/catch.hpp>

#include "test/common/wire/rtmp_chunk_peer.h"

using namespace weir;
using namespace weir::rtmp;
using namespace weir::rtmp::test;

TEST_CASE("what is written reads back, at the size foretold", "[rtmp_chunk]") {
  for (std::uint32_t csid : {2u, 63u, 64u, 319u, 320u, 65599u}) {
    for (std::uint32_t timestamp_ms : {0u, 0xFFFFFEu, 0xFFFFFFu, 0x1000000u, 0xFFFFFFFFu}) {
      for (std::uint32_t length : {0u, 1u, 127u, 128u, 129u, 256u, 257u, 1000u}) {
        const MessageHeader header{csid, timestamp_ms, length, 0x01020304, Type::Video};
        const ByteBuffer payload(length, 0xAB);
        ByteBuffer out(encoded_size(length, timestamp_ms, csid, 128));
        REQUIRE(encode(out.data(), header, payload, 128) == out.data() + out.size());
        ChunkReader reader;
        const ReadOutcome got = read_all(reader, out);
        REQUIRE(got.messages.size() == 1);
        CHECK(got.messages[0] == Got{header, payload});
        CHECK(reader.at_boundary());
      }
    }
  }
}

TEST_CASE("a header is laid out as the specification draws it", "[rtmp_chunk]") {
  ByteBuffer out;
  ChunkWriter().append(out, {6, 0x010203, 0, 1, Type::Video}, as_bytes("abc"));
  CHECK(out == ByteBuffer{6, 1, 2, 3, 0, 0, 3, 9, 1, 0, 0, 0, 'a', 'b', 'c'});
  out.clear();
  ChunkWriter().append(out, {64, 0x01020304, 0, 1, Type::Audio}, {});
  CHECK(out == ByteBuffer{0, 0, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8, 1, 0, 0, 0, 1, 2, 3, 4});
}

TEST_CASE("every chunk of a late message repeats the extended timestamp", "[rtmp_chunk]") {
  ByteBuffer out;
  ChunkWriter().append(out, {6, 0x01020304, 0, 1, Type::Video}, ByteBuffer(129, 'x'));
  CHECK(ByteView(out).subspan(16 + 128).size() == 6);
  CHECK(ByteBuffer(out.begin() + 16 + 128, out.end()) == ByteBuffer{0xC6, 1, 2, 3, 4, 'x'});
}

TEST_CASE("a new chunk size is announced before it is used", "[rtmp_chunk]") {
  ByteBuffer out;
  ChunkWriter writer;
  writer.set_chunk_size(out, kOutChunkSize);
  CHECK(writer.chunk_size() == kOutChunkSize);
  writer.append(out, {6, 0, 0, 1, Type::Video}, ByteBuffer(5000, 'x'));
  CHECK(out.size() == 16 + 12 + 5000);
  ChunkReader reader;
  CHECK(read_all(reader, out).messages.size() == 2);
}

TEST_CASE("control messages have the bodies of the specification", "[rtmp_chunk]") {
  ByteBuffer out;
  append_set_chunk_size(out, 4096);
  append_abort(out, 6);
  append_acknowledgement(out, 0x01020304);
  append_window_ack_size(out, 2500000);
  append_set_peer_bandwidth(out, 5, PeerBandwidth::Dynamic);
  append_user_control(out, Event::PingRequest, 0x0A0B0C0D);
  append_set_buffer_length(out, 1, 3000);
  ChunkReader reader;
  const ReadOutcome got = read_all(reader, out);
  REQUIRE(got.messages.size() == 7);
  const std::vector<std::pair<Type, ByteBuffer>> expected = {
      {Type::SetChunkSize, {0, 0, 0x10, 0}},
      {Type::Abort, {0, 0, 0, 6}},
      {Type::Acknowledgement, {1, 2, 3, 4}},
      {Type::WindowAckSize, {0, 0x26, 0x25, 0xA0}},
      {Type::SetPeerBandwidth, {0, 0, 0, 5, 2}},
      {Type::UserControl, {0, 6, 0x0A, 0x0B, 0x0C, 0x0D}},
      {Type::UserControl, {0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8}}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(got.messages[i].header.type == expected[i].first);
    CHECK(got.messages[i].header.chunk_stream == kControlChunkStream);
    CHECK(got.messages[i].header.stream_id == 0);
    CHECK(got.messages[i].payload == expected[i].second);
  }
}
