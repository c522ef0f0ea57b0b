// common/wire/adts.h
// AAC that explains itself: an ADTS header before each frame (ISO 14496-3, 1.A.2.2) says what FLV
// says once, in its AudioSpecificConfig. MPEG-TS and bare .aac files carry AAC like this.
//
// Threading and bounds: values and pure functions, no allocation.
#pragma once

#include <optional>

#include "common/bytes.h"

namespace weir::adts {

// As much of an AudioSpecificConfig as an ADTS header has room for.
struct Config {
  std::uint8_t object_type = 2;  // 1 to 4: Main, LC, SSR, LTP
  std::uint8_t frequency_index = 0;
  std::uint8_t channels = 0;  // 1 to 7 of ISO 14496-3 table 1.19

  friend bool operator==(const Config&, const Config&) = default;
};

// Nothing when it is cut short, or when ADTS cannot say it: other object types, sampling rates
// outside of the table, channels by a program config element. SBR and PS become implicit: their
// core is described, and decoders find them in the frames.
std::optional<Config> parse_config(ByteView audio_specific_config);

inline constexpr std::size_t kHeaderSize = 7;
inline constexpr std::size_t kMaxFrame = 0x1fff - kHeaderSize;

// Returns the byte after the header. REQUIRES: room for kHeaderSize; frame_size <= kMaxFrame.
std::uint8_t* write_header(std::uint8_t* out, const Config& config, std::size_t frame_size);

}  // namespace weir::adts
