#include "common/wire/mpegts.h"

#include <catch2/catch.hpp>

#include "test/support/codecs.h"

using namespace weir;
using namespace weir::test;
using mpegts::Lane;

namespace {

// The payload of the packets of `pes`, taken apart by hand.
ByteBuffer payload_of(ByteView packets) {
  ByteBuffer payload;
  for (; !packets.empty(); packets = packets.subspan(mpegts::kPacketSize)) {
    const std::size_t field = packets[3] & 0x20 ? std::size_t{packets[4]} + 1 : 0;
    append(payload, packets.subspan(4 + field, mpegts::kPacketSize - 4 - field));
  }
  return payload;
}

}  // namespace

TEST_CASE("a PES packet of any size fills whole packets", "[mpegts]") {
  for (const bool clock : {false, true}) {
    for (std::size_t size = 1; size <= 600; ++size) {
      ByteBuffer pes(size);
      for (std::size_t i = 0; i < size; ++i) pes[i] = static_cast<std::uint8_t>(i);
      Lane lane{.pid = 0x100};
      ByteBuffer out;
      mpegts::Marks marks;
      if (clock) marks.clock = 1;
      append_pes(out, lane, pes, marks);
      REQUIRE(out.size() % mpegts::kPacketSize == 0);
      REQUIRE(payload_of(out) == pes);
      REQUIRE(lane.next == out.size() / mpegts::kPacketSize);
      REQUIRE(out.size() / mpegts::kPacketSize == (size + (clock ? 8 : 0) + 183) / 184);
    }
  }
}

TEST_CASE("packets are counted modulo 16, and only the first says that a PES packet begins",
          "[mpegts]") {
  Lane lane{.pid = 0x1abc, .next = 15};
  ByteBuffer out;
  append_pes(out, lane, ByteBuffer(184 * 2 + 182), {.random_access = true});
  REQUIRE(out.size() == 3 * mpegts::kPacketSize);
  CHECK(load_be32(out.data()) == 0x475abc3f);
  CHECK(load_be16(out.data() + 4) == 0x0140);  // a field of one byte: random access
  CHECK(load_be32(out.data() + 188) == 0x471abc10);
  CHECK(load_be32(out.data() + 376) == 0x471abc11);
}

TEST_CASE("the clock is 33 bits of it, then six reserved and nine of the extension", "[mpegts]") {
  Lane lane{.pid = 0x100};
  ByteBuffer out;
  append_marks(out, lane, {.clock = 0x1'2345'6789});
  REQUIRE(out.size() == mpegts::kPacketSize);
  CHECK(ByteBuffer(out.begin(), out.begin() + 12) ==
        bytes({0x47, 0x01, 0x00, 0x2f, 183, 0x10, 0x91, 0xa2, 0xb3, 0xc4, 0xfe, 0x00}));
  CHECK(std::ranges::all_of(ByteView(out).subspan(12), [](auto byte) { return byte == 0xff; }));
  CHECK(lane.next == 0);  // it does not count
}

TEST_CASE("a declared gap bears the count before the next packet", "[mpegts]") {
  Lane lane{.pid = 0x100, .next = 6};
  ByteBuffer out;
  append_marks(out, lane, {.discontinuity = true});
  CHECK(load_be32(out.data()) == 0x47010025);
  CHECK(load_be16(out.data() + 4) == (183 << 8 | 0x80));
}

TEST_CASE("a section is closed by its CRC and filled up", "[mpegts]") {
  // The PAT that ffmpeg writes: one program, its map at 0x1000.
  const ByteBuffer pat = bytes({0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0});
  Lane lane{.pid = 0};
  ByteBuffer out;
  append_section(out, lane, pat);
  REQUIRE(out.size() == mpegts::kPacketSize);
  CHECK(load_be32(out.data()) == 0x47400010);
  CHECK(load_be32(out.data() + 17) == 0x2ab104b2);
  CHECK(out.back() == 0xff);
  out.clear();
  append_section(out, lane, ByteBuffer(mpegts::kMaxSection));
  CHECK(out.size() == mpegts::kPacketSize);
}

TEST_CASE("a PES header has one time or two, and the length where it fits", "[mpegts]") {
  ByteBuffer header(14);
  REQUIRE(mpegts::pes_header_size({.pts = 5, .dts = 5}) == header.size());
  mpegts::write_pes_header(header.data(), 0xc0, {.pts = 5, .dts = 5}, 100);
  CHECK(header == bytes({0, 0, 1, 0xc0, 0, 108, 0x84, 0x80, 5, 0x21, 0, 1, 0, 0x0b}));

  header.resize(19);
  const mpegts::PesTimes times{.pts = mpegts::kTimestampMask, .dts = 0x1'0000'0000};
  REQUIRE(mpegts::pes_header_size(times) == header.size());
  mpegts::write_pes_header(header.data(), 0xe0, times, 65535 - 13);
  CHECK(header == bytes({0, 0, 1, 0xe0, 0xff, 0xff, 0x84, 0xc0, 10, 0x3f, 0xff, 0xff, 0xff, 0xff,
                         0x19, 0, 1, 0, 1}));
  mpegts::write_pes_header(header.data(), 0xe0, times, 65535 - 12);
  CHECK(load_be16(header.data() + 4) == 0);
}
