#include "common/wire/mpegts_muxer.h"

#include <catch2/catch.hpp>

#include "test/support/codecs.h"
#include "test/support/ts_reader.h"

using namespace weir;
using namespace weir::test;
using mpegts::Muxer;
using Wrote = Remuxer::Wrote;

namespace {

constexpr std::uint64_t kTicks = 90;  // a millisecond's

std::uint64_t time_of(std::uint32_t ms) { return (ms + Muxer::kLeadMs) * kTicks; }

struct Rig {
  Muxer muxer;
  ByteBuffer out;
  int starts = 0;

  Wrote write(const Packet& packet, bool keyframe = false) {
    const Wrote wrote = muxer.write(packet.tag(), keyframe, out);
    starts += wrote == Wrote::Start ? 1 : 0;
    return wrote;
  }
  TsReader read() const { return read_ts(out); }
};

ByteBuffer annexb_slice(std::size_t size) {
  ByteBuffer nal = kSlice;
  nal.resize(std::max(size, nal.size()), 0x5a);
  return joined({start_code(kAccessUnitDelimiter), start_code(nal)});
}

std::uint64_t longest_step(const std::vector<std::uint64_t>& clocks) {
  std::uint64_t longest = 0;
  for (std::size_t i = 1; i < clocks.size(); ++i) {
    REQUIRE(clocks[i] >= clocks[i - 1]);
    longest = std::max(longest, clocks[i] - clocks[i - 1]);
  }
  return longest;
}

}  // namespace

TEST_CASE("H.264 and AAC come out as they went in", "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  rig.muxer.configure(aac_header(0).tag());
  CHECK(rig.write(h264(0, true, 8, 80), true) == Wrote::Start);
  CHECK(rig.write(aac(3)) == Wrote::Media);
  CHECK(rig.write(h264(40, false, 5000)) == Wrote::Media);
  const TsReader read = rig.read();
  CHECK(read.tables == 1);
  CHECK(read.tracks ==
        std::map<int, TsTrack>{{Muxer::kVideoPid, {0x1b}}, {Muxer::kAudioPid, {0x0f}}});
  REQUIRE(read.frames.size() == 3);
  const auto& key = read.frames[0];
  CHECK(key.pid == Muxer::kVideoPid);
  CHECK(key.random_access);
  CHECK(key.dts == time_of(0));
  CHECK(key.pts == time_of(80));
  CHECK(key.payload.size() == 6 + 4 + kSps.size() + 4 + kPps.size() + 4 + 8);
  const auto& sound = read.frames[1];
  CHECK(sound.pid == Muxer::kAudioPid);
  CHECK(sound.stream_id == 0xc0);
  CHECK(sound.pts == time_of(3));
  CHECK(sound.payload ==
        joined({bytes({0xff, 0xf1, 0x50, 0x80, 0x0d, 0x7f, 0xfc}), ByteBuffer(100, 0x21)}));
  CHECK_FALSE(read.frames[2].random_access);
  CHECK(read.frames[2].pts == time_of(40));
  CHECK(read.frames[2].payload == annexb_slice(5000));
  CHECK(read.clock_pid == Muxer::kVideoPid);
}

TEST_CASE("HEVC, MP3 and Opus have their stream types and descriptors", "[mpegts_muxer]") {
  SECTION("HEVC with MP3") {
    Rig rig;
    rig.muxer.configure(hevc_header(0).tag());
    rig.muxer.expect_audio(flv::Codec::Mp3);
    rig.write(hevc(0), true);
    rig.write(mp3(10));
    const TsReader read = rig.read();
    CHECK(read.tracks ==
          std::map<int, TsTrack>{{Muxer::kVideoPid, {0x24}}, {Muxer::kAudioPid, {0x03}}});
    CHECK(read.tables == 1);
    CHECK(ByteView(read.frames[0].payload).first(7)[6] == 0x50);
    CHECK(read.frames[1].payload.size() == 104);
  }
  SECTION("MP3 of half the sampling rate") {
    Rig rig;
    rig.write(mp3(0, 0xf3), true);
    CHECK(rig.read().tracks == std::map<int, TsTrack>{{Muxer::kAudioPid, {0x04}}});
  }
  SECTION("Opus") {
    Rig rig;
    rig.muxer.configure(opus_header(0, 6).tag());
    rig.write(opus(0, 300), true);
    rig.write(opus(20, 255));
    rig.write(opus(40, 254));
    const TsReader read = rig.read();
    CHECK(read.tracks.at(Muxer::kAudioPid) ==
          TsTrack{0x06, bytes({5, 4, 'O', 'p', 'u', 's', 0x7f, 2, 0x80, 6})});
    REQUIRE(read.frames.size() == 3);
    CHECK(read.frames[0].stream_id == 0xbd);
    CHECK(read.frames[0].payload == joined({bytes({0x7f, 0xe0, 255, 45}), ByteBuffer(300, 0x44)}));
    CHECK(read.frames[1].payload.size() == 4 + 255);
    CHECK(read.frames[2].payload.size() == 3 + 254);
  }
}

