// Viewers through their Fanout: what a player at the far end of the connection gets, and when it is ended.
#include "edge/viewer.h"

#include <catch2/catch.hpp>

#include "test/support/stream_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

std::vector<Packet> played(const Player& player, Format format) {
  return format == Format::Flv ? read_flv(player.received())
                               : media_of(read_rtmp(player.received()));
}

// How often a message of this type came that has `text` in it.
long heard(const Player& player, rtmp::Type type, std::string_view text) {
  return std::ranges::count_if(read_rtmp(player.received()), [&](const RtmpMessage& message) {
    return message.header.type == type && message.payload.find(text) != std::string::npos;
  });
}

// Pictures of one second each: more than sockets of `narrow` hold.
EdgeOptions narrow() {
  EdgeOptions options = standalone();
  options.send_buffer = 4096;
  options.log = {.block_size = 20'000, .max_bytes = 100'000, .window = 1h};
  return options;
}
constexpr std::size_t kLarge = 15'000;

// Every packet is whole, none is out of order, and wherever some are missing a keyframe or the
// headers before it follow.
bool goes_on_at_keyframes(const std::vector<Packet>& packets, std::uint32_t step_ms) {
  std::uint32_t last = packets.front().timestamp_ms;
  for (const auto& each : packets) {
    const auto info = flv::inspect_video(each.body);
    const bool gap = each.timestamp_ms > last + step_ms;
    if (each.timestamp_ms < last || (gap && !info.keyframe && !info.sequence_header)) return false;
    if (!info.sequence_header) last = each.timestamp_ms;
  }
  return true;
}

}  // namespace

TEST_CASE("what comes into a stream reaches its viewers of both protocols in the same turn",
          "[viewer]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    const std::vector<Packet> packets{video_header(0), audio_header(0), keyframe(0), picture(40),
                                      audio(41)};
    for (const auto& each : packets) rig.ingest(each);
    co_await next_turn(rig.loop);
    Player flv = rig.join(Format::Flv);
    Player rtmp = rig.join(Format::Rtmp);
    rig.ingest(picture(80, 5000));
    co_await next_turn(rig.loop);
    for (auto* player : {&flv, &rtmp}) player->receive();
    std::vector<Packet> expected = packets;
    expected.push_back(picture(80, 5000));
    CHECK(same(played(flv, Format::Flv), expected));
    CHECK(same(played(rtmp, Format::Rtmp), expected));
    CHECK(rig.tally(&EdgeMetrics::PerFormat::joins, Format::Flv) == 1);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::bytes, Format::Flv) == flv.received().size());
  };
  test::run(rig.loop, body());
}

TEST_CASE("many packets of one turn are one write", "[viewer]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    Player player = rig.join(Format::Flv);
    for (std::uint32_t ms = 40; ms < 400; ms += 40) rig.ingest(picture(ms));
    co_await next_turn(rig.loop);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, Format::Flv) == 2);
    player.receive();
    CHECK(played(player, Format::Flv).size() == 10);
  };
  test::run(rig.loop, body());
}

