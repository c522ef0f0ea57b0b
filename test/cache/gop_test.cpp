#include "cache/gop.h"

#include <catch2/catch.hpp>

#include "test/support/media.h"

using namespace weir;
using namespace weir::test;

namespace {

using Role = Gop::Role;

constexpr std::size_t kRoomy = 1'000'000;

// Enhanced RTMP: a header of one track out of several, and the two further kinds of header.
Packet track_header(flv::TagType type, std::uint8_t track, char fill) {
  return type == flv::TagType::Video
             ? packet(type, 0, body_of({0x96, 0x00, 'a', 'v', 'c', '1', track}, 0, fill))
             : packet(type, 0, body_of({0x95, 0x00, 'm', 'p', '4', 'a', track}, 0, fill));
}
Packet colour(char fill) {
  return packet(flv::TagType::Video, 0, body_of({0x94, 'a', 'v', 'c', '1'}, 0, fill));
}
Packet channels(char fill) {
  return packet(flv::TagType::Audio, 0, body_of({0x94, 'm', 'p', '4', 'a'}, 0, fill));
}

bool is(const std::vector<flv::Tag>& tags, const std::vector<Packet>& packets) {
  return std::ranges::equal(
      tags, packets, [](const flv::Tag& tag, const Packet& each) { return same(tag, each.tag()); });
}

Role add(Gop& gop, const Packet& packet) { return gop.add(packet.tag()); }

}  // namespace

TEST_CASE("headers are kept in the order players expect, whatever order they came in", "[gop]") {
  Gop gop(kRoomy);
  CHECK(add(gop, audio_header(0)) == Role::Header);
  CHECK(add(gop, video_header(0)) == Role::Header);
  CHECK(add(gop, metadata({"videocodecid"})) == Role::Header);
  CHECK(is(gop.headers(), {metadata({"videocodecid"}), video_header(0), audio_header(0)}));
}

TEST_CASE("each kind and track of header has a place of its own", "[gop]") {
  using enum flv::TagType;
  Gop gop(kRoomy);
  const std::vector<Packet> ordered{
      track_header(Video, 0, 'a'), track_header(Video, 1, 'b'), colour('c'),
      track_header(Audio, 0, 'd'), track_header(Audio, 2, 'e'), channels('f')};
  for (const auto& each : {5, 3, 1, 0, 4, 2})
    CHECK(add(gop, ordered[static_cast<std::size_t>(each)]) == Role::Header);
  CHECK(is(gop.headers(), ordered));
}

TEST_CASE("a changed header replaces the one before, an unchanged one is skipped", "[gop]") {
  Gop gop(kRoomy);
  add(gop, video_header(0, 'x'));
  const void* const version = gop.headers_version();
  CHECK(add(gop, video_header(40, 'x')) == Role::Skip);
  CHECK(gop.headers_version() == version);
  CHECK(add(gop, video_header(80, 'y')) == Role::Header);
  CHECK(gop.headers_version() != version);
  CHECK(is(gop.headers(), {video_header(80, 'y')}));
}

TEST_CASE("kMaxHeaders headers are kept, and one more passes but is not kept", "[gop]") {
  Gop gop(kRoomy);
  auto nth = [](std::size_t i) {
    return track_header(flv::TagType::Audio, static_cast<std::uint8_t>(i), 'x');
  };
  for (std::size_t i = 0; i < Gop::kMaxHeaders; ++i) REQUIRE(add(gop, nth(i)) == Role::Header);
  CHECK(add(gop, nth(Gop::kMaxHeaders)) == Role::Media);
  CHECK(gop.headers().size() == Gop::kMaxHeaders);
  CHECK(add(gop, track_header(flv::TagType::Audio, 0, 'y')) ==
        Role::Header);  // a known one still changes
}

TEST_CASE("packets are kept from the newest keyframe on", "[gop]") {
  Gop gop(kRoomy);
  CHECK(add(gop, picture(0)) == Role::Media);
  CHECK(gop.packets().empty());
  CHECK(add(gop, keyframe(40)) == Role::Keyframe);
  CHECK(add(gop, picture(80)) == Role::Media);
  CHECK(add(gop, audio(81)) == Role::Media);
  CHECK(same(gop.packets(), {keyframe(40), picture(80), audio(81)}));
  CHECK(add(gop, keyframe(120)) == Role::Keyframe);
  CHECK(same(gop.packets(), {keyframe(120)}));
}

