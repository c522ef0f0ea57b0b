// cache/media_log.h
// A StreamLog and the format its messages are written in. Each packet is
// serialised here, once, for all viewers of the format.
//
// Threading and bounds: the StreamLog's.
#pragma once

#include <span>

#include "cache/gop.h"
#include "cache/stream_log.h"

namespace weir {

enum class Format : std::uint8_t { Rtmp, Flv };
inline constexpr std::size_t kFormatCount = 2;
std::string_view name(Format format);

class MediaLog {
 public:
  MediaLog(Format format, const StreamLog::Limits& limits) : format_(format), log_(limits) {}

  // Begins with what `gop` has, so that the first viewer starts at once.
  void fill(const Gop& gop, StreamLog::Clock::time_point now);

  void append(const flv::Tag& tag, bool keyframe, StreamLog::Clock::time_point now);
  // What goes before keyframes from `timestamp_ms` on. Scripts keep their own time.
  void set_preamble(std::span<const flv::Tag> headers, std::uint32_t timestamp_ms);

  LogView view() const { return log_.view(); }
  std::size_t bytes() const { return log_.bytes(); }

 private:
  std::size_t size_of(const flv::Tag& tag) const;
  std::uint8_t* write(std::uint8_t* out, const flv::Tag& tag) const;

  Format format_;
  StreamLog log_;
};

}  // namespace weir
