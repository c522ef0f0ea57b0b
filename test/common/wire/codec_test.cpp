#include "common/wire/codec.h"

#include <string>
#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::flv;

namespace {

ByteBuffer join(ByteBuffer head, std::string_view rest) {
  append(head, as_bytes(rest));
  return head;
}

// The body must outlive the payload view, so only values are kept.
struct Seen {
  VideoInfo info;
  std::string payload;
};

Seen video(const ByteBuffer& body) {
  Seen seen{.info = inspect_video(body), .payload = {}};
  seen.payload = as_text(seen.info.payload);
  seen.info.payload = {};
  return seen;
}

bool is_idle(const VideoInfo& info) {
  return !info.keyframe && !info.sequence_header && !info.end_of_sequence && !info.metadata;
}

}  // namespace

TEST_CASE("legacy AVC tells header, keyframe, inter frame and end apart", "[codec]") {
  const Seen header = video(join({0x17, 0, 0, 0, 0}, "config"));
  CHECK(header.info.codec == Codec::H264);
  CHECK(header.info.sequence_header);
  CHECK_FALSE(header.info.keyframe);
  CHECK(header.payload == "config");

  const Seen key = video(join({0x17, 1, 0xff, 0xff, 0xfe}, "nalu"));
  CHECK(key.info.keyframe);
  CHECK_FALSE(key.info.sequence_header);
  CHECK(key.info.composition_time_ms == -2);
  CHECK(key.payload == "nalu");

  const Seen inter = video(join({0x27, 1, 0, 1, 0}, "nalu"));
  CHECK(is_idle(inter.info));
  CHECK(inter.info.composition_time_ms == 256);

  const Seen end = video({0x17, 2, 0, 0, 0});
  CHECK(end.info.end_of_sequence);
  CHECK_FALSE(end.info.keyframe);
}

TEST_CASE("legacy HEVC and AV1 under the ids 12 and 13", "[codec]") {
  CHECK(video(join({0x1c, 0, 0, 0, 0}, "c")).info.sequence_header);
  CHECK(video(join({0x1c, 1, 0, 0, 0}, "k")).info.keyframe);
  CHECK(video(join({0x1c, 1, 0, 0, 0}, "k")).info.codec == Codec::Hevc);
  CHECK(video(join({0x1d, 1, 0, 0, 0}, "k")).info.codec == Codec::Av1);
  CHECK_FALSE(video(join({0x2c, 1, 0, 0, 0}, "p")).info.keyframe);
}

TEST_CASE("codecs without packet types have frames only", "[codec]") {
  CHECK(video({0x12, 1, 2}).info.keyframe);
  CHECK(video({0x12, 1, 2}).info.codec == Codec::H263);
  CHECK(video({0x14, 0, 2}).info.keyframe);
  CHECK(video({0x14, 0, 2}).info.codec == Codec::Vp6);
  CHECK_FALSE(video({0x14, 0, 2}).info.sequence_header);
  CHECK_FALSE(video({0x34, 0, 2}).info.keyframe);
  CHECK(video({0x46, 0, 2}).info.keyframe);
}

TEST_CASE("a command frame is no picture", "[codec]") {
  CHECK(video({0x57, 0}).info.command);
  CHECK(video({0x57, 1, 0, 0, 0, 9}).info.command);
  CHECK(is_idle(video({0x57, 0, 0, 0, 0, 9}).info));
  CHECK(video({0x80 | 0x50, 0}).info.command);
  CHECK(is_idle(video({0x80 | 0x50, 0}).info));
}

