// Viewers of MPEG-TS, bare audio and WebSocket through their Fanout: the same stream, the same rules as for
// RTMP and FLV, and a WebSocket's own words.
#include <catch2/catch.hpp>

#include "common/wire/mpegts_muxer.h"
#include "test/support/codecs.h"
#include "test/support/stream_rig.h"
#include "test/support/ts_reader.h"
#include "test/support/websocket_client.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr int kClose = 8;
constexpr int kPong = 10;

struct PipesRig : StreamRig {
  using StreamRig::StreamRig;

  // All formats are wanted, and there is a stream to view.
  Task<void> begin() {
    for (const Format format : kFormats) want(format);
    ingest(h264_header(0));
    ingest(aac_header(0));
    ingest(h264(0, true));
    ingest(aac(5));
    co_await next_turn(loop);
  }
  Task<bool> ends(Player& player) {
    auto gone = co_await until(loop, [&] { return player.receive(), player.ended(); });
    co_return gone;
  }
};

std::vector<ServerFrame> said(const Player& player, int opcode) {
  auto frames = server_frames(player.received());
  std::erase_if(frames, [&](const auto& frame) { return frame.opcode != opcode; });
  return frames;
}

}  // namespace

TEST_CASE("every format is served from the same stream", "[live_pipes]") {
  PipesRig rig;
  auto body = [&]() -> Task<void> {
    co_await rig.begin();
    std::map<Format, Player> players;
    for (const Format format : kFormats)
      if (rig.fanout.view(format).keyframe) players.emplace(format, rig.join(format));
    CHECK(players.size() == kFormatCount - 1);
    CHECK_FALSE(players.contains(Format::Mp3));  // there is none in this stream
    rig.ingest(h264(40, false, 5000));
    rig.ingest(aac(28));
    co_await next_turn(rig.loop);
    for (auto& [format, player] : players) {
      player.receive();
      CHECK(rig.tally(&EdgeMetrics::PerFormat::joins, format) == 1);
      CHECK(rig.tally(&EdgeMetrics::PerFormat::bytes, format) == player.received().size());
    }
    const TsReader ts = read_ts(players.at(Format::Ts).received());
    CHECK(ts.frames.size() == 4);
    CHECK(binary_of(players.at(Format::WsTs).received()) == players.at(Format::Ts).received());
    ByteBuffer file = flv_greeting();
    append(file, binary_of(players.at(Format::WsFlv).received()));
    CHECK(same(read_flv(file), read_flv(players.at(Format::Flv).received())));
    CHECK(players.at(Format::Aac).received().size() == 2 * (adts::kHeaderSize + 100));
  };
  test::run(rig.loop, body());
}

