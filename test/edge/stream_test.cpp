#include "edge/stream.h"

#include <catch2/catch.hpp>

#include "test/support/stream_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

struct Told {
  int loop;
  std::uint64_t subscription;
  StreamNews news;
};

// A stream whose word to the loops is collected.
struct Rig {
  Loop loop;
  EdgeOptions options = standalone();
  Metrics metrics{"test"};
  EdgeMetrics edge_metrics{metrics};
  std::vector<Told> told;
  Stream stream{loop, "live/a", options, edge_metrics,
                [this](int to, std::uint64_t subscription, StreamNews news) {
                  told.push_back({to, subscription, std::move(news)});
                }};

  Gop::Role ingest(const Packet& packet) { return stream.ingest(packet.tag()); }
  const LogView& last(Format format) const {
    return told.back().news.views[static_cast<std::size_t>(format)];
  }
};

std::vector<Packet> shown(const LogView& view) {
  ByteBuffer bytes = flv_greeting();
  Cursor cursor = Cursor::start(view);
  std::array<iovec, 16> pieces;
  bool jumped = false;
  for (const auto& piece : std::span(pieces).first(cursor.pieces(view, pieces, jumped)))
    append(bytes, {static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len});
  return read_flv(bytes);
}

void run(Rig& rig, Task<void> body) { test::run(rig.loop, std::move(body)); }

}  // namespace

TEST_CASE("a stream tells each loop once a turn, whatever came in it", "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 10, Format::Flv);
    rig.stream.subscribe(1, 11, Format::Flv);
    co_await next_turn(rig.loop);
    REQUIRE(rig.told.size() == 2);  // what there was when they asked
    rig.told.clear();
    rig.ingest(keyframe(0));
    for (std::uint32_t ms = 40; ms < 400; ms += 40) rig.ingest(picture(ms));
    CHECK(rig.told.empty());
    co_await next_turn(rig.loop);
    REQUIRE(rig.told.size() == 2);
    CHECK(rig.told[0].subscription == 10);
    CHECK(rig.told[1].subscription == 11);
    CHECK(shown(rig.last(Format::Flv)).size() == 10);
    co_await next_turn(rig.loop);
    CHECK(rig.told.size() == 2);
  };
  run(rig, body());
}

TEST_CASE("a loop gets the formats it has asked for, and a log is made for those alone",
          "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(video_header(0));
    rig.ingest(keyframe(0));
    rig.stream.subscribe(0, 1, Format::Flv);
    rig.stream.subscribe(1, 1, Format::Rtmp);
    co_await next_turn(rig.loop);
    const auto flv = static_cast<std::size_t>(Format::Flv);
    const auto rtmp = static_cast<std::size_t>(Format::Rtmp);
    REQUIRE(rig.told.size() == 2);
    CHECK(rig.told[0].news.views[flv].keyframe);
    CHECK_FALSE(rig.told[0].news.views[rtmp].blocks);
    CHECK_FALSE(rig.told[1].news.views[flv].blocks);
    CHECK(rig.told[1].news.views[rtmp].keyframe);
    rig.stream.subscribe(0, 1, Format::Rtmp);
    co_await next_turn(rig.loop);
    REQUIRE(rig.told.size() == 4);
    CHECK(rig.told[2].news.views[flv].keyframe);
    CHECK(rig.told[2].news.views[rtmp].keyframe);
  };
  run(rig, body());
}

TEST_CASE("before the first keyframe a stream shows nothing, then it shows the headers too",
          "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    rig.ingest(metadata({"videocodecid", "audiocodecid"}));
    rig.ingest(video_header(0));
    rig.ingest(picture(100));
    rig.ingest(audio(101));
    co_await next_turn(rig.loop);
    CHECK_FALSE(rig.stream.started());
    CHECK_FALSE(rig.last(Format::Flv).blocks);
    rig.ingest(keyframe(140));
    co_await next_turn(rig.loop);
    CHECK(rig.stream.started());
    CHECK(same(shown(rig.last(Format::Flv)),
               {metadata({"videocodecid", "audiocodecid"}), video_header(140), keyframe(140)}));
  };
  run(rig, body());
}

TEST_CASE("a header that changes stands in the log where it came, an unchanged one does not",
          "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    for (const auto& each : {video_header(0, 'x'), keyframe(0), video_header(40, 'x'), picture(40),
                             video_header(80, 'y'), picture(80)})
      rig.ingest(each);
    co_await next_turn(rig.loop);
    CHECK(same(shown(rig.last(Format::Flv)), {video_header(0, 'x'), keyframe(0), picture(40),
                                              video_header(80, 'y'), picture(80)}));
    rig.ingest(keyframe(120));
    co_await next_turn(rig.loop);
    CHECK(same(shown(rig.last(Format::Flv)), {video_header(120, 'y'), keyframe(120)}));
  };
  run(rig, body());
}

