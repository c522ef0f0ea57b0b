// test/support/ts_reader.h
// What a receiver makes of MPEG-TS, written from the specification and from nothing of weir's muxer. It
// accepts nothing that ISO 13818-1 does not: anything amiss ends the test.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"

namespace weir::test {

struct TsFrame {
  int pid = 0;
  int stream_id = 0;
  std::uint64_t pts = 0;
  std::uint64_t dts = 0;
  bool random_access = false;
  bool measured = false;  // its PES packet had a length
  ByteBuffer payload = {};
};

struct TsTrack {
  int stream_type = 0;
  ByteBuffer descriptors = {};
  friend bool operator==(const TsTrack&, const TsTrack&) = default;
};

class TsReader {
 public:
  static constexpr std::size_t kPacket = 188;

  // Whole packets. Those before the first PAT and PMT count as lost.
  void feed(ByteView packets) {
    INVARIANT(packets.size() % kPacket == 0, packets.size());
    for (; !packets.empty(); packets = packets.subspan(kPacket)) take(packets.first(kPacket));
  }
  // A frame without a length ends where the next one of its track begins, or here.
  void end() {
    for (auto& [pid, lane] : lanes_) finish(lane);
  }

  std::vector<TsFrame> frames;
  std::vector<std::uint64_t> clocks;  // in units of 90 kHz
  std::map<int, TsTrack> tracks;      // by PID
  int clock_pid = 0;
  int version = -1;
  int tables = 0;  // PMTs that came
  int discontinuities = 0;

 private:
  struct Lane {
    int counter = -1;
    bool discontinuity = false;
    std::optional<TsFrame> frame;
    ByteBuffer pes;
  };

  static std::uint32_t crc(ByteView bytes) {
    std::uint32_t value = 0xffffffff;
    for (const auto byte : bytes)
      for (int bit = 7; bit >= 0; --bit) {
        const bool feedback = ((value >> 31) ^ (byte >> bit & 1)) != 0;
        value = value << 1 ^ (feedback ? 0x04c11db7u : 0);
      }
    return value;
  }

  void take(ByteView packet) {
    INVARIANT(packet[0] == 0x47);
    INVARIANT((packet[1] & 0xa0) == 0 && (packet[3] & 0xc0) == 0);  // no errors, not scrambled
    const bool starts = (packet[1] & 0x40) != 0;
    const int pid = static_cast<int>(load_be16(packet.data() + 1) & 0x1fff);
    const bool has_field = (packet[3] & 0x20) != 0;
    const bool has_payload = (packet[3] & 0x10) != 0;
    INVARIANT(has_field || has_payload);
    Lane& lane = lanes_[pid];
    ByteView rest = packet.subspan(4);
    bool random_access = false;
    if (has_field) {
      const std::size_t size = rest[0];
      INVARIANT(has_payload ? size <= 182 : size == 183, size);
      random_access = take_field(rest.subspan(1, size), pid, lane);
      rest = rest.subspan(1 + size);
    }
    const int counter = packet[3] & 0x0f;
    const int expected = has_payload ? (lane.counter + 1) & 0x0f : lane.counter;
    INVARIANT(lane.counter < 0 || lane.discontinuity || counter == expected, pid, counter,
              expected);
    lane.counter = counter;
    lane.discontinuity = false;
    if (!has_payload) return;
    if (pid == 0 || pid == pmt_pid_)
      take_section(rest, starts, pid);
    else if (tracks.contains(pid))
      take_pes(rest, starts, pid, lane, random_access);
    else
      INVARIANT(pmt_pid_ < 0 || tracks.empty(), pid);  // of a track that no table has
  }

  // Tells whether a decoder may start here.
  bool take_field(ByteView field, int pid, Lane& lane) {
    if (field.empty()) return false;
    const int flags = field[0];
    INVARIANT((flags & 0x0f) == 0, flags);  // nothing that this does not read
    lane.discontinuity = (flags & 0x80) != 0;
    discontinuities += lane.discontinuity ? 1 : 0;
    if (lane.discontinuity && pid == pmt_pid_) version = -1;  // any may come next
    std::size_t used = 1;
    if (flags & 0x10) {
      INVARIANT(field.size() >= 7 && (field[5] & 0x7e) == 0x7e);
      INVARIANT(tracks.empty() || pid == clock_pid, pid, clock_pid);
      clocks.push_back(std::uint64_t{load_be32(field.data() + 1)} << 1 | field[5] >> 7);
      used = 7;
    }
    INVARIANT(std::ranges::all_of(field.subspan(used), [](auto byte) { return byte == 0xff; }));
    return (flags & 0x40) != 0;
  }

