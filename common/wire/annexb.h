// common/wire/annexb.h
// H.264 and HEVC as MPEG-TS has them: NAL units between start codes (annex B of either
// specification), where FLV has a length before each and the parameter sets in a record of its own.
//
//     FLV       │ length │ SEI │ length │ slice │                                + record, once
//     annex B   │ 0001 AUD │ 0001 VPS SPS PPS │ 0001 SEI │ 0001 slice │          every picture
//                            └ of pictures that decode by themselves
//
// Threading: values and pure functions. Bounds: a record's parameter sets take at most
// kMaxParameterSets; a picture grows by what its shortest NAL units need, at most threefold, and by
// those.
#pragma once

#include <optional>

#include "common/bytes.h"

namespace weir::annexb {

inline constexpr std::size_t kMaxParameterSets = 64 * 1024;

enum class Syntax : std::uint8_t { H264, Hevc };

struct Config {
  Syntax syntax = Syntax::H264;
  std::uint8_t length_size = 4;  // of the field before each NAL unit: 1, 2 or 4
  ByteBuffer parameter_sets;     // with start codes

  friend bool operator==(const Config&, const Config&) = default;
};

// An AVCDecoderConfigurationRecord or HEVCDecoderConfigurationRecord (ISO 14496-15, 5.3.3 and
// 8.3.3). Nothing when it is cut short, has no sequence parameter set, or breaks a bound.
std::optional<Config> parse_config(Syntax syntax, ByteView record);

// Appends the picture with an access unit delimiter first. `keyframe`: and with the parameter sets,
// unless it brings its own. False, and nothing appended, when its lengths do not add up or it has
// no NAL unit.
bool append_picture(ByteBuffer& out, const Config& config, ByteView picture, bool keyframe);

}  // namespace weir::annexb