TEST_CASE("within the merge window packets wait for each other", "[viewer]") {
  EdgeOptions options = standalone();
  options.merge_window = 50ms;
  StreamRig rig(options);
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    Player player = rig.join(Format::Flv);
    const auto start = rig.loop.now();
    rig.ingest(picture(40));
    co_await next_turn(rig.loop);  // nothing was flushed for long: goes at once
    CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, Format::Flv) == 2);
    rig.ingest(picture(80));
    co_await next_turn(rig.loop);
    rig.ingest(picture(120));
    co_await next_turn(rig.loop);
    if (rig.loop.now() < start + 50ms)
      CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, Format::Flv) == 2);
    const bool came = co_await until(
        rig.loop, [&] { return player.receive(), played(player, Format::Flv).size() == 4; });
    CHECK(came);
    CHECK(rig.loop.now() >= start + 50ms);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, Format::Flv) == 3);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a viewer whose socket was full goes on when it has room, without further news",
          "[viewer]") {
  const Format format = GENERATE(Format::Rtmp, Format::Flv);
  StreamRig rig(narrow());
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0, kLarge));
    co_await next_turn(rig.loop);
    Player player = rig.join(format);
    rig.ingest(picture(1000, kLarge));
    rig.ingest(picture(2000, kLarge));
    co_await next_turn(rig.loop);
    const auto writes = rig.tally(&EdgeMetrics::PerFormat::flushes, format);
    rig.ingest(picture(3000, kLarge));
    co_await next_turn(rig.loop);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, format) == writes);  // it is blocked: no try
    const bool all = co_await until(
        rig.loop, [&] { return player.receive(), played(player, format).size() == 4; });
    CHECK(all);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::jumps, format) == 0);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a slow viewer jumps to the newest keyframe and sees whole messages only", "[viewer]") {
  const Format format = GENERATE(Format::Rtmp, Format::Flv);
  StreamRig rig(narrow());
  auto body = [&]() -> Task<void> {
    rig.ingest(video_header(0));
    rig.ingest(keyframe(0, kLarge));
    co_await next_turn(rig.loop);
    Player slow = rig.join(format);
    for (std::uint32_t i = 1; i <= 40; ++i) {
      rig.ingest(i % 4 == 0 ? keyframe(i * 1000, kLarge) : picture(i * 1000, kLarge));
      co_await next_turn(rig.loop);
      slow.receive(2000);
    }
    const bool caught_up = co_await until(rig.loop, [&] {
      slow.receive();
      const auto packets = played(slow, format);
      return !packets.empty() && packets.back().timestamp_ms == 40'000;
    });
    CHECK(caught_up);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::jumps, format) > 0);
    const auto packets = played(slow, format);
    CHECK(packets.size() < 40);
    CHECK(goes_on_at_keyframes(packets, 1000));
  };
  test::run(rig.loop, body());
}

TEST_CASE("a viewer that takes nothing for stall_timeout is ended, others are not", "[viewer]") {
  EdgeOptions options = narrow();
  options.stall_timeout = 100ms;
  StreamRig rig(options);
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0, kLarge));
    co_await next_turn(rig.loop);
    Player stalled = rig.join(Format::Flv);
    Player idle = rig.join(Format::Flv);
    idle.receive();
    co_await next_turn(rig.loop);
    REQUIRE(rig.fanout.viewers() == 2);
    const bool ended =
        co_await until(rig.loop, [&] { return idle.receive(), rig.fanout.viewers() == 1; });
    CHECK(ended);
    const bool closed =
        co_await until(rig.loop, [&] { return stalled.receive(), stalled.ended(); });
    CHECK(closed);
    CHECK_FALSE(idle.ended());
    CHECK(rig.metrics.text().find("weir_viewer_ends_total{reason=\"timeout\"} 1") !=
          std::string::npos);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a paused viewer gets an answer and no media until it goes on", "[viewer]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    Player player = rig.join(Format::Rtmp);
    player.command({"pause", 0, nullptr, true, 0});
    std::uint32_t ms = 0;
    auto tick_until_heard = [&](std::string_view code) {
      rig.ingest(picture(ms += 40));
      player.receive();
      return heard(player, rtmp::Type::CommandAmf0, code) == 1;
    };
    const bool paused =
        co_await until(rig.loop, [&] { return tick_until_heard("NetStream.Pause.Notify"); });
    CHECK(paused);
    const std::size_t had = played(player, Format::Rtmp).size();
    for (int i = 0; i < 5; ++i) {
      rig.ingest(picture(ms += 40));
      co_await next_turn(rig.loop);
    }
    player.receive();
    CHECK(played(player, Format::Rtmp).size() == had);
    player.command({"pause", 0, nullptr, false, 0});
    const bool resumed =
        co_await until(rig.loop, [&] { return tick_until_heard("NetStream.Unpause.Notify"); });
    CHECK(resumed);
    rig.ingest(picture(ms += 40));
    co_await next_turn(rig.loop);
    player.receive();
    const auto packets = played(player, Format::Rtmp);
    CHECK(packets.back().timestamp_ms == ms);
    CHECK(packets.size() == ms / 40 + 1);  // the log still had all of it
  };
  test::run(rig.loop, body());
}

