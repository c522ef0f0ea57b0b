// test/support/media.h
// Packets as encoders make them, and what a player reads back from bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cache/gop.h"
#include "common/check.h"
#include "common/wire/amf0.h"
#include "common/wire/flv.h"
#include "common/wire/rtmp_chunk_reader.h"
#include "common/wire/rtmp_chunk_writer.h"

namespace weir::test {

// A body of at least `size` bytes that begins with `start`; `fill` tells one from another.
inline ByteBuffer body_of(std::initializer_list<std::uint8_t> start, std::size_t size, char fill) {
  ByteBuffer body(start);
  body.resize(std::max(size, body.size() + 1), static_cast<std::uint8_t>(fill));
  return body;
}

inline Packet packet(flv::TagType type, std::uint32_t ms, ByteBuffer body) {
  return Packet(flv::Tag{type, ms, body});
}

// H.264 and AAC, legacy FLV.
inline Packet video_header(std::uint32_t ms, char fill = 'c') {
  return packet(flv::TagType::Video, ms, body_of({0x17, 0, 0, 0, 0}, 20, fill));
}
inline Packet keyframe(std::uint32_t ms, std::size_t size = 50, char fill = 'K') {
  return packet(flv::TagType::Video, ms, body_of({0x17, 1, 0, 0, 0}, size, fill));
}
inline Packet picture(std::uint32_t ms, std::size_t size = 30, char fill = 'p') {
  return packet(flv::TagType::Video, ms, body_of({0x27, 1, 0, 0, 0}, size, fill));
}
inline Packet audio_header(std::uint32_t ms, char fill = 'h') {
  return packet(flv::TagType::Audio, ms, body_of({0xaf, 0}, 4, fill));
}
inline Packet audio(std::uint32_t ms, std::size_t size = 10, char fill = 'a') {
  return packet(flv::TagType::Audio, ms, body_of({0xaf, 1}, size, fill));
}

// onMetaData with these names, each a number.
inline Packet metadata(std::initializer_list<std::string_view> names, double value = 7) {
  amf0::Value object = amf0::Value::object();
  for (const auto each : names) object.set(std::string(each), value);
  return packet(flv::TagType::Script, 0, amf0::encode_all({"onMetaData", object}));
}

inline bool same(const flv::Tag& a, const flv::Tag& b) {
  return a.type == b.type && a.timestamp_ms == b.timestamp_ms && as_text(a.body) == as_text(b.body);
}

inline bool same(const std::vector<Packet>& a, const std::vector<Packet>& b) {
  return std::ranges::equal(
      a, b, [](const Packet& x, const Packet& y) { return same(x.tag(), y.tag()); });
}

// The whole tags in `stream`, which begins with the file header.
inline std::vector<Packet> read_flv(ByteView stream) {
  std::vector<Packet> packets;
  flv::TagReader reader;
  while (true) {
    auto tag = reader.next(stream);
    INVARIANT(tag, tag.error().text);
    if (!*tag) return packets;
    packets.emplace_back(**tag);
  }
}

struct RtmpMessage {
  rtmp::MessageHeader header;
  std::string payload;
};

// The whole messages in `stream`.
inline std::vector<RtmpMessage> read_rtmp(ByteView stream) {
  std::vector<RtmpMessage> messages;
  rtmp::ChunkReader reader({.message = rtmp::kMediaMessageLimit});
  while (true) {
    auto message = reader.next(stream);
    INVARIANT(message, message.error().text);
    if (!*message) return messages;
    messages.push_back({(*message)->header, std::string(as_text((*message)->payload))});
  }
}

inline std::vector<Packet> media_of(const std::vector<RtmpMessage>& messages) {
  std::vector<Packet> packets;
  for (const auto& [header, payload] : messages) {
    const bool media = header.type == rtmp::Type::Audio || header.type == rtmp::Type::Video ||
                       header.type == rtmp::Type::DataAmf0;
    if (media)
      packets.emplace_back(
          flv::Tag{static_cast<flv::TagType>(header.type), header.timestamp_ms, as_bytes(payload)});
  }
  return packets;
}

// What servers say before media: FLV's file header, RTMP's chunk size.
inline ByteBuffer flv_greeting() {
  ByteBuffer bytes(flv::kFileHeaderSize);
  flv::write_file_header(bytes.data(), true, true);
  return bytes;
}
inline ByteBuffer rtmp_greeting() {
  ByteBuffer bytes;
  rtmp::append_set_chunk_size(bytes, rtmp::kOutChunkSize);
  return bytes;
}

}  // namespace weir::test