  void take_section(ByteView payload, bool starts, int pid) {
    INVARIANT(starts && payload[0] == 0);
    const std::size_t size = (load_be16(payload.data() + 2) & 0x0fff) + 3;
    INVARIANT(size + 1 <= payload.size(), size);
    const ByteView section = payload.subspan(1, size);
    INVARIANT(crc(section) == 0);
    const ByteView filler = payload.subspan(1 + size);
    INVARIANT(std::ranges::all_of(filler, [](auto byte) { return byte == 0xff; }));
    INVARIANT(section[0] == (pid == 0 ? 0 : 2));
    INVARIANT((section[5] & 1) == 1 && load_be16(section.data() + 6) == 0);
    if (pid == 0) {
      INVARIANT(size == 16 && load_be16(section.data() + 8) == 1, size);
      pmt_pid_ = static_cast<int>(load_be16(section.data() + 10) & 0x1fff);
    } else {
      take_program(section);
    }
  }

  void take_program(ByteView section) {
    std::map<int, TsTrack> now;
    const int clock = static_cast<int>(load_be16(section.data() + 8) & 0x1fff);
    INVARIANT((load_be16(section.data() + 10) & 0x0fff) == 0);
    ByteView rest = section.subspan(12, section.size() - 16);
    while (!rest.empty()) {
      const std::size_t size = load_be16(rest.data() + 3) & 0x0fff;
      const ByteView descriptors = rest.subspan(5, size);
      now[static_cast<int>(load_be16(rest.data() + 1) & 0x1fff)] = {
          rest[0], ByteBuffer(descriptors.begin(), descriptors.end())};
      rest = rest.subspan(5 + size);
    }
    INVARIANT(now.contains(clock), clock);
    const int number = section[5] >> 1 & 0x1f;
    const bool same = now == tracks && clock == clock_pid;
    INVARIANT(version < 0 || (number == version) == same, number, version);
    version = number;
    clock_pid = clock;
    tracks = now;
    ++tables;
  }

  void take_pes(ByteView payload, bool starts, int pid, Lane& lane, bool random_access) {
    if (starts) {
      finish(lane);
      lane.frame = TsFrame{.pid = pid, .random_access = random_access};
    }
    INVARIANT(lane.frame, pid);
    append(lane.pes, payload);
    const std::size_t length = lane.pes.size() < 6 ? 0 : load_be16(lane.pes.data() + 4);
    INVARIANT(length == 0 || lane.pes.size() <= length + 6, length, lane.pes.size());
    if (length > 0 && lane.pes.size() == length + 6) finish(lane);
  }

  static std::uint64_t timestamp(const std::uint8_t* p, int prefix) {
    INVARIANT(p[0] >> 4 == prefix && (p[0] & p[2] & p[4] & 1) == 1);
    return (std::uint64_t{p[0]} << 29 & 0x1c0000000) | std::uint64_t{load_be16(p + 1) >> 1} << 15 |
           load_be16(p + 3) >> 1;
  }

  void finish(Lane& lane) {
    if (!lane.frame) return;
    TsFrame frame = *std::exchange(lane.frame, std::nullopt);
    const ByteBuffer pes = std::exchange(lane.pes, {});
    INVARIANT(pes.size() >= 14 && load_be24(pes.data()) == 1);
    const std::size_t length = load_be16(pes.data() + 4);
    frame.stream_id = pes[3];
    frame.measured = length > 0;
    INVARIANT(frame.measured ? length + 6 == pes.size() : (pes[3] & 0xf0) == 0xe0, length);
    INVARIANT((pes[6] & 0xc0) == 0x80);
    const bool both = pes[7] == 0xc0;
    INVARIANT(both || pes[7] == 0x80, pes[7]);
    INVARIANT(pes[8] == (both ? 10 : 5), pes[8]);
    frame.pts = timestamp(pes.data() + 9, both ? 3 : 2);
    frame.dts = both ? timestamp(pes.data() + 14, 1) : frame.pts;
    frame.payload.assign(pes.begin() + 9 + pes[8], pes.end());
    frames.push_back(std::move(frame));
  }

  int pmt_pid_ = -1;
  std::map<int, Lane> lanes_;
};

inline TsReader read_ts(ByteView packets) {
  TsReader reader;
  reader.feed(packets);
  reader.end();
  return reader;
}

}  // namespace weir::test
