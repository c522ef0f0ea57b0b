// common/wire/mpegts.h
// The layers of MPEG-TS (ISO 13818-1) below programs and codecs: packets of 188 bytes, and the two
// things cut into them.
//
//     PES     │ header │ frame ................................ │
//     packets │ 47 PID cc │ field │ ... │ 47 PID cc │ ..... │ 47 PID cc │ stuffing │ ... │
//                          └ clock, random access               the last one is filled up
//
// Threading: plain values, each used by one thread at a time. Bounds: what is given in.
#pragma once

#include <optional>

#include "common/bytes.h"

namespace weir::mpegts {

inline constexpr std::size_t kPacketSize = 188;
inline constexpr std::uint8_t kSyncByte = 0x47;
inline constexpr std::uint64_t kTimestampMask = (std::uint64_t{1} << 33) - 1;

// The packets of one PID: they are counted, modulo 16.
struct Lane {
  std::uint16_t pid;
  std::uint8_t next = 0;  // continuity counter of the next packet with payload
};

// What an adaptation field says.
struct Marks {
  bool discontinuity = false;  // the counter may have jumped
  bool random_access = false;
  std::optional<std::uint64_t> clock = {};  // PCR in units of 90 kHz, modulo 2^33
};

// Cuts a PES packet into packets; the marks go on the first.
void append_pes(ByteBuffer& out, Lane& lane, ByteView pes, const Marks& marks);

// A packet of marks alone, which does not count. It bears the counter of the lane's last packet, so
// that after a discontinuity the next one is in order.
void append_marks(ByteBuffer& out, const Lane& lane, const Marks& marks);

// A table in one packet. `section` is without its CRC, which its length includes.
// REQUIRES: section.size() <= kMaxSection.
inline constexpr std::size_t kMaxSection = kPacketSize - 5 - 4;
void append_section(ByteBuffer& out, Lane& lane, ByteView section);

// PES headers, 2.4.3.6. Times in units of 90 kHz, modulo 2^33; dts is left out when it is the pts.
struct PesTimes {
  std::uint64_t pts = 0;
  std::uint64_t dts = 0;
};
std::size_t pes_header_size(const PesTimes& times);
// Writes before the `size` bytes of the frame. Above 65535 bytes the length is left open, which only
// video may do. REQUIRES: room for pes_header_size().
void write_pes_header(std::uint8_t* out, std::uint8_t stream_id, const PesTimes& times,
                      std::size_t size);
// The longest frame whose PES packet has room for its length.
inline constexpr std::size_t kMaxMeasuredFrame = 65535 - 13;

// The CRC of sections: polynomial 0x04c11db7, annex A.
std::uint32_t crc32(ByteView bytes);

}  // namespace weir::mpegts