TEST_CASE("a new source is let in at its keyframe and goes on in time", "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    rig.stream.begin_source();
    rig.ingest(keyframe(1000));
    rig.stream.begin_source();
    rig.ingest(picture(500'000));
    rig.ingest(keyframe(500'040));
    rig.ingest(picture(500'080));
    co_await next_turn(rig.loop);
    const std::uint32_t start =
        1000 + 2 * Timeline::kStepMs + 20;  // its first picture took one step
    const auto packets = shown(rig.last(Format::Flv));
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].timestamp_ms == start);
    CHECK(packets[1].timestamp_ms == start + 40);
  };
  run(rig, body());
}

TEST_CASE("a new source's codec goes before its pictures to who is watching", "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    rig.ingest(video_header(0, 'x'));
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    const LogView before = rig.last(Format::Flv);
    Cursor watching = Cursor::start(before);
    std::array<iovec, 16> pieces;
    bool jumped = false;
    std::size_t had = 0;
    for (const auto& piece : std::span(pieces).first(watching.pieces(before, pieces, jumped)))
      had += piece.iov_len;
    watching.advance(before, had);
    rig.stream.begin_source();
    rig.ingest(video_header(0, 'y'));
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    ByteBuffer bytes = flv_greeting();
    const LogView& after = rig.last(Format::Flv);
    for (const auto& piece : std::span(pieces).first(watching.pieces(after, pieces, jumped)))
      append(bytes, {static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len});
    const auto packets = read_flv(bytes);
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].body == video_header(0, 'y').body);
    CHECK(packets[1].body == keyframe(0).body);
  };
  run(rig, body());
}

TEST_CASE("metadata loses the publisher's @setDataFrame and keeps time 0", "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    ByteBuffer wrapped = amf0::encode_all({"@setDataFrame"});
    append(wrapped, metadata({"width"}).body);
    rig.ingest(packet(flv::TagType::Script, 77, wrapped));
    rig.ingest(keyframe(5000));
    co_await next_turn(rig.loop);
    CHECK(same(shown(rig.last(Format::Flv)), {metadata({"width"}), keyframe(5000)}));
  };
  run(rig, body());
}

TEST_CASE("news of audio alone can wait, of anything else they cannot", "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    CHECK(rig.told.back().news.urgent);
    rig.ingest(audio(10));
    co_await next_turn(rig.loop);
    CHECK_FALSE(rig.told.back().news.urgent);
    rig.ingest(audio(33));
    rig.ingest(picture(40));
    rig.ingest(audio(56));
    co_await next_turn(rig.loop);
    CHECK(rig.told.back().news.urgent);
    rig.ingest(audio_header(60));
    co_await next_turn(rig.loop);
    CHECK(rig.told.back().news.urgent);
  };
  run(rig, body());
}

TEST_CASE(
    "a loop that no longer asks hears nothing, and late words of an earlier wish change nothing",
    "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    rig.stream.subscribe(0, 2, Format::Flv);
    rig.stream.unsubscribe(0, 1);
    CHECK(rig.stream.watched());
    rig.stream.unsubscribe(1, 2);
    CHECK(rig.stream.watched());
    co_await next_turn(rig.loop);
    REQUIRE(rig.told.size() == 1);
    CHECK(rig.told[0].subscription == 2);
    rig.stream.unsubscribe(0, 2);
    CHECK_FALSE(rig.stream.watched());
    CHECK(rig.stream.unwatched_since() == rig.loop.now());
    rig.ingest(keyframe(0));
    co_await next_turn(rig.loop);
    CHECK(rig.told.size() == 1);
  };
  run(rig, body());
}

TEST_CASE("the end is told at once, with its reason, and once", "[stream]") {
  Rig rig;
  auto body = [&]() -> Task<void> {
    rig.stream.subscribe(0, 1, Format::Flv);
    co_await next_turn(rig.loop);
    rig.told.clear();
    rig.stream.finish({Errc::NotFound, "nowhere"});
    REQUIRE(rig.told.size() == 1);
    REQUIRE(rig.told[0].news.over);
    CHECK(rig.told[0].news.over->code == Errc::NotFound);
    rig.stream.finish({Errc::Closed, "again"});
    CHECK(rig.told.size() == 1);
    CHECK(rig.stream.over()->code == Errc::NotFound);
  };
  run(rig, body());
}
