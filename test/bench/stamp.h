// test/bench/stamp.h
// The mark inside every video frame that the replay origin sends: when it was sent, and its number.
//
// It is an H.264 SEI NAL unit (user_data_unregistered, H.264 D.1.7) in front of the frame's own NAL units, so
// that every server which leaves the elementary stream alone carries it, whatever it does to timestamps,
// chunks and tags. The two numbers are hexadecimal text: no emulation prevention is ever needed.
//
//     00 00 00 2c | 06 05 28 | uuid, 16 bytes | sent_ns, 16 digits | sequence, 8 digits | 80
//
// Both ends read CLOCK_MONOTONIC of the same machine.
#pragma once

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "common/bytes.h"

namespace weir::bench {

inline std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Stamp {
  std::int64_t sent_ns = 0;
  std::uint32_t sequence = 0;
};

inline constexpr std::array<std::uint8_t, 16> kStampUuid = {
    0x77, 0x65, 0x69, 0x72, 0x2d, 0x62, 0x65, 0x6e, 0x63, 0x68, 0x2d, 0x73, 0x74, 0x61, 0x6d, 0x70};
inline constexpr std::size_t kStampSize = 48;
inline constexpr std::size_t kStampOffset = 5;  // behind the FLV video tag's frame type and cts

// REQUIRES: room for kStampSize bytes at `p`.
inline void write_stamp(std::uint8_t* p, Stamp stamp) {
  constexpr char kDigits[] = "0123456789abcdef";
  p = store_be32(p, kStampSize - 4);
  for (const int byte : {0x06, 0x05, 0x28}) *p++ = static_cast<std::uint8_t>(byte);
  p = std::copy(kStampUuid.begin(), kStampUuid.end(), p);
  for (int shift = 60; shift >= 0; shift -= 4)
    *p++ = static_cast<std::uint8_t>(kDigits[stamp.sent_ns >> shift & 15]);
  for (int shift = 28; shift >= 0; shift -= 4)
    *p++ = static_cast<std::uint8_t>(kDigits[stamp.sequence >> shift & 15]);
  *p = 0x80;
}

// Looks near the front of an FLV video payload only.
inline std::optional<Stamp> find_stamp(ByteView payload) {
  const auto head = payload.first(std::min<std::size_t>(payload.size(), 256));
  const auto found = std::search(head.begin(), head.end(), kStampUuid.begin(), kStampUuid.end());
  if (head.end() - found < 16 + 24) return std::nullopt;
  const std::uint8_t* p = &*found + 16;
  std::uint64_t numbers[2] = {};
  for (int i = 0; i < 24; ++i) {
    const int digit = p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10;
    auto& number = numbers[i / 16];
    number = number << 4 | static_cast<std::uint64_t>(digit & 15);
  }
  return Stamp{static_cast<std::int64_t>(numbers[0]), static_cast<std::uint32_t>(numbers[1])};
}

}  // namespace weir::bench