// Its message is never finished then, and what waits for the end of it never leaves.
TEST_CASE("a viewer that pauses inside a message is answered all the same", "[viewer]") {
  StreamRig rig(narrow());
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0, kLarge));
    rig.ingest(picture(40, kLarge));
    co_await next_turn(rig.loop);
    Player player = rig.join(Format::Rtmp);  // blocked inside of the first messages
    player.command({"pause", 0, nullptr, true, 0});
    co_await next_turn(rig.loop);
    co_await next_turn(rig.loop);
    std::uint32_t ms = 40;
    auto answered = [&] {
      rig.ingest(picture(ms += 40));
      player.receive();
      return heard(player, rtmp::Type::CommandAmf0, "NetStream.Pause.Notify") == 1;
    };
    const bool heard_of_it = co_await until(rig.loop, answered, 500ms);
    CHECK(heard_of_it);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a ping is answered between two messages, a seek refused", "[viewer]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    Player player = rig.join(Format::Rtmp);
    player.command({"seek", 0, nullptr, 1000});
    player.say({.chunk_stream = 2, .type = rtmp::Type::UserControl}, as_bytes({"\0\6abcd", 6}));
    std::uint32_t ms = 0;
    const bool answered = co_await until(rig.loop, [&] {
      rig.ingest(picture(ms += 40));
      player.receive();
      return heard(player, rtmp::Type::UserControl, {"\0\7abcd", 6}) == 1 &&
             heard(player, rtmp::Type::CommandAmf0, "NetStream.Seek.Failed") == 1;
    });
    CHECK(answered);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a viewer leaves by hanging up or by saying so", "[viewer]") {
  const std::string way = GENERATE("hang up", "deleteStream", "closeStream");
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    bool told = false;
    rig.fanout.on_idle = [&] { told = true; };
    Player player = rig.join(Format::Rtmp);
    CHECK_FALSE(rig.fanout.idle());
    if (way == "hang up") {
      player.receive();  // the kernel resets a connection that is closed with something unread
      player.hang_up();
    } else {
      player.command({std::string_view(way), 0, nullptr, 1});
    }
    const bool left = co_await until(rig.loop, [&] { return told; });
    CHECK(left);
    CHECK(rig.fanout.idle());
    CHECK(rig.metrics.text().find("weir_viewer_ends_total{reason=\"closed\"} 1") !=
          std::string::npos);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a viewer that breaks RTMP is ended", "[viewer]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    Player player = rig.join(Format::Rtmp);
    player.say({.chunk_stream = 2, .type = rtmp::Type::SetChunkSize}, as_bytes({"\0\0\0\0", 4}));
    const bool ended = co_await until(rig.loop, [&] { return rig.fanout.viewers() == 0; });
    CHECK(ended);
  };
  test::run(rig.loop, body());
}

TEST_CASE("at the end of the stream viewers get all of it, RTMP ones a farewell, and are closed",
          "[viewer]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    Player rtmp = rig.join(Format::Rtmp);
    Player flv = rig.join(Format::Flv);
    rig.stream.finish({Errc::Closed, "publisher left"});
    co_await next_turn(rig.loop);
    CHECK(rig.fanout.idle());
    for (auto* player : {&rtmp, &flv}) {
      player->receive();
      CHECK(player->ended());
    }
    CHECK(heard(rtmp, rtmp::Type::CommandAmf0, "NetStream.Play.UnpublishNotify") == 1);
    CHECK(heard(rtmp, rtmp::Type::UserControl, {"\0\1\0\0\0\1", 6}) == 1);
    CHECK(played(flv, Format::Flv).size() == 1);
  };
  test::run(rig.loop, body());
}
