#include "common/wire/adts.h"

#include <catch2/catch.hpp>

#include "test/support/codecs.h"

using namespace weir;
using namespace weir::test;

TEST_CASE("an AudioSpecificConfig is read as far as ADTS can say it", "[adts]") {
  CHECK(adts::parse_config(bytes({0x12, 0x10})) == adts::Config{2, 4, 2});
  CHECK(adts::parse_config(bytes({0x11, 0x90})) == adts::Config{2, 3, 2});
  CHECK(adts::parse_config(bytes({0x15, 0x88})) == adts::Config{2, 11, 1});
  CHECK(adts::parse_config(bytes({0x12, 0x10, 0x56, 0xe5, 0x00})) == adts::Config{2, 4, 2});
}

TEST_CASE("of HE-AAC its core is described", "[adts]") {
  // Object type 5, 24 kHz, stereo, extended to 48 kHz, core AAC-LC.
  CHECK(adts::parse_config(bytes({0x2b, 0x11, 0x88, 0x00})) == adts::Config{2, 6, 2});
  // Object type 29, the same.
  CHECK(adts::parse_config(bytes({0xeb, 0x11, 0x88, 0x00})) == adts::Config{2, 6, 2});
}

TEST_CASE("a sampling rate written out is looked up in the table", "[adts]") {
  // 5 bits 2, 4 bits 15, 24 bits 44100, 4 bits 2.
  CHECK(adts::parse_config(bytes({0x17, 0x80, 0x56, 0x22, 0x10})) == adts::Config{2, 4, 2});
  CHECK_FALSE(adts::parse_config(bytes({0x17, 0x80, 0x56, 0x22, 0x90})));  // 44101 Hz
}

TEST_CASE("a config that ADTS cannot say, or that is cut short, is none", "[adts]") {
  CHECK_FALSE(adts::parse_config({}));
  CHECK_FALSE(adts::parse_config(bytes({0x12})));
  CHECK_FALSE(adts::parse_config(bytes({0x12, 0x00})));        // channels by another element
  CHECK_FALSE(adts::parse_config(bytes({0x12, 0x40})));        // channels 8
  CHECK_FALSE(adts::parse_config(bytes({0x16, 0x90})));        // frequency 13
  CHECK_FALSE(adts::parse_config(bytes({0x02, 0x10})));        // object type 0
  CHECK_FALSE(adts::parse_config(bytes({0xb9, 0x10})));        // 23: low delay
  CHECK_FALSE(adts::parse_config(bytes({0xf9, 0x48, 0x40})));  // 42, escaped: USAC
  CHECK_FALSE(adts::parse_config(bytes({0x17, 0x80, 0x56})));
}

TEST_CASE("a header has its fields where ISO 14496-3 wants them", "[adts]") {
  ByteBuffer header(adts::kHeaderSize);
  CHECK(adts::write_header(header.data(), {2, 4, 2}, 366) == header.data() + header.size());
  CHECK(header == bytes({0xff, 0xf1, 0x50, 0x80, 0x2e, 0xbf, 0xfc}));  // 373 bytes with it
  adts::write_header(header.data(), {4, 12, 7}, adts::kMaxFrame);
  CHECK(header == bytes({0xff, 0xf1, 0xf1, 0xc3, 0xff, 0xff, 0xfc}));
}
