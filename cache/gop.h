// cache/gop.h
// The packets of a stream since its newest keyframe, and the headers a decoder needs before them.
//
// From here the log of a further protocol is built when its first viewer comes, so a stream costs
// only the protocols in which it is watched.
//
// A stream without video starts anew with each audio packet: any of them is a place to join. It
// counts as one when its metadata announces no video, or no video has come for kAudioOnlyAfterMs of
// its own time.
//
// Threading: the stream's home loop. Bounds: `max_bytes` of bodies; a longer group is let go whole,
// and joining waits for the next keyframe. Headers: one of each kind and track, at most
// kMaxHeaders.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/wire/codec.h"
#include "common/wire/flv.h"

namespace weir {

// An FLV tag that owns its body. RTMP messages of audio, video and metadata have the same bodies.
struct Packet {
  flv::TagType type = flv::TagType::Script;
  std::uint32_t timestamp_ms = 0;
  ByteBuffer body;

  explicit Packet(const flv::Tag& tag)
      : type(tag.type), timestamp_ms(tag.timestamp_ms), body(tag.body.begin(), tag.body.end()) {}
  flv::Tag tag() const { return {type, timestamp_ms, body}; }
};

class Gop {
 public:
  static constexpr std::uint32_t kAudioOnlyAfterMs = 2000;
  static constexpr std::size_t kMaxHeaders = 64;

  enum class Role {
    Header,    // new or changed: decoders must have it from here on
    Keyframe,  // a viewer may start here
    Media,
    Skip,  // nothing in it that a viewer lacks
  };

  explicit Gop(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // Takes a copy of what a later viewer needs, and tells what the tag is in its stream.
  Role add(const flv::Tag& tag);
  // The packets no longer go on: a new source begins. Headers stay until they are replaced.
  void interrupt();

  // As of now, in the order players expect: metadata, video, audio.
  std::vector<flv::Tag> headers() const { return tags_of(*headers_); }
  // As of the keyframe that packets() begin with.
  std::vector<flv::Tag> keyframe_headers() const { return tags_of(*keyframe_headers_); }
  // Changes whenever headers() do.
  const void* headers_version() const { return headers_.get(); }
  // From the newest keyframe on; empty when there is none.
  const std::vector<Packet>& packets() const { return packets_; }

  flv::Codec video_codec() const { return video_codec_; }
  flv::Codec audio_codec() const { return audio_codec_; }
  // Whether there is such media, or may be: seen, or announced by the metadata, or all is still
  // unknown. Players wait long for what an FLV header claims, and miss what it does not.
  bool expects(flv::TagType type) const;

 private:
  struct Header {
    int place;  // orders them, and tells which one a new header replaces
    Packet packet;
  };
  using Headers = std::vector<Header>;

  static std::vector<flv::Tag> tags_of(const Headers& headers);
  Role add_header(int place, const flv::Tag& tag);
  Role add_media(const flv::Tag& tag, bool keyframe);
  Role add_video(const flv::Tag& tag);
  Role add_audio(const flv::Tag& tag);

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::vector<Packet> packets_;
  std::shared_ptr<const Headers> headers_ = std::make_shared<const Headers>();
  std::shared_ptr<const Headers> keyframe_headers_ = headers_;
  flv::Codec video_codec_ = flv::Codec::Unknown;
  flv::Codec audio_codec_ = flv::Codec::Unknown;
  std::optional<std::uint32_t> last_video_ms_;  // or when the stream began
};

}  // namespace weir
