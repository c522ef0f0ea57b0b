// What a flush costs when everything is in its stride: no memory, and one system call per viewer who lacks
// something.
#include <catch2/catch.hpp>

#include "test/support/cost.h"
#include "test/support/stream_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

// What flushing costs that the ingested `packet` causes.
Task<Cost> cost_of(StreamRig& rig, const Packet& packet) {
  start_counting();
  stop_counting();
  rig.on_news = [](const StreamNews&) { start_counting(); };
  rig.ingest(packet);
  co_await next_turn(rig.loop);
  rig.on_news = [](const StreamNews&) {};
  co_return stop_counting();
}

constexpr int kEach = 100;  // viewers of a format

}  // namespace

TEST_CASE("a flush allocates nothing and writes once to each viewer", "[flush_cost]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(video_header(0));
    rig.ingest(keyframe(0, 1000));
    co_await next_turn(rig.loop);
    std::vector<Player> players;
    for (int i = 0; i < kEach; ++i) {
      players.push_back(rig.join(Format::Rtmp));
      players.push_back(rig.join(Format::Flv));
    }
    std::uint32_t ms = 0;
    for (int i = 0; i < 50; ++i) {
      Cost cost = co_await cost_of(rig, picture(ms += 40, 2000));
      CHECK(cost.sends == 2 * kEach);
      // The first flushes find out how much room the loop's own lists need.
      if (i > 1) CHECK(cost.allocations == 0);
      for (auto& player : players) player.receive();
    }
    for (auto& player : players) CHECK(player.received().size() > 50 * 2000);
    Cost skipped = co_await cost_of(rig, video_header(ms));  // nothing that a viewer lacks
    CHECK(skipped.sends == 0);
  };
  test::run(rig.loop, body());
}

TEST_CASE("viewers with nothing new cost no system call", "[flush_cost]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0, 1000));
    co_await next_turn(rig.loop);
    std::vector<Player> players;
    for (int i = 0; i < 10; ++i) players.push_back(rig.join(Format::Flv));
    // News of a view that every viewer has had in full.
    StreamNews same = rig.fanout.news();
    start_counting();
    rig.fanout.hear(same);
    co_await next_turn(rig.loop);
    CHECK(stop_counting().sends == 0);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, Format::Flv) == 10);
  };
  test::run(rig.loop, body());
}
