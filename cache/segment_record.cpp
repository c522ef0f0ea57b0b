#include "cache/segment_record.h"

#include "cache/checksum.h"

namespace weir {

namespace {

constexpr std::uint32_t kFormat = 0x57530001;
constexpr std::size_t kFixed = 36;
constexpr std::size_t kChecksum = 8;
static_assert(kFixed + kChecksum == kSegmentRecordOverhead);

std::uint64_t seed_of(std::uint64_t number) { return (std::uint64_t{kFormat} << 32) ^ number; }

std::uint64_t millis(SegmentRecord::Time time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

SegmentRecord::Time time_of(std::uint64_t count) {
  return SegmentRecord::Time(std::chrono::milliseconds(static_cast<std::int64_t>(count)));
}

}  // namespace

ByteBuffer encode(const SegmentRecord& record, std::uint64_t number) {
  ByteBuffer bytes(kFixed);
  std::uint8_t* p = bytes.data();
  p = store_be32(p, kFormat);
  p = store_be32(p, static_cast<std::uint32_t>(record.key.size()));
  p = store_be32(p, static_cast<std::uint32_t>(record.head.size()));
  p = store_be64(p, record.body_size);
  p = store_be64(p, millis(record.stored));
  store_be64(p, millis(record.expires));
  bytes.reserve(kFixed + record.key.size() + record.head.size() + kChecksum);
  append(bytes, as_bytes(record.key));
  append(bytes, as_bytes(record.head));
  const std::uint64_t sum = checksum64(bytes, seed_of(number));
  bytes.resize(bytes.size() + kChecksum);
  store_be64(bytes.data() + bytes.size() - kChecksum, sum);
  return bytes;
}

std::optional<SegmentRecord> decode_segment_record(ByteView bytes, std::uint64_t number) {
  if (bytes.size() < kSegmentRecordOverhead) return std::nullopt;
  const ByteView summed = bytes.first(bytes.size() - kChecksum);
  const std::uint8_t* p = bytes.data();
  if (load_be32(p) != kFormat) return std::nullopt;
  if (load_be64(p + summed.size()) != checksum64(summed, seed_of(number))) return std::nullopt;
  const std::size_t key_size = load_be32(p + 4);
  const std::size_t head_size = load_be32(p + 8);
  if (key_size + head_size != summed.size() - kFixed) return std::nullopt;
  const std::string_view text = as_text(summed.subspan(kFixed));
  return SegmentRecord{.key = text.substr(0, key_size),
                       .head = text.substr(key_size),
                       .body_size = load_be64(p + 12),
                       .stored = time_of(load_be64(p + 20)),
                       .expires = time_of(load_be64(p + 28))};
}

}  // namespace weir