TEST_CASE("a slow viewer of TS jumps to a keyframe, and the gap is declared", "[live_pipes]") {
  const Format format = GENERATE(Format::Ts, Format::WsTs);
  EdgeOptions options = standalone();
  options.send_buffer = 4096;
  options.log = {.block_size = 20'000, .max_bytes = 100'000, .window = 1h};
  PipesRig rig(options);
  auto body = [&]() -> Task<void> {
    co_await rig.begin();
    Player slow = rig.join(format);
    for (std::uint32_t i = 1; i <= 40; ++i) {
      rig.ingest(h264(i * 1000, i % 4 == 0, 15'000));
      co_await next_turn(rig.loop);
      slow.receive(2000);
    }
    auto newest = [&] {
      slow.receive();
      const ByteBuffer bytes = is_websocket(format) ? binary_of(slow.received()) : slow.received();
      const std::size_t whole = bytes.size() / TsReader::kPacket * TsReader::kPacket;
      TsReader read;
      read.feed(ByteView(bytes).first(whole));
      return read.frames.empty() ? 0 : read.frames.back().dts;
    };
    const std::uint64_t last = (40'000 + mpegts::Muxer::kLeadMs) * 90;
    std::uint32_t ms = 40'000;
    const bool caught_up = co_await until(rig.loop, [&] {
      rig.ingest(h264(ms += 40, false));
      return newest() >= last;
    });
    CHECK(caught_up);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::jumps, format) > 0);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a WebSocket's ping is answered between two messages", "[live_pipes]") {
  PipesRig rig;
  auto body = [&]() -> Task<void> {
    co_await rig.begin();
    Player player = rig.join(Format::WsFlv);
    player.say(client_frame(0x89, "are you there"));
    player.say(client_frame(0x81, "some text"));
    std::uint32_t ms = 0;
    const bool answered = co_await until(rig.loop, [&] {
      rig.ingest(h264(ms += 40, false));
      player.receive();
      return said(player, kPong).size() == 1;
    });
    CHECK(answered);
    CHECK(as_text(said(player, kPong).front().payload) == "are you there");
    CHECK(rig.fanout.viewers() == 1);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a WebSocket that is closed by its client is closed by us", "[live_pipes]") {
  PipesRig rig;
  auto body = [&]() -> Task<void> {
    co_await rig.begin();
    Player player = rig.join(Format::WsTs);
    player.receive();
    player.say(client_frame(0x88, "\x03\xe9 bye"));
    const bool ended = co_await rig.ends(player);
    CHECK(ended);
    REQUIRE(said(player, kClose).size() == 1);
    CHECK(as_text(said(player, kClose).front().payload) == "\x03\xe9 bye");
    CHECK(rig.fanout.idle());
    CHECK(rig.metrics.text().find("weir_viewer_ends_total{reason=\"closed\"} 1") !=
          std::string::npos);
  };
  test::run(rig.loop, body());
}

TEST_CASE("a WebSocket that breaks its protocol is told so and ended", "[live_pipes]") {
  const bool large = GENERATE(true, false);
  PipesRig rig;
  auto body = [&]() -> Task<void> {
    co_await rig.begin();
    Player player = rig.join(Format::WsTs);
    player.receive();
    player.say(large ? client_frame(0x82, std::string(66'000, 'x')) : bytes({0x89, 0}));
    const bool ended = co_await rig.ends(player);
    CHECK(ended);
    REQUIRE(said(player, kClose).size() == 1);
    CHECK(load_be16(said(player, kClose).front().payload.data()) == (large ? 1009 : 1002));
  };
  test::run(rig.loop, body());
}

TEST_CASE("at the end of the stream a WebSocket is closed, saying whether more may come",
          "[live_pipes]") {
  const Errc why = GENERATE(Errc::Closed, Errc::Cancelled);
  PipesRig rig;
  auto body = [&]() -> Task<void> {
    co_await rig.begin();
    Player player = rig.join(Format::WsFlv);
    Player plain = rig.join(Format::Ts);
    rig.stream.finish({why, "over"});
    const bool ended = co_await rig.ends(player);
    CHECK(ended);
    REQUIRE(said(player, kClose).size() == 1);
    CHECK(server_frames(player.received()).back().opcode == kClose);
    CHECK(load_be16(said(player, kClose).front().payload.data()) ==
          (why == Errc::Closed ? 1000 : 1001));
    const bool closed = co_await rig.ends(plain);
    CHECK(closed);
    CHECK(read_ts(plain.received()).frames.size() == 2);
  };
  test::run(rig.loop, body());
}

TEST_CASE("who wants audio of another codec hears so as soon as the codec is known",
          "[live_pipes]") {
  PipesRig rig;
  auto body = [&]() -> Task<void> {
    for (const Format format : kFormats) rig.want(format);
    const Deadline never = rig.loop.in(1h);
    std::optional<Errc> told;
    auto wait = [](Fanout& fanout, Deadline until, std::optional<Errc>& out) -> Task<void> {
      auto startable = co_await fanout.startable(Format::Mp3, until);
      if (!startable) out = startable.error().code;
    };
    rig.loop.spawn(wait(rig.fanout, never, told));
    rig.ingest(h264_header(0));
    co_await next_turn(rig.loop);
    CHECK_FALSE(told.has_value());
    rig.ingest(aac_header(0));  // before anything could be viewed
    co_await next_turn(rig.loop);
    co_await next_turn(rig.loop);
    CHECK(told == Errc::NotFound);
    rig.ingest(h264(0, true));
    rig.ingest(aac(5));
    co_await next_turn(rig.loop);
    auto same = co_await rig.fanout.startable(Format::Aac, never);
    CHECK(same);
  };
  test::run(rig.loop, body());
}
