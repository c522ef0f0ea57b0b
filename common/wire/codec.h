// common/wire/codec.h
// What an audio or video message carries, read off its first bytes. An FLV tag and an RTMP message
// have the same body, so this serves both.
//
// weir never decodes media. It asks four things: is this codec configuration that a new viewer
// needs first, is it metadata, does a picture start here that decodes by itself, which codec is it.
// The answers cover legacy FLV (with HEVC and AV1 under the ids 12 and 13, as many encoders send
// them) and Enhanced RTMP v1 and v2.
//
// A body that is empty, cut short or unknown has answers too: unknown codec, no keyframe, nothing
// to keep.
//
// Threading and bounds: pure functions of the first bytes, no allocation.
#pragma once

#include <string_view>

#include "common/bytes.h"

namespace weir::flv {

enum class Codec : std::uint8_t {
  Unknown,
  // video
  H263,
  Screen,
  Vp6,
  H264,
  Hevc,
  Vvc,
  Vp8,
  Vp9,
  Av1,
  // audio
  Pcm,
  Adpcm,
  Mp3,
  Nellymoser,
  G711A,
  G711U,
  Aac,
  Speex,
  Opus,
  Flac,
  Ac3,
  Eac3,
};

// Lower case, for logs, metrics and JSON: "h264", "aac"; "unknown".
std::string_view name(Codec codec);

struct VideoInfo {
  Codec codec = Codec::Unknown;
  bool keyframe = false;         // coded picture that decodes by itself; never a sequence header
  bool sequence_header = false;  // decoder configuration, not empty
  bool end_of_sequence = false;
  bool metadata = false;  // Enhanced RTMP's colour information: a viewer needs the newest one
  bool command = false;   // a seek mark of servers, without picture
  bool enhanced = false;
  // Several tracks in one stream. Codec, track and payload are those of the first track of the
  // message; the flags hold for all its tracks. Track 0 is what viewers without multitrack see.
  bool multitrack = false;
  std::uint8_t track = 0;
  std::int32_t composition_time_ms = 0;
  ByteView payload = {};  // a view into the body: configuration record or coded picture
};

struct AudioInfo {
  Codec codec = Codec::Unknown;
  bool sequence_header = false;
  bool end_of_sequence = false;
  bool channel_config = false;  // Enhanced RTMP's MultichannelConfig: kept like a sequence header
  bool enhanced = false;
  bool multitrack = false;  // as in VideoInfo
  std::uint8_t track = 0;
  ByteView payload = {};
};

VideoInfo inspect_video(ByteView body);
AudioInfo inspect_audio(ByteView body);

}  // namespace weir::flv
