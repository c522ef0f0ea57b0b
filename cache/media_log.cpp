#include "cache/media_log.h"

#include <algorithm>
#include <utility>

#include "common/wire/bare_audio.h"
#include "common/wire/mpegts_muxer.h"
#include "common/wire/rtmp_chunk_writer.h"
#include "common/wire/websocket_frame.h"

namespace weir {

namespace {

rtmp::MessageHeader header_of(const flv::Tag& tag) {
  rtmp::MessageHeader header{.timestamp_ms = tag.timestamp_ms, .stream_id = rtmp::kMediaStreamId};
  switch (tag.type) {
    case flv::TagType::Audio:
      header.chunk_stream = rtmp::kAudioChunkStream;
      header.type = rtmp::Type::Audio;
      break;
    case flv::TagType::Video:
      header.chunk_stream = rtmp::kVideoChunkStream;
      header.type = rtmp::Type::Video;
      break;
    case flv::TagType::Script:
      header.chunk_stream = rtmp::kDataChunkStream;
      header.type = rtmp::Type::DataAmf0;
      break;
  }
  return header;
}

std::unique_ptr<Remuxer> remuxer_of(Format format) {
  switch (format) {
    case Format::Ts:
    case Format::WsTs: return std::make_unique<mpegts::Muxer>();
    case Format::Aac: return std::make_unique<BareAudio>(flv::Codec::Aac);
    case Format::Mp3: return std::make_unique<BareAudio>(flv::Codec::Mp3);
    case Format::Rtmp:
    case Format::Flv:
    case Format::WsFlv: break;
  }
  return nullptr;
}

std::size_t framed_size(Format format, std::size_t size) {
  return is_websocket(format) ? websocket::header_size(size) + size : size;
}

std::uint8_t* begin_frame(std::uint8_t* out, Format format, std::size_t size) {
  return is_websocket(format) ? websocket::write_header(out, websocket::Opcode::Binary, size) : out;
}

void write_framed(std::uint8_t* out, Format format, ByteView bytes) {
  std::ranges::copy(bytes, begin_frame(out, format, bytes.size()));
}

}  // namespace

std::string_view name(Format format) {
  switch (format) {
    case Format::Rtmp: return "rtmp";
    case Format::Flv: return "flv";
    case Format::Ts: return "ts";
    case Format::WsFlv: return "ws-flv";
    case Format::WsTs: return "ws-ts";
    case Format::Aac: return "aac";
    case Format::Mp3: return "mp3";
  }
  return "unknown";
}

MediaLog::MediaLog(Format format, const StreamLog::Limits& limits)
    : format_(format), log_(limits), remuxer_(remuxer_of(format)) {}

std::size_t MediaLog::size_of(const flv::Tag& tag) const {
  if (format_ != Format::Rtmp) return framed_size(format_, tag.body.size() + flv::kTagOverhead);
  return rtmp::encoded_size(static_cast<std::uint32_t>(tag.body.size()), tag.timestamp_ms,
                            header_of(tag).chunk_stream, rtmp::kOutChunkSize);
}

std::uint8_t* MediaLog::write(std::uint8_t* out, const flv::Tag& tag) const {
  if (format_ == Format::Rtmp)
    return rtmp::encode(out, header_of(tag), tag.body, rtmp::kOutChunkSize);
  out = begin_frame(out, format_, tag.body.size() + flv::kTagOverhead);
  return flv::write_tag(out, tag.type, tag.timestamp_ms, tag.body);
}

void MediaLog::append(const flv::Tag& tag, bool keyframe, StreamLog::Clock::time_point now) {
  if (remuxer_) {
    append_remuxed(tag, keyframe, now);
    return;
  }
  write(log_.begin_message(size_of(tag), now), tag);
  log_.end_message(keyframe);
}

void MediaLog::append_remuxed(const flv::Tag& tag, bool keyframe,
                              StreamLog::Clock::time_point now) {
  remuxed_.clear();
  const auto wrote = remuxer_->write(tag, keyframe, remuxed_);
  if (wrote == Remuxer::Wrote::Nothing) return;
  const bool start = wrote == Remuxer::Wrote::Start;
  if (start) {
    ByteBuffer lead_in;
    remuxer_->append_lead_in(lead_in);
    ByteBuffer preamble(framed_size(format_, lead_in.size()));
    write_framed(preamble.data(), format_, lead_in);
    log_.set_preamble(preamble);
  }
  write_framed(log_.begin_message(framed_size(format_, remuxed_.size()), now), format_, remuxed_);
  log_.end_message(start);
}

void MediaLog::set_preamble(std::span<const flv::Tag> headers, std::uint32_t timestamp_ms) {
  if (remuxer_) {
    for (const flv::Tag& tag : headers) remuxer_->configure(tag);
    return;
  }
  ByteBuffer bytes;
  for (flv::Tag tag : headers) {
    if (tag.type != flv::TagType::Script) tag.timestamp_ms = timestamp_ms;
    const std::size_t begin = bytes.size();
    bytes.resize(begin + size_of(tag));
    write(bytes.data() + begin, tag);
  }
  log_.set_preamble(bytes);
}

void MediaLog::fill(const Gop& gop, StreamLog::Clock::time_point now) {
  if (gop.packets().empty()) return;
  set_preamble(gop.keyframe_headers(), gop.packets().front().timestamp_ms);
  if (remuxer_) remuxer_->expect_audio(gop.audio_codec());
  bool keyframe = true;
  for (const Packet& packet : gop.packets())
    append(packet.tag(), std::exchange(keyframe, false), now);
}

}  // namespace weir
