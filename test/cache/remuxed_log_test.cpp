// Logs whose messages are not the packets one by one: MPEG-TS, bare audio, and WebSocket around them.
#include <catch2/catch.hpp>

#include "cache/media_log.h"
#include "common/wire/mpegts_muxer.h"
#include "test/support/codecs.h"
#include "test/support/log_reader.h"
#include "test/support/ts_reader.h"
#include "test/support/websocket_client.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr StreamLog::Clock::time_point kNow{};
constexpr StreamLog::Limits kSmallBlocks{.block_size = 1000};

// A second of 25 pictures with sound between them, from `ms` on.
void append_second(MediaLog& log, std::uint32_t ms) {
  for (std::uint32_t at = ms; at < ms + 1000; at += 40) {
    log.append(h264(at, at == ms, 300).tag(), at == ms, kNow);
    log.append(aac(at + 20).tag(), false, kNow);
  }
}

MediaLog configured(Format format, const StreamLog::Limits& limits = kSmallBlocks) {
  MediaLog log(format, limits);
  log.set_preamble(std::vector{h264_header(0).tag(), aac_header(0).tag()}, 0);
  return log;
}

}  // namespace

TEST_CASE("a viewer of TS starts at the newest keyframe, with tables and nothing missing",
          "[media_log]") {
  const Format format = GENERATE(Format::Ts, Format::WsTs);
  MediaLog log = configured(format);
  append_second(log, 0);
  append_second(log, 1000);
  const ByteBuffer bytes = bytes_of(log);
  const TsReader read = read_ts(is_websocket(format) ? binary_of(bytes) : bytes);
  CHECK(read.frames.size() == 50);
  CHECK(read.frames.front().random_access);
  CHECK(read.frames.front().dts == (1000 + mpegts::Muxer::kLeadMs) * 90);
  CHECK(read.tables == 1);
}

TEST_CASE("a viewer of TS that stays sees no gap, one that falls behind sees it declared",
          "[media_log]") {
  const Format format = GENERATE(Format::Ts, Format::WsTs);
  MediaLog log = configured(format, {.block_size = 5000, .max_bytes = 60'000});
  append_second(log, 0);
  Cursor steady = Cursor::start(log.view());
  Cursor slow = steady;
  ByteBuffer had = send(steady, log.view());
  ByteBuffer late = send(slow, log.view());
  for (std::uint32_t ms = 1000; ms < 10'000; ms += 1000) {
    append_second(log, ms);
    append(had, send(steady, log.view()));
  }
  append(late, send(slow, log.view()));
  const TsReader all = read_ts(is_websocket(format) ? binary_of(had) : had);
  CHECK(all.frames.size() == 500);
  CHECK(all.discontinuities == 4);
  const TsReader some = read_ts(is_websocket(format) ? binary_of(late) : late);
  CHECK(some.frames.size() == 100);
  CHECK(some.discontinuities == 8);
}

TEST_CASE("FLV over WebSocket is a tag a message", "[media_log]") {
  MediaLog log(Format::WsFlv, kSmallBlocks);
  const std::vector<Packet> packets{keyframe(0, 3000), audio(3, 100), picture(40, 100'000)};
  log.set_preamble(std::vector{video_header(7).tag()}, 0);
  bool first = true;
  for (const auto& each : packets) log.append(each.tag(), std::exchange(first, false), kNow);
  const ByteBuffer bytes = bytes_of(log);
  CHECK(server_frames(bytes).size() == 4);
  ByteBuffer file = flv_greeting();
  append(file, binary_of(bytes));
  std::vector<Packet> expected = packets;
  expected.insert(expected.begin(), video_header(0));
  CHECK(same(read_flv(file), expected));
}

TEST_CASE("bare audio is the audio of any stream, from the last half second on", "[media_log]") {
  MediaLog aac_log = configured(Format::Aac);
  MediaLog mp3_log = configured(Format::Mp3);
  append_second(aac_log, 0);
  append_second(mp3_log, 0);
  CHECK(bytes_of(aac_log).size() == 12 * (adts::kHeaderSize + 100));
  CHECK_FALSE(mp3_log.view().keyframe);
  CHECK(mp3_log.bytes() == 0);
}

TEST_CASE("a TS log filled from a group of pictures knows of the sound to come", "[media_log]") {
  Gop gop(1'000'000);
  for (const auto& each : {h264_header(0), h264(0, true), mp3(10), h264(40, false)})
    gop.add(each.tag());
  MediaLog log(Format::Ts, kSmallBlocks);
  log.fill(gop, kNow);
  const TsReader read = read_ts(bytes_of(log));
  CHECK(read.frames.size() == 3);
  CHECK(read.tables == 1);
  CHECK(read.tracks.size() == 2);
}

TEST_CASE("a log that can carry nothing of a stream has no place to start", "[media_log]") {
  const Format format = GENERATE(Format::Ts, Format::Aac);
  Gop gop(1'000'000);
  for (const auto& each : {keyframe(0), audio(10), picture(40)}) gop.add(each.tag());
  MediaLog log(format, kSmallBlocks);
  log.fill(gop, kNow);
  CHECK_FALSE(log.view().keyframe);
}
