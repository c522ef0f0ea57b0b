#include "cache/media_log.h"

#include <catch2/catch.hpp>

#include "test/support/log_reader.h"
#include "test/support/media.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr StreamLog::Clock::time_point kNow{};
constexpr StreamLog::Limits kSmallBlocks{.block_size = 1000};

// What a player makes of the log from its newest keyframe on.
std::vector<Packet> played(const MediaLog& log, Format format) {
  ByteBuffer stream = format == Format::Flv ? flv_greeting() : rtmp_greeting();
  append(stream, bytes_of(log));
  return format == Format::Flv ? read_flv(stream) : media_of(read_rtmp(stream));
}

}  // namespace

TEST_CASE("a player reads from the log what was put into it", "[media_log]") {
  const Format format = GENERATE(Format::Rtmp, Format::Flv);
  CAPTURE(name(format));
  MediaLog log(format, kSmallBlocks);
  const std::vector<Packet> packets{
      keyframe(0, 3000),
      audio(3, 400),
      packet(flv::TagType::Script, 5, amf0::encode_all({"onCuePoint", "x"})),
      picture(40, 500),                       // goes on in the next block
      picture(80, rtmp::kOutChunkSize),       // one chunk exactly
      picture(120, rtmp::kOutChunkSize + 1),  // and one byte more
      picture(160, 300'000),
      audio(rtmp::kExtendedTimestamp - 1),
      audio(rtmp::kExtendedTimestamp),
      picture(0x0123'4567, 150'000),
      audio(0xffff'ffff),
      audio(0),
      packet(flv::TagType::Audio, 1, {0xaf})};
  bool first = true;
  for (const auto& each : packets) log.append(each.tag(), std::exchange(first, false), kNow);
  CHECK(same(played(log, format), packets));
}

TEST_CASE("RTMP media is on its own chunk streams and on the message stream of every player",
          "[media_log]") {
  MediaLog log(Format::Rtmp, kSmallBlocks);
  log.append(keyframe(0).tag(), true, kNow);
  log.append(audio(0).tag(), false, kNow);
  log.append(metadata({}).tag(), false, kNow);
  std::vector<std::uint32_t> chunk_streams;
  for (const auto& [header, payload] : read_rtmp(bytes_of(log))) {
    CHECK(header.stream_id == rtmp::kMediaStreamId);
    chunk_streams.push_back(header.chunk_stream);
  }
  CHECK(chunk_streams == std::vector<std::uint32_t>{rtmp::kVideoChunkStream,
                                                    rtmp::kAudioChunkStream,
                                                    rtmp::kDataChunkStream});
}

TEST_CASE("headers go before the keyframe with its time, scripts with their own", "[media_log]") {
  const Format format = GENERATE(Format::Rtmp, Format::Flv);
  CAPTURE(name(format));
  MediaLog log(format, kSmallBlocks);
  const std::vector<Packet> headers{metadata({"width"}), video_header(7), audio_header(8)};
  log.set_preamble(std::vector{headers[0].tag(), headers[1].tag(), headers[2].tag()}, 5000);
  log.append(keyframe(5000).tag(), true, kNow);
  CHECK(same(played(log, format),
             {metadata({"width"}), video_header(5000), audio_header(5000), keyframe(5000)}));
}

TEST_CASE("a log filled from a group of pictures starts with its keyframe and its headers then",
          "[media_log]") {
  const Format format = GENERATE(Format::Rtmp, Format::Flv);
  CAPTURE(name(format));
  Gop gop(1'000'000);
  for (const auto& each : {metadata({"width"}), video_header(0, 'x'), keyframe(1000), picture(1040),
                           video_header(1080, 'y'), picture(1080)})
    gop.add(each.tag());
  MediaLog log(format, kSmallBlocks);
  log.fill(gop, kNow);
  CHECK(same(played(log, format), {metadata({"width"}), video_header(1000, 'x'), keyframe(1000),
                                   picture(1040), video_header(1080, 'y'), picture(1080)}));
}

TEST_CASE("a log filled from nothing has no place to start", "[media_log]") {
  Gop gop(1'000'000);
  gop.add(video_header(0).tag());
  MediaLog log(Format::Flv, kSmallBlocks);
  log.fill(gop, kNow);
  CHECK_FALSE(log.view().keyframe);
  CHECK(log.bytes() == 0);
}