TEST_CASE("empty, truncated and unknown bodies are harmless and no keyframes", "[codec]") {
  CHECK(is_idle(inspect_video({})));
  CHECK(is_idle(video({0x17}).info));
  CHECK(is_idle(video({0x17, 1, 0, 0}).info));
  CHECK(is_idle(video({0x17, 1, 0, 0, 0}).info));
  CHECK(is_idle(video({0x17, 0, 0, 0, 0}).info));
  CHECK(is_idle(video({0x12}).info));
  CHECK(is_idle(video({0x1f, 1, 0, 0, 0, 1}).info));
  CHECK(video({0x1f, 1}).info.codec == Codec::Unknown);
  const ByteBuffer key = join({0x91}, "hvc1\0\0\0k");
  for (std::size_t size = 0; size <= 8 && size < key.size(); ++size)
    CHECK(is_idle(inspect_video(ByteView(key).first(size))));
  CHECK_FALSE(inspect_audio({}).sequence_header);
  CHECK_FALSE(inspect_audio(ByteBuffer{0xaf}).sequence_header);
  CHECK_FALSE(inspect_audio(ByteBuffer{0xaf, 0}).sequence_header);
  CHECK(inspect_audio(ByteBuffer{0xc0, 0}).codec == Codec::Unknown);
}

TEST_CASE("enhanced video names its codec by four characters", "[codec]") {
  const struct {
    std::string_view four_cc;
    Codec codec;
  } codecs[] = {{"avc1", Codec::H264}, {"hvc1", Codec::Hevc}, {"vvc1", Codec::Vvc},
                {"vp08", Codec::Vp8},  {"vp09", Codec::Vp9},  {"av01", Codec::Av1}};
  for (const auto& [four_cc, codec] : codecs) {
    const Seen header = video(join(join({0x90}, four_cc), "config"));
    CHECK(header.info.codec == codec);
    CHECK(header.info.enhanced);
    CHECK(header.info.sequence_header);
    CHECK_FALSE(header.info.keyframe);
    CHECK(header.payload == "config");
    CHECK(video(join(join({0x93}, four_cc), "x")).info.keyframe);
    CHECK_FALSE(video(join(join({0xa3}, four_cc), "x")).info.keyframe);
    CHECK(video(join({0x92}, four_cc)).info.end_of_sequence);
  }
  CHECK(video(join({0x90}, "abcdx")).info.codec == Codec::Unknown);
}

TEST_CASE("only AVC, HEVC and VVC carry a composition time, and only in CodedFrames", "[codec]") {
  const Seen hevc = video(join(join({0x91}, "hvc1"), std::string_view("\0\0\x28nal", 6)));
  CHECK(hevc.info.composition_time_ms == 40);
  CHECK(hevc.payload == "nal");
  CHECK(hevc.info.keyframe);
  CHECK(video(join(join({0x93}, "hvc1"), "nal")).payload == "nal");
  const Seen av1 = video(join(join({0x91}, "av01"), "obus"));
  CHECK(av1.info.composition_time_ms == 0);
  CHECK(av1.payload == "obus");
}

TEST_CASE("enhanced metadata is metadata, whatever its frame type", "[codec]") {
  for (std::uint8_t first : ByteBuffer{0x94, 0xa4, 0xd4}) {
    const Seen seen = video(join(join({first}, "hvc1"), "amf"));
    CHECK(seen.info.metadata);
    CHECK_FALSE(seen.info.keyframe);
    CHECK_FALSE(seen.info.command);
  }
  CHECK(video(join(join({0x95}, "av01"), "ts")).info.sequence_header);
}

TEST_CASE("a chain of extensions in front of the packet type is stepped over", "[codec]") {
  // Two ModEx: 3 bytes and 1 byte of data; the second leads to CodedFramesX.
  const Seen seen = video(join(join({0x97, 2, 0, 0, 1, 0x07, 0, 0xee, 0x03}, "av01"), "obus"));
  CHECK(seen.info.keyframe);
  CHECK(seen.payload == "obus");

  ByteBuffer long_form = {0x97, 255, 1, 0};  // 257 bytes of data
  long_form.resize(long_form.size() + 257);
  long_form.push_back(0x00);
  CHECK(video(join(join(long_form, "av01"), "config")).info.sequence_header);

  CHECK(is_idle(video(ByteBuffer(1000, 0x97)).info));
  CHECK(is_idle(video({0x97, 255, 0xff, 0xff, 0}).info));
}

