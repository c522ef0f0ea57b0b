#include "cache/segment_record.h"

#include <catch2/catch.hpp>

#include "test/cache/tier_objects.h"

using namespace weir;

namespace {

const SegmentRecord kRecord{
    .key = "example.com/live/a/seg-1.ts?x=1",
    .head = "200\r\nContent-Type: video/mp2t\r\n",
    .body_size = 5'000'000'000,
    .stored = std::chrono::floor<std::chrono::milliseconds>(test::at(0)),
    .expires = std::chrono::floor<std::chrono::milliseconds>(test::at(60)),
};

}  // namespace

TEST_CASE("a record is read as it was written", "[segment_record]") {
  CHECK(decode_segment_record(encode(kRecord, 7), 7) == kRecord);
  const SegmentRecord empty{};
  const ByteBuffer bytes = encode(empty, 1);
  CHECK(bytes.size() == kSegmentRecordOverhead);
  CHECK(decode_segment_record(bytes, 1) == empty);
}

TEST_CASE("a record in another one's place is none", "[segment_record]") {
  CHECK_FALSE(decode_segment_record(encode(kRecord, 7), 8));
}

TEST_CASE("a record with any byte changed, missing or added is none", "[segment_record]") {
  const ByteBuffer good = encode(kRecord, 7);
  for (std::size_t i = 0; i < good.size(); ++i) {
    ByteBuffer bad = good;
    bad[i] ^= 0x10;
    CHECK_FALSE(decode_segment_record(bad, 7));
    CHECK_FALSE(decode_segment_record(ByteView(good).first(i), 7));
  }
  ByteBuffer longer = good;
  longer.push_back(0);
  CHECK_FALSE(decode_segment_record(longer, 7));
}
