#include "common/wire/codec.h"

namespace weir::flv {
namespace {

// Frame types, FLV 10.1 E.4.3.1.
constexpr int kKeyFrame = 1;
constexpr int kGeneratedKeyFrame = 4;  // made by a server: decodes by itself as well
constexpr int kCommandFrame = 5;

constexpr std::uint8_t kExVideoHeader = 0x80;
constexpr int kExAudioFormat = 9;
constexpr int kAac = 10;

// Packet types that Enhanced RTMP v2 gives audio and video alike.
constexpr int kSequenceStart = 0;
constexpr int kCodedFrames = 1;
constexpr int kSequenceEnd = 2;
constexpr int kCodedFramesX = 3;  // video: without composition time
constexpr int kModEx = 7;

constexpr int kVideoMetadata = 4;
constexpr int kVideoMpeg2TsSequenceStart = 5;
constexpr int kVideoMultitrack = 6;

constexpr int kAudioMultichannelConfig = 4;
constexpr int kAudioMultitrack = 5;

enum class Tracks : std::uint8_t { One = 0, Many = 1, ManyCodecs = 2 };

constexpr std::uint32_t four_cc(const char (&text)[5]) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(text[i]);
  return value;
}

Codec codec_of(std::uint32_t code) {
  switch (code) {
    case four_cc("avc1"): return Codec::H264;
    case four_cc("hvc1"): return Codec::Hevc;
    case four_cc("vvc1"): return Codec::Vvc;
    case four_cc("vp08"): return Codec::Vp8;
    case four_cc("vp09"): return Codec::Vp9;
    case four_cc("av01"): return Codec::Av1;
    case four_cc("Opus"): return Codec::Opus;
    case four_cc("fLaC"): return Codec::Flac;
    case four_cc("ac-3"): return Codec::Ac3;
    case four_cc("ec-3"): return Codec::Eac3;
    case four_cc(".mp3"): return Codec::Mp3;
    case four_cc("mp4a"): return Codec::Aac;
    default: return Codec::Unknown;
  }
}

Codec legacy_video_codec(int id) {
  switch (id) {
    case 2:
    case 8: return Codec::H263;
    case 3:
    case 6: return Codec::Screen;
    case 4:
    case 5: return Codec::Vp6;
    case 7: return Codec::H264;
    case 12: return Codec::Hevc;
    case 13: return Codec::Av1;
    default: return Codec::Unknown;
  }
}

Codec legacy_audio_codec(int format) {
  switch (format) {
    case 0:
    case 3: return Codec::Pcm;
    case 1: return Codec::Adpcm;
    case 2:
    case 14: return Codec::Mp3;
    case 4:
    case 5:
    case 6: return Codec::Nellymoser;
    case 7: return Codec::G711A;
    case 8: return Codec::G711U;
    case 10: return Codec::Aac;
    case 11: return Codec::Speex;
    case 13: return Codec::Opus;
    default: return Codec::Unknown;
  }
}

bool has_composition_time(Codec codec) {
  return codec == Codec::H264 || codec == Codec::Hevc || codec == Codec::Vvc;
}

bool is_key(int frame_type) { return frame_type == kKeyFrame || frame_type == kGeneratedKeyFrame; }

std::int32_t load_signed_be24(const std::uint8_t* p) {
  return static_cast<std::int32_t>(load_be24(p) << 8) >> 8;
}

// Reads from the front of a body; once something is missing, ok() is false and everything reads as
// 0.
class Reader {
 public:
  explicit Reader(ByteView rest) : rest_(rest) {}

  bool ok() const { return ok_; }
  ByteView rest() const { return ok_ ? rest_ : ByteView(); }

  std::uint8_t u8() {
    const std::uint8_t* p = take(1);
    return p ? *p : std::uint8_t{0};
  }
  std::uint32_t u16() {
    const std::uint8_t* p = take(2);
    return p ? load_be16(p) : 0;
  }
  std::uint32_t u24() {
    const std::uint8_t* p = take(3);
    return p ? load_be24(p) : 0;
  }
  std::int32_t s24() {
    const std::uint8_t* p = take(3);
    return p ? load_signed_be24(p) : 0;
  }
  std::uint32_t u32() {
    const std::uint8_t* p = take(4);
    return p ? load_be32(p) : 0;
  }
  void skip(std::size_t size) { take(size); }
  void keep(std::size_t size) {
    ok_ = ok_ && size <= rest_.size();
    if (ok_) rest_ = rest_.first(size);
  }

 private:
  const std::uint8_t* take(std::size_t size) {
    ok_ = ok_ && size <= rest_.size();
    if (!ok_) return nullptr;
    const std::uint8_t* start = rest_.data();
    rest_ = rest_.subspan(size);
    return start;
  }

