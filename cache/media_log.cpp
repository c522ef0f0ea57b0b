#include "cache/media_log.h"

#include "common/wire/rtmp_chunk_writer.h"

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

}  // namespace

std::string_view name(Format format) { return format == Format::Rtmp ? "rtmp" : "flv"; }

std::size_t MediaLog::size_of(const flv::Tag& tag) const {
  if (format_ == Format::Flv) return tag.body.size() + flv::kTagOverhead;
  return rtmp::encoded_size(static_cast<std::uint32_t>(tag.body.size()), tag.timestamp_ms,
                            header_of(tag).chunk_stream, rtmp::kOutChunkSize);
}

std::uint8_t* MediaLog::write(std::uint8_t* out, const flv::Tag& tag) const {
  if (format_ == Format::Flv) return flv::write_tag(out, tag.type, tag.timestamp_ms, tag.body);
  return rtmp::encode(out, header_of(tag), tag.body, rtmp::kOutChunkSize);
}

void MediaLog::append(const flv::Tag& tag, bool keyframe, StreamLog::Clock::time_point now) {
  write(log_.begin_message(size_of(tag), now), tag);
  log_.end_message(keyframe);
}

void MediaLog::set_preamble(std::span<const flv::Tag> headers, std::uint32_t timestamp_ms) {
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
  bool keyframe = true;
  for (const Packet& packet : gop.packets()) {
    if (keyframe) set_preamble(gop.keyframe_headers(), packet.timestamp_ms);
    append(packet.tag(), keyframe, now);
    keyframe = false;
  }
}

}  // namespace weir
