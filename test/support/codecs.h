// test/support/codecs.h
// Packets whose inside is as their codec wants it: H.264, HEVC, AAC, MP3 and Opus, tiny but well-formed.
#pragma once

#include <initializer_list>
#include <string_view>

#include "test/support/media.h"

namespace weir::test {

inline ByteBuffer bytes(std::initializer_list<int> values) {
  ByteBuffer out;
  for (const int each : values) out.push_back(static_cast<std::uint8_t>(each));
  return out;
}
inline ByteBuffer joined(std::initializer_list<ByteView> parts) {
  ByteBuffer out;
  for (const auto each : parts) append(out, each);
  return out;
}

// With a length of four bytes before it, as pictures have it; and of two, as records have it.
inline ByteBuffer nal4(ByteView nal) {
  ByteBuffer out(4);
  store_be32(out.data(), static_cast<std::uint32_t>(nal.size()));
  append(out, nal);
  return out;
}
inline ByteBuffer nal2(ByteView nal) {
  ByteBuffer out(2);
  store_be16(out.data(), static_cast<std::uint32_t>(nal.size()));
  append(out, nal);
  return out;
}
inline ByteBuffer start_code(ByteView nal) { return joined({bytes({0, 0, 0, 1}), nal}); }

inline const ByteBuffer kSps = bytes({0x67, 0x42, 0xc0, 0x1e, 0xd9});
inline const ByteBuffer kPps = bytes({0x68, 0xce, 0x38});
inline const ByteBuffer kIdr = bytes({0x65, 1, 2, 3});
inline const ByteBuffer kSlice = bytes({0x41, 4, 5});
inline const ByteBuffer kAccessUnitDelimiter = bytes({0x09, 0xf0});

inline ByteBuffer avc_record(ByteView sps = kSps, ByteView pps = kPps) {
  return joined({bytes({1, 0x42, 0xc0, 0x1e, 0xff, 0xe1}), nal2(sps), bytes({1}), nal2(pps)});
}

inline const ByteBuffer kHevcVps = bytes({0x40, 1, 7});
inline const ByteBuffer kHevcSps = bytes({0x42, 1, 8});
inline const ByteBuffer kHevcPps = bytes({0x44, 1, 9});
inline const ByteBuffer kHevcIdr = bytes({0x26, 1, 2, 3});
inline const ByteBuffer kHevcDelimiter = bytes({0x46, 1, 0x50});

inline ByteBuffer hevc_record() {
  ByteBuffer head(22);
  head[0] = 1;
  head[21] = 0x0f;  // lengths of four bytes
  return joined({head, bytes({3}), bytes({0xa0, 0, 1}), nal2(kHevcVps), bytes({0xa1, 0, 1}),
                 nal2(kHevcSps), bytes({0xa2, 0, 1}), nal2(kHevcPps)});
}

// H.264 in legacy FLV; `offset_ms` from decoding to showing.
inline Packet h264_header(std::uint32_t ms) {
  return packet(flv::TagType::Video, ms, joined({bytes({0x17, 0, 0, 0, 0}), avc_record()}));
}
inline Packet h264(std::uint32_t ms, bool key, std::size_t size = 8, int offset_ms = 0) {
  ByteBuffer nal = key ? kIdr : kSlice;
  nal.resize(std::max(size, nal.size()), 0x5a);
  return packet(flv::TagType::Video, ms,
                joined({bytes({key ? 0x17 : 0x27, 1, offset_ms >> 16 & 0xff, offset_ms >> 8 & 0xff,
                               offset_ms & 0xff}),
                        nal4(nal)}));
}

// HEVC in Enhanced RTMP: type, then the fourcc.
inline Packet hevc_header(std::uint32_t ms) {
  return packet(flv::TagType::Video, ms, joined({bytes({0x90}), as_bytes("hvc1"), hevc_record()}));
}
inline Packet hevc(std::uint32_t ms) {  // a keyframe, without composition time
  return packet(flv::TagType::Video, ms, joined({bytes({0x93}), as_bytes("hvc1"), nal4(kHevcIdr)}));
}

// AAC-LC, 44.1 kHz, stereo.
inline const ByteBuffer kAacConfig = bytes({0x12, 0x10});
inline Packet aac_header(std::uint32_t ms, ByteView config = kAacConfig) {
  return packet(flv::TagType::Audio, ms, joined({bytes({0xaf, 0}), config}));
}
inline Packet aac(std::uint32_t ms, std::size_t size = 100) {
  return packet(flv::TagType::Audio, ms, joined({bytes({0xaf, 1}), ByteBuffer(size, 0x21)}));
}

inline Packet mp3(std::uint32_t ms, int version_bits = 0xfb) {  // 0xf3: MPEG-2
  return packet(flv::TagType::Audio, ms,
                joined({bytes({0x2f, 0xff, version_bits, 0x90, 0}), ByteBuffer(100, 0x33)}));
}

inline Packet opus_header(std::uint32_t ms, int channels = 2) {
  return packet(flv::TagType::Audio, ms,
                joined({bytes({0x90}), as_bytes("Opus"), as_bytes("OpusHead"),
                        bytes({1, channels, 0, 0, 0, 0, 0, 0, 0, 0, 0})}));
}
inline Packet opus(std::uint32_t ms, std::size_t size = 300) {
  return packet(flv::TagType::Audio, ms,
                joined({bytes({0x91}), as_bytes("Opus"), ByteBuffer(size, 0x44)}));
}

}  // namespace weir::test