  ByteView rest_;
  bool ok_ = true;
};

// A chain of extensions in front of the real packet type. Each is at least two bytes, so it ends.
int skip_mod_ex(Reader& reader, int packet_type) {
  while (packet_type == kModEx && reader.ok()) {
    std::size_t size = reader.u8() + 1u;
    if (size == 256) size = reader.u16() + 1u;
    reader.skip(size);
    packet_type = reader.u8() & 0x0f;
  }
  return packet_type;
}

struct Track {
  Codec codec = Codec::Unknown;
  bool multitrack = false;
  int packet_type = 0;
  std::uint8_t id = 0;
};

// From behind the packet type to the payload of the first track.
Track read_track(Reader& reader, int packet_type, int multitrack_type) {
  Track track{.packet_type = packet_type};
  if (packet_type != multitrack_type) {
    track.codec = codec_of(reader.u32());
    return track;
  }
  const std::uint8_t kinds = reader.u8();
  track.multitrack = true;
  track.packet_type = kinds & 0x0f;
  track.codec = codec_of(reader.u32());  // of all tracks, or with ManyCodecs of the first
  track.id = reader.u8();
  if (Tracks{static_cast<std::uint8_t>(kinds >> 4)} != Tracks::One) reader.keep(reader.u24());
  return track;
}

VideoInfo inspect_ex_video(ByteView body) {
  VideoInfo info{.enhanced = true};
  Reader reader(body);
  const std::uint8_t first = reader.u8();
  const int frame_type = first >> 4 & 0x07;
  const int packet_type = skip_mod_ex(reader, first & 0x0f);
  if (!reader.ok()) return info;
  if (frame_type == kCommandFrame && packet_type != kVideoMetadata) {
    info.command = true;
    return info;
  }
  const Track track = read_track(reader, packet_type, kVideoMultitrack);
  if (!reader.ok()) return info;
  info.codec = track.codec;
  info.multitrack = track.multitrack;
  info.track = track.id;
  if (track.packet_type == kCodedFrames && has_composition_time(track.codec))
    info.composition_time_ms = reader.s24();
  info.payload = reader.rest();
  const bool filled = !info.payload.empty();
  switch (track.packet_type) {
    case kSequenceStart:
    case kVideoMpeg2TsSequenceStart: info.sequence_header = filled; break;
    case kCodedFrames:
    case kCodedFramesX: info.keyframe = filled && is_key(frame_type); break;
    case kSequenceEnd: info.end_of_sequence = true; break;
    case kVideoMetadata: info.metadata = filled; break;
    default: break;
  }
  return info;
}

AudioInfo inspect_ex_audio(ByteView body) {
  AudioInfo info{.enhanced = true};
  Reader reader(body);
  const int packet_type = skip_mod_ex(reader, reader.u8() & 0x0f);
  const Track track = read_track(reader, packet_type, kAudioMultitrack);
  if (!reader.ok()) return info;
  info.codec = track.codec;
  info.multitrack = track.multitrack;
  info.track = track.id;
  info.payload = reader.rest();
  const bool filled = !info.payload.empty();
  info.sequence_header = track.packet_type == kSequenceStart && filled;
  info.channel_config = track.packet_type == kAudioMultichannelConfig && filled;
  info.end_of_sequence = track.packet_type == kSequenceEnd;
  return info;
}

}  // namespace

std::string_view name(Codec codec) {
  switch (codec) {
    case Codec::Unknown: return "unknown";
    case Codec::H263: return "h263";
    case Codec::Screen: return "screen";
    case Codec::Vp6: return "vp6";
    case Codec::H264: return "h264";
    case Codec::Hevc: return "hevc";
    case Codec::Vvc: return "vvc";
    case Codec::Vp8: return "vp8";
    case Codec::Vp9: return "vp9";
    case Codec::Av1: return "av1";
    case Codec::Pcm: return "pcm";
    case Codec::Adpcm: return "adpcm";
    case Codec::Mp3: return "mp3";
    case Codec::Nellymoser: return "nellymoser";
    case Codec::G711A: return "g711a";
    case Codec::G711U: return "g711u";
    case Codec::Aac: return "aac";
    case Codec::Speex: return "speex";
    case Codec::Opus: return "opus";
    case Codec::Flac: return "flac";
    case Codec::Ac3: return "ac3";
    case Codec::Eac3: return "eac3";
  }
  return "unknown";
}

VideoInfo inspect_video(ByteView body) {
  if (body.empty()) return {};
  if (body[0] & kExVideoHeader) return inspect_ex_video(body);
  VideoInfo info;
  const int frame_type = body[0] >> 4;
  info.codec = legacy_video_codec(body[0] & 0x0f);
  info.command = frame_type == kCommandFrame;
  if (info.codec == Codec::Unknown || info.command) return info;

  Reader reader(body.subspan(1));
  int packet_type = kCodedFrames;
  if (has_composition_time(info.codec) || info.codec == Codec::Av1) {
    packet_type = reader.u8();
    info.composition_time_ms = reader.s24();
    if (!reader.ok()) return info;
  }
  info.payload = reader.rest();
  const bool filled = !info.payload.empty();
  info.sequence_header = packet_type == kSequenceStart && filled;
  info.keyframe = packet_type == kCodedFrames && filled && is_key(frame_type);
  info.end_of_sequence = packet_type == kSequenceEnd;
  return info;
}

AudioInfo inspect_audio(ByteView body) {
  if (body.empty()) return {};
  const int format = body[0] >> 4;
  if (format == kExAudioFormat) return inspect_ex_audio(body);
  AudioInfo info;
  info.codec = legacy_audio_codec(format);
  Reader reader(body.subspan(1));
  const int packet_type = format == kAac ? reader.u8() : kCodedFrames;
  info.payload = reader.rest();
  info.sequence_header = packet_type == kSequenceStart && !info.payload.empty();
  return info;
}

}  // namespace weir::flv
