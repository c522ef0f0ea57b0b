#include "edge/stream_media.h"

#include <catch2/catch.hpp>

#include "test/support/media.h"

namespace weir::test {
namespace {

void add(Gop& gop, const Packet& packet) { gop.add(packet.tag()); }

Packet script(double width, double height, double rate) {
  amf0::Value object = amf0::Value::object();
  object.set("width", width);
  object.set("height", height);
  object.set("audiosamplerate", rate);
  return packet(flv::TagType::Script, 0, amf0::encode_all({"onMetaData", object}));
}

}  // namespace

TEST_CASE("a stream of which nothing has come has no media", "[stream_media]") {
  const Gop gop(1 << 20);
  CHECK_FALSE(video_of(gop));
  CHECK_FALSE(audio_of(gop));
}

TEST_CASE("H.264 and AAC are described by their configuration, sizes by the metadata",
          "[stream_media]") {
  Gop gop(1 << 20);
  add(gop, script(1280, 720, 0));
  // AVCDecoderConfigurationRecord: High, level 3.1. AudioSpecificConfig: LC, 44.1 kHz, stereo.
  add(gop, packet(flv::TagType::Video, 0, {0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff}));
  add(gop, packet(flv::TagType::Audio, 0, {0xaf, 0, 0x12, 0x10}));
  add(gop, keyframe(0));
  add(gop, audio(0));
  const auto video = video_of(gop);
  REQUIRE(video);
  CHECK(video->codec == "h264");
  CHECK(video->profile == "High");
  CHECK(video->level == "3.1");
  CHECK(video->width == 1280);
  CHECK(video->height == 720);
  const auto sound = audio_of(gop);
  REQUIRE(sound);
  CHECK(sound->codec == "aac");
  CHECK(sound->profile == "LC");
  CHECK(sound->sample_rate == 44100);
  CHECK(sound->channels == 2);
}

TEST_CASE("nonsense in headers is not shown", "[stream_media]") {
  Gop gop(1 << 20);
  add(gop, script(-1, 1e300, 1e300));
  add(gop, packet(flv::TagType::Video, 0, {0x17, 0, 0, 0, 0, 1}));
  add(gop, packet(flv::TagType::Audio, 0, {0xaf, 0, 0x12}));
  add(gop, keyframe(0));
  const auto video = video_of(gop);
  REQUIRE(video);
  CHECK(video->profile.empty());
  CHECK(video->width == 0);
  CHECK(video->height == 0);
  const auto sound = audio_of(gop);
  REQUIRE(sound);
  CHECK(sound->sample_rate == 0);
  CHECK(sound->channels == 0);
}

}  // namespace weir::test