TEST_CASE("multitrack video shows its first track", "[codec]") {
  const Seen one = video(join(join({0x96, 0x03}, "av01"), "\x02obus"));
  CHECK(one.info.multitrack);
  CHECK(one.info.track == 2);
  CHECK(one.info.keyframe);
  CHECK(one.info.codec == Codec::Av1);
  CHECK(one.payload == "obus");

  const Seen many = video(join(join({0x96, 0x10}, "hvc1"), std::string_view("\x00\x00\x00\x02"
                                                                            "c0"
                                                                            "\x01\x00\x00\x02"
                                                                            "c1",
                                                                            12)));
  CHECK(many.info.sequence_header);
  CHECK(many.info.track == 0);
  CHECK(many.payload == "c0");

  const Seen codecs = video(join(join({0x96, 0x20}, "vp09"), std::string_view("\x05\x00\x00\x01"
                                                                              "c",
                                                                              5)));
  CHECK(codecs.info.codec == Codec::Vp9);
  CHECK(codecs.info.track == 5);
  CHECK(codecs.info.sequence_header);

  CHECK(is_idle(video(join(join({0x96, 0x10}, "hvc1"), std::string_view("\0\0\0\x09z", 5))).info));
}

TEST_CASE("AAC tells header and frames apart", "[codec]") {
  const ByteBuffer header = {0xaf, 0, 0x12, 0x10};
  const AudioInfo info = inspect_audio(header);
  CHECK(info.codec == Codec::Aac);
  CHECK(info.sequence_header);
  CHECK(info.payload.size() == 2);
  CHECK_FALSE(inspect_audio(ByteBuffer{0xaf, 1, 0x12, 0x10}).sequence_header);
}

TEST_CASE("other legacy audio has no header", "[codec]") {
  const std::pair<int, Codec> formats[] = {
      {0, Codec::Pcm},        {1, Codec::Adpcm}, {2, Codec::Mp3},   {3, Codec::Pcm},
      {4, Codec::Nellymoser}, {7, Codec::G711A}, {8, Codec::G711U}, {11, Codec::Speex},
      {13, Codec::Opus},      {14, Codec::Mp3}};
  for (const auto& [format, codec] : formats) {
    const ByteBuffer body = {static_cast<std::uint8_t>(format << 4 | 0xf), 0, 1};
    CHECK(inspect_audio(body).codec == codec);
    CHECK_FALSE(inspect_audio(body).sequence_header);
    CHECK(inspect_audio(body).payload.size() == 2);
  }
}

TEST_CASE("enhanced audio names its codec by four characters", "[codec]") {
  const std::pair<std::string_view, Codec> codecs[] = {{"Opus", Codec::Opus}, {"fLaC", Codec::Flac},
                                                       {"ac-3", Codec::Ac3},  {"ec-3", Codec::Eac3},
                                                       {".mp3", Codec::Mp3},  {"mp4a", Codec::Aac}};
  for (const auto& [four_cc, codec] : codecs) {
    const AudioInfo header = inspect_audio(join(join({0x90}, four_cc), "head"));
    CHECK(header.codec == codec);
    CHECK(header.enhanced);
    CHECK(header.sequence_header);
    CHECK_FALSE(inspect_audio(join(join({0x91}, four_cc), "x")).sequence_header);
    CHECK(inspect_audio(join({0x92}, four_cc)).end_of_sequence);
    CHECK(inspect_audio(join(join({0x94}, four_cc), "x")).channel_config);
  }
}

TEST_CASE("enhanced audio has tracks and extensions too", "[codec]") {
  const AudioInfo track = inspect_audio(join(join({0x95, 0x00}, "Opus"), "\x03head"));
  CHECK(track.multitrack);
  CHECK(track.track == 3);
  CHECK(track.sequence_header);
  CHECK(inspect_audio(join(join({0x97, 0, 1, 0x00}, "Opus"), "head")).sequence_header);
  CHECK_FALSE(inspect_audio(ByteBuffer{0x95, 0x10, 'O', 'p'}).sequence_header);
}

TEST_CASE("codecs have names for logs", "[codec]") {
  CHECK(name(Codec::H264) == "h264");
  CHECK(name(Codec::Eac3) == "eac3");
  CHECK(name(Codec::Unknown) == "unknown");
  CHECK(name(Codec{255}) == "unknown");
}