TEST_CASE("tables stand before every keyframe, and are new where a track is", "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  for (std::uint32_t ms = 0; ms < 3000; ms += 40)
    rig.write(h264(ms, ms % 1000 == 0), ms % 1000 == 0);
  CHECK(rig.starts == 3);
  const TsReader before = rig.read();
  CHECK(before.tables == 3);
  CHECK(before.tracks.size() == 1);
  rig.write(aac_header(3000));
  CHECK(rig.write(aac(3000)) == Wrote::Media);
  const TsReader after = rig.read();
  CHECK(after.tables == 4);
  CHECK(after.tracks.size() == 2);
  CHECK(after.version == before.version + 1);
  rig.write(hevc_header(3040));
  rig.write(hevc(3040), true);
  CHECK(rig.read().version == before.version + 2);
  CHECK(rig.read().tracks.at(Muxer::kVideoPid).stream_type == 0x24);
}

TEST_CASE("versions of the program go round after 31", "[mpegts_muxer]") {
  Rig rig;
  for (std::uint32_t i = 0; i < 70; ++i) {
    rig.write(mp3(i * 20, i % 2 == 0 ? 0xfb : 0xf3), true);
    REQUIRE(rig.read().version == static_cast<int>((i + 1) % 32));
  }
}

TEST_CASE("without video there are tables and a place to start twice a second", "[mpegts_muxer]") {
  const bool keyframes = GENERATE(true, false);  // false: of video that cannot be carried
  Rig rig;
  rig.muxer.configure(aac_header(0).tag());
  std::uint32_t last = 0;
  for (std::uint32_t ms = 0; ms < 10'000; ms += 23) {
    if (rig.write(aac(ms), keyframes) != Wrote::Start) continue;
    CHECK(ms - last <= 500);
    last = ms;
  }
  CHECK(rig.starts >= 20);
  const TsReader read = rig.read();
  CHECK(read.tables == rig.starts);
  CHECK(read.clock_pid == Muxer::kAudioPid);
  CHECK(longest_step(read.clocks) <= 100 * kTicks);
  CHECK(std::ranges::count_if(read.frames, &TsFrame::random_access) == rig.starts);
}

