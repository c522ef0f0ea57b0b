// cache/segment_record.h
// What stands on disk before an object's body: whose it is, how long it holds, and the caller's
// head.
//
//     format 4 | key size 4 | head size 4 | body size 8 | stored 8 | expires 8 | key | head | checksum 8
//
// Times are milliseconds since 1970. The checksum covers all before it, and the number under which
// the record is filed, so that a record in another's place is not taken for it. A record of another
// format fails its checksum: the format is its seed.
//
// Threading: pure functions. Bounds: decoding allocates nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "common/bytes.h"

namespace weir {

struct SegmentRecord {
  using Time = std::chrono::sys_time<std::chrono::milliseconds>;

  std::string_view key;
  std::string_view head;
  std::uint64_t body_size = 0;
  Time stored = {};
  Time expires = {};

  friend bool operator==(const SegmentRecord&, const SegmentRecord&) = default;
};

inline constexpr std::size_t kSegmentRecordOverhead = 44;

// REQUIRES: key and head are shorter than 4 GiB each.
ByteBuffer encode(const SegmentRecord& record, std::uint64_t number);

// Nothing when the bytes are not what encode() made for that number. Views of `bytes`.
std::optional<SegmentRecord> decode_segment_record(ByteView bytes, std::uint64_t number);

}  // namespace weir
