#include "common/wire/mpegts.h"

#include <algorithm>

#include "common/check.h"

namespace weir::mpegts {
namespace {

constexpr std::size_t kHeaderSize = 4;
constexpr std::size_t kBody = kPacketSize - kHeaderSize;
constexpr std::uint8_t kFiller = 0xff;

enum class Content : std::uint8_t { Payload = 1, Field = 2, Both = 3 };

std::uint8_t* start_packet(ByteBuffer& out) {
  out.resize(out.size() + kPacketSize);
  return out.data() + out.size() - kPacketSize;
}

// 2.4.3.2
std::uint8_t* write_header(std::uint8_t* p, const Lane& lane, bool first, Content content,
                           std::uint8_t counter) {
  *p++ = kSyncByte;
  p = store_be16(p, (first ? 0x4000u : 0u) | lane.pid);
  *p++ = static_cast<std::uint8_t>(static_cast<int>(content) << 4 | (counter & 0x0f));
  return p;
}

std::size_t field_size(const Marks& marks) {
  if (marks.clock) return 8;
  return marks.discontinuity || marks.random_access ? 2 : 0;
}

// An adaptation field of exactly `size` bytes, 2.4.3.4. REQUIRES: 1 or at least field_size(marks).
std::uint8_t* write_field(std::uint8_t* p, std::size_t size, const Marks& marks) {
  std::uint8_t* const end = p + size;
  *p++ = static_cast<std::uint8_t>(size - 1);
  if (p == end) return p;
  *p++ = static_cast<std::uint8_t>((marks.discontinuity ? 0x80 : 0) |
                                   (marks.random_access ? 0x40 : 0) | (marks.clock ? 0x10 : 0));
  if (marks.clock) {
    p = store_be32(p, static_cast<std::uint32_t>(*marks.clock >> 1));
    p = store_be16(p, static_cast<std::uint32_t>(*marks.clock & 1) << 15 | 0x7e00);
  }
  return std::fill_n(p, end - p, kFiller);
}

// 33 bits between marker bits, 2.4.3.6.
std::uint8_t* write_timestamp(std::uint8_t* p, int prefix, std::uint64_t time) {
  *p++ = static_cast<std::uint8_t>(prefix << 4 | (time >> 29 & 0x0e) | 1);
  p = store_be16(p, static_cast<std::uint32_t>(time >> 14 & 0xfffe) | 1);
  return store_be16(p, static_cast<std::uint32_t>(time << 1 & 0xfffe) | 1);
}

}  // namespace

void append_pes(ByteBuffer& out, Lane& lane, ByteView pes, const Marks& marks) {
  for (bool first = true; !pes.empty(); first = false) {
    const std::size_t least_field = first ? field_size(marks) : 0;
    const std::size_t part = std::min(kBody - least_field, pes.size());
    const std::size_t field = kBody - part;  // stuffing included
    std::uint8_t* p = start_packet(out);
    const Content content = field > 0 ? Content::Both : Content::Payload;
    p = write_header(p, lane, first, content, lane.next++);
    if (field > 0) p = write_field(p, field, first ? marks : Marks{});
    std::copy_n(pes.begin(), part, p);
    pes = pes.subspan(part);
  }
}

void append_marks(ByteBuffer& out, const Lane& lane, const Marks& marks) {
  std::uint8_t* p = start_packet(out);
  p = write_header(p, lane, false, Content::Field, static_cast<std::uint8_t>(lane.next - 1));
  write_field(p, kBody, marks);
}

void append_section(ByteBuffer& out, Lane& lane, ByteView section) {
  INVARIANT(section.size() <= kMaxSection, section.size());
  std::uint8_t* p = start_packet(out);
  std::uint8_t* const end = p + kPacketSize;
  p = write_header(p, lane, true, Content::Payload, lane.next++);
  *p++ = 0;  // the section begins here
  p = std::copy(section.begin(), section.end(), p);
  p = store_be32(p, crc32(section));
  std::fill(p, end, kFiller);
}

std::size_t pes_header_size(const PesTimes& times) { return times.pts == times.dts ? 14 : 19; }

void write_pes_header(std::uint8_t* out, std::uint8_t stream_id, const PesTimes& times,
                      std::size_t size) {
  const bool both = times.pts != times.dts;
  const std::size_t length = size <= kMaxMeasuredFrame ? size + pes_header_size(times) - 6 : 0;
  out = store_be24(out, 1);
  *out++ = stream_id;
  out = store_be16(out, static_cast<std::uint32_t>(length));
  *out++ = 0x84;  // the frame begins right behind this header
  *out++ = both ? 0xc0 : 0x80;
  *out++ = both ? 10 : 5;
  out = write_timestamp(out, both ? 3 : 2, times.pts);
  if (both) write_timestamp(out, 1, times.dts);
}

std::uint32_t crc32(ByteView bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) {
    crc ^= std::uint32_t{byte} << 24;
    for (int bit = 0; bit < 8; ++bit) crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0u);
  }
  return crc;
}

}  // namespace weir::mpegts