TEST_CASE("the clock is never more than 100 ms apart, and before what is decoded",
          "[mpegts_muxer]") {
  const std::uint32_t step = GENERATE(10u, 40u, 150u, 200u, 999u, 1000u);
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  rig.muxer.configure(aac_header(0).tag());
  const bool with_audio = step != 200;
  for (std::uint32_t ms = 0; ms < 10'000; ++ms) {
    if (ms % step == 0) rig.write(h264(ms, ms == 0), ms == 0);
    if (with_audio && ms % 23 == 0) rig.write(aac(ms));
  }
  const TsReader read = rig.read();
  CHECK(longest_step(read.clocks) <= 100 * kTicks);
  CHECK(read.clocks.size() < 10'000 / std::min(step, 50u) + 110);
  for (const auto& frame : read.frames) CHECK(frame.dts >= read.clocks.front());
}

TEST_CASE("a pause is not filled with clocks", "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  rig.write(h264(0, true), true);
  rig.write(h264(Muxer::kPauseMs, false));
  const std::size_t filled = rig.read().clocks.size();
  CHECK(filled > Muxer::kPauseMs / Muxer::kClockEveryMs);
  rig.write(h264(Muxer::kPauseMs + 9000, false));
  CHECK(rig.read().clocks.size() <= filled + 2);
}

TEST_CASE("times wrap where FLV's milliseconds and TS's 33 bits do", "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  constexpr std::uint32_t kEnd = 0xffffffff;
  rig.write(h264(kEnd - 39, true), true);
  rig.write(h264(0, false));
  rig.write(h264(40, false, 8, -40));
  const TsReader read = rig.read();
  REQUIRE(read.frames.size() == 3);
  const std::uint64_t mask = mpegts::kTimestampMask;
  CHECK(read.frames[0].dts == ((std::uint64_t{kEnd - 39} * kTicks + 9000) & mask));
  CHECK(read.frames[1].dts == 9000);
  CHECK(((read.frames[1].dts - read.frames[0].dts) & mask) == 40 * kTicks);
  CHECK(read.frames[2].pts == 9000);
}

TEST_CASE("a frame has its length where 16 bits hold it", "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  rig.write(h264(0, true, 60'000), true);
  rig.write(h264(40, false, mpegts::kMaxMeasuredFrame - 10));
  rig.write(h264(80, false, mpegts::kMaxMeasuredFrame - 10 + 1));
  rig.write(h264(120, false, 300'000));
  const TsReader read = rig.read();
  REQUIRE(read.frames.size() == 4);
  CHECK(read.frames[0].measured);
  CHECK(read.frames[1].measured);
  CHECK_FALSE(read.frames[2].measured);
  CHECK_FALSE(read.frames[3].measured);
  CHECK(read.frames[3].payload == annexb_slice(300'000));
}

TEST_CASE("a viewer who starts or jumps finds the gap declared", "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(h264_header(0).tag());
  rig.muxer.configure(aac_header(0).tag());
  TsReader late;
  TsReader jumps;
  for (std::uint32_t ms = 0; ms < 5000; ms += 20) {
    rig.out.clear();
    const bool key = ms % 1000 == 0;
    const bool start = rig.write(ms % 40 == 0 ? h264(ms, key, 700) : aac(ms), key) == Wrote::Start;
    CHECK(start == key);
    ByteBuffer lead_in;
    if (start) rig.muxer.append_lead_in(lead_in);
    if (ms == 2000) late.feed(lead_in);
    if (ms >= 2000) late.feed(rig.out);
    if (ms == 3000) jumps.feed(lead_in);
    if (ms < 1300 || ms >= 3000) jumps.feed(rig.out);
  }
  late.end();
  jumps.end();
  CHECK(late.frames.size() == 150);
  CHECK(jumps.frames.size() == 65 + 100);
  CHECK(late.discontinuities == 4);
  CHECK(jumps.discontinuities == 4);
}

TEST_CASE("what cannot be carried is left out without a trace", "[mpegts_muxer]") {
  Rig rig;
  CHECK(rig.write(h264(0, true), true) == Wrote::Nothing);  // no configuration
  CHECK(rig.write(aac(0), true) == Wrote::Nothing);
  CHECK(rig.write(hevc(0), true) == Wrote::Nothing);
  rig.muxer.configure(h264_header(0).tag());
  rig.muxer.configure(aac_header(0).tag());
  CHECK(rig.write(hevc(0), true) == Wrote::Nothing);  // configured is H.264
  CHECK(rig.write(h264_header(0)) == Wrote::Nothing);
  CHECK(rig.write(metadata({"width"})) == Wrote::Nothing);
  CHECK(rig.write(packet(flv::TagType::Video, 0, bytes({0x17, 2, 0, 0, 0}))) == Wrote::Nothing);
  CHECK(rig.write(packet(flv::TagType::Video, 0, bytes({0x17, 1, 0, 0, 0, 0, 0, 0, 9, 1}))) ==
        Wrote::Nothing);  // its length leads past the end
  CHECK(rig.write(packet(flv::TagType::Audio, 0, bytes({0xbf, 1, 2}))) == Wrote::Nothing);  // Speex
  CHECK(rig.write(aac(0, adts::kMaxFrame + 1)) == Wrote::Nothing);
  CHECK(rig.write(packet(flv::TagType::Audio, 0, {})) == Wrote::Nothing);
  CHECK(rig.write(opus(0, 66'000)) == Wrote::Nothing);
  CHECK(rig.out.empty());
  CHECK(rig.write(aac(0, adts::kMaxFrame), true) == Wrote::Start);
  CHECK(rig.read().tracks.size() == 1);
}

TEST_CASE("further tracks are left out", "[mpegts_muxer]") {
  Rig rig;
  // Enhanced RTMP v2: multitrack of one track, its packet type, the fourcc, the track.
  const auto track = [](int id, int packet_type, ByteView body) {
    return packet(flv::TagType::Audio, 0,
                  joined({bytes({0x95, packet_type}), as_bytes("mp4a"), bytes({id}), body}));
  };
  rig.muxer.configure(track(1, 0, kAacConfig).tag());
  CHECK(rig.write(track(0, 1, bytes({1, 2})), true) == Wrote::Nothing);
  rig.muxer.configure(track(0, 0, kAacConfig).tag());
  CHECK(rig.write(track(1, 1, bytes({1, 2})), true) == Wrote::Nothing);
  CHECK(rig.write(track(0, 1, bytes({1, 2})), true) == Wrote::Start);
}

TEST_CASE("a header left over from another codec does not take the place of what is heard",
          "[mpegts_muxer]") {
  Rig rig;
  rig.muxer.configure(aac_header(0).tag());
  rig.write(aac(0), true);
  rig.write(mp3(20), true);
  const int version = rig.read().version;
  rig.muxer.configure(aac_header(0).tag());
  rig.write(mp3(600), true);
  CHECK(rig.read().version == version);
  CHECK(rig.read().tracks.at(Muxer::kAudioPid).stream_type == 0x03);
}