TEST_CASE("a header that changes between keyframes stands among the packets and not before them",
          "[gop]") {
  Gop gop(kRoomy);
  add(gop, video_header(0, 'x'));
  add(gop, keyframe(0));
  add(gop, video_header(40, 'y'));
  add(gop, picture(40));
  CHECK(is(gop.keyframe_headers(), {video_header(0, 'x')}));
  CHECK(is(gop.headers(), {video_header(40, 'y')}));
  CHECK(same(gop.packets(), {keyframe(0), video_header(40, 'y'), picture(40)}));
  add(gop, keyframe(80));
  CHECK(is(gop.keyframe_headers(), {video_header(40, 'y')}));
}

TEST_CASE("empty bodies are skipped, scripts other than metadata pass", "[gop]") {
  Gop gop(kRoomy);
  CHECK(gop.add({flv::TagType::Video, 0, {}}) == Role::Skip);
  CHECK(gop.add({flv::TagType::Audio, 0, {}}) == Role::Skip);
  CHECK(gop.add({flv::TagType::Script, 0, {}}) == Role::Skip);
  CHECK(add(gop, packet(flv::TagType::Script, 0, amf0::encode_all({"onCuePoint"}))) == Role::Media);
  CHECK(gop.headers().empty());
}

TEST_CASE("every audio packet is a place to join where the metadata announces no video", "[gop]") {
  Gop gop(kRoomy);
  add(gop, metadata({"audiocodecid"}));
  add(gop, audio_header(0));
  CHECK(add(gop, audio(0)) == Role::Keyframe);
  CHECK(add(gop, audio(23)) == Role::Keyframe);
  CHECK(same(gop.packets(), {audio(23)}));
}

TEST_CASE("audio is a place to join once no video has come for kAudioOnlyAfterMs", "[gop]") {
  const bool had_video = GENERATE(false, true);
  Gop gop(kRoomy);
  if (had_video) add(gop, keyframe(10'000));
  CHECK(add(gop, audio(10'000)) == Role::Media);
  CHECK(add(gop, audio(10'000 + Gop::kAudioOnlyAfterMs)) == Role::Media);
  CHECK(add(gop, audio(10'001 + Gop::kAudioOnlyAfterMs)) == Role::Keyframe);
  add(gop, picture(20'000));
  CHECK(add(gop, audio(19'900)) == Role::Media);
  CHECK(add(gop, audio(20'001)) == Role::Media);
}

TEST_CASE("an interrupted group goes, its headers stay", "[gop]") {
  Gop gop(kRoomy);
  add(gop, video_header(0));
  add(gop, keyframe(0));
  gop.interrupt();
  CHECK(gop.packets().empty());
  CHECK(is(gop.headers(), {video_header(0)}));
  add(gop, picture(40));
  CHECK(gop.packets().empty());
  add(gop, keyframe(80));
  CHECK(gop.packets().size() == 1);
}

TEST_CASE("a group of max_bytes is kept, one byte more lets it go until the next keyframe",
          "[gop]") {
  Gop gop(100);
  add(gop, keyframe(0, 60));
  add(gop, picture(40, 40));
  CHECK(gop.packets().size() == 2);
  CHECK(add(gop, picture(80, 6)) == Role::Media);
  CHECK(gop.packets().empty());
  add(gop, picture(120, 6));
  CHECK(gop.packets().empty());
  add(gop, keyframe(160, 60));
  add(gop, picture(200, 40));
  CHECK(gop.packets().size() == 2);
}

TEST_CASE("while nothing is known either media may come", "[gop]") {
  const Gop gop(kRoomy);
  CHECK(gop.expects(flv::TagType::Audio));
  CHECK(gop.expects(flv::TagType::Video));
}

TEST_CASE("metadata tells which media to expect", "[gop]") {
  Gop gop(kRoomy);
  add(gop, metadata({"width", "videocodecid"}));
  CHECK(gop.expects(flv::TagType::Video));
  CHECK_FALSE(gop.expects(flv::TagType::Audio));
  add(gop, metadata({"audiocodecid"}));
  CHECK_FALSE(gop.expects(flv::TagType::Video));
  CHECK(gop.expects(flv::TagType::Audio));
}

TEST_CASE("media that has come is expected, whatever the metadata says", "[gop]") {
  Gop gop(kRoomy);
  add(gop, metadata({"videocodecid"}));
  add(gop, audio(0));
  CHECK(gop.expects(flv::TagType::Audio));
  CHECK(gop.audio_codec() == flv::Codec::Aac);
  CHECK(gop.video_codec() == flv::Codec::Unknown);
}
