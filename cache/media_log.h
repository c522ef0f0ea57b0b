// cache/media_log.h
// A StreamLog and the format its messages are written in. Each packet is
// serialised here, once, for all viewers of the format.
//
//     Rtmp, Flv, WsFlv     a message is a packet; headers go before keyframes as the preamble
//     Ts, WsTs, Aac, Mp3   a message is what a Remuxer makes of a packet, if anything; where viewers
//                          start is its choice, and the preamble its lead-in
//
// In the Ws formats each message is a binary WebSocket message too.
//
// Threading and bounds: the StreamLog's; a Remuxer's packet under way.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "cache/gop.h"
#include "cache/stream_log.h"
#include "common/wire/remuxer.h"

namespace weir {

enum class Format : std::uint8_t { Rtmp, Flv, Ts, WsFlv, WsTs, Aac, Mp3 };
inline constexpr std::array kFormats{Format::Rtmp, Format::Flv, Format::Ts, Format::WsFlv,
                                     Format::WsTs, Format::Aac, Format::Mp3};
inline constexpr std::size_t kFormatCount = kFormats.size();
std::string_view name(Format format);
constexpr bool is_websocket(Format format) {
  return format == Format::WsFlv || format == Format::WsTs;
}

class MediaLog {
 public:
  MediaLog(Format format, const StreamLog::Limits& limits);

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
  void append_remuxed(const flv::Tag& tag, bool keyframe, StreamLog::Clock::time_point now);

  Format format_;
  StreamLog log_;
  std::unique_ptr<Remuxer> remuxer_;  // null where a message is a packet
  ByteBuffer remuxed_;
};

}  // namespace weir
