// test/bench/replay.h
// One FLV file as an endless live stream: each message falls due at its own time, timestamps run on across
// the loops, every video frame carries a stamp (test/bench/stamp.h).
//
// Why unmerged: an origin that sends 350 ms at once makes the server behind it look as cheap as a merging one.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/wire/rtmp_message.h"
#include "test/bench/stamp.h"

namespace weir::bench {

struct MediaMessage {
  rtmp::Type type = rtmp::Type::Video;
  std::uint32_t timestamp_ms = 0;
  bool keyframe = false;
  ByteBuffer payload;
};

struct Clip {
  MediaMessage metadata, video_header, audio_header;
  std::vector<MediaMessage> messages;  // video payloads have room for the stamp
  std::uint32_t duration_ms = 0;
};

// A file that is missing or not what ffmpeg makes for us ends the process.
inline Clip load_clip(const std::string& path) {
  const auto give_up = [&](const char* why) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), why);
    std::exit(1);
  };
  ByteBuffer file;
  if (std::FILE* in = std::fopen(path.c_str(), "rb")) {
    std::uint8_t block[65536];
    while (const std::size_t n = std::fread(block, 1, sizeof block, in)) append(file, {block, n});
    std::fclose(in);
  }
  if (file.size() < 13 || as_text(ByteView(file).first(3)) != "FLV") give_up("not an FLV file");

  Clip clip;
  std::uint32_t first_ms = ~0U;
  for (ByteView rest = ByteView(file).subspan(13); rest.size() >= 15;) {
    const std::uint32_t size = load_be24(&rest[1]);
    if (rest.size() < size + 15) break;
    const ByteView body = rest.subspan(11, size);
    MediaMessage message{static_cast<rtmp::Type>(rest[0]), load_be24(&rest[4]), false, {}};
    message.payload.assign(body.begin(), body.end());
    rest = rest.subspan(size + 15);
    if (size < 2) continue;
    if (message.type == rtmp::Type::DataAmf0) {
      clip.metadata = std::move(message);
    } else if (body[1] == 0) {  // a sequence header, of AVC or AAC
      (message.type == rtmp::Type::Video ? clip.video_header : clip.audio_header) = message;
    } else if (body[1] == 1) {
      first_ms = std::min(first_ms, message.timestamp_ms);
      message.timestamp_ms -= first_ms;
      if (message.type == rtmp::Type::Video) {
        message.keyframe = body[0] >> 4 == 1;
        message.payload.insert(message.payload.begin() + kStampOffset, kStampSize, 0);
        clip.duration_ms = message.timestamp_ms + 40;
      }
      clip.messages.push_back(std::move(message));
    }
  }
  std::erase_if(clip.messages, [&](const auto& m) { return m.timestamp_ms >= clip.duration_ms; });
  if (clip.messages.empty() || clip.video_header.payload.empty()) give_up("no video in it");
  return clip;
}

class Replay {
 public:
  Replay(const Clip& clip, std::int64_t start_ns) : clip_(clip), start_ns_(start_ns) {}

  std::int64_t next_due_ns() const {
    return start_ns_ + std::int64_t{1'000'000} * (offset_ms_ + clip_.messages[at_].timestamp_ms);
  }

  // The next message, stamped with the present time. Holds until the next call.
  const MediaMessage& take() {
    current_ = clip_.messages[at_];
    current_.timestamp_ms += offset_ms_;
    if (current_.type == rtmp::Type::Video)
      write_stamp(&current_.payload[kStampOffset], {monotonic_ns(), sequence_++});
    if (++at_ == clip_.messages.size()) {
      at_ = 0;
      offset_ms_ += clip_.duration_ms;
    }
    return current_;
  }

 private:
  const Clip& clip_;
  std::int64_t start_ns_;
  std::size_t at_ = 0;
  std::uint32_t offset_ms_ = 0;
  std::uint32_t sequence_ = 0;
  MediaMessage current_;
};

}  // namespace weir::bench
