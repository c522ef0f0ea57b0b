// Origins that refuse, hang up or lack commands, and clients that leave early.
#include <catch2/catch.hpp>

#include "test/support/on_a_loop.h"
#include "test/support/relay_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// An origin that does not know a command, and says so.
ServerHabits that_fails(const std::string& command) {
  ServerHabits habits;
  habits.answer = [=](const Words& words) -> std::optional<std::vector<Words>> {
    if (words.name() != command) return std::nullopt;
    const Values values{
        "_error", words.transaction(), nullptr,
        info("error", "NetConnection.Call.Failed", "Method not found (" + command + ").")};
    return std::vector<Words>{{.values = values}};
  };
  return habits;
}

}  // namespace

TEST_CASE("an origin without releaseStream and FCPublish still takes the stream", "[rtmp_relay]") {
  const std::string command = GENERATE("releaseStream", "FCPublish");
  on_a_loop([command](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, verdict("status", "NetStream.Publish.Start"), that_fails(command));
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.publish("cam");
    auto heard = co_await hear(*client, "onStatus");
    CHECK(heard.code() == "NetStream.Publish.Start");
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that answers publish with _error is told to the client", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(
        loop, [](Connection& client, const Words&) -> Task<void> { co_await hear_the_end(client); },
        that_fails("publish"));
    RelayRig rig(loop, {origin.port()});
    rig.options.request_timeout = 500ms;
    auto client = co_await rig.publish("cam");
    auto heard = co_await hear(*client, "onStatus");
    CHECK(heard.property("level") == "error");
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that hangs up on one client's connect keeps its other clients",
          "[rtmp_relay]") {
  // nginx-rtmp does so when the application is unknown, which is the client's choice.
  on_a_loop([](Loop& loop) -> Task<void> {
    std::vector<Connection*> guests;
    ServerHabits habits;
    habits.answer = [&](const Words& words) -> std::optional<std::vector<Words>> {
      if (words.property("app") == "unknown") guests.back()->socket().close();
      return std::nullopt;
    };
    RtmpOrigin other(loop, grants());
    std::vector<std::unique_ptr<Connection>> connections;
    auto visit = [](Connection& at, const ServerHabits& as) -> Task<void> {
      std::vector<Words> heard;
      auto asked = co_await serve_by_habit(at, as, heard);
      if (asked.values.empty()) co_return;
      say(at, status(asked, "status", "NetStream.Play.Start"));
      auto sent = co_await at.flush(at.loop().in(kPatience));
      if (sent) co_await hear_the_end(at);
    };
    auto door = listen_on(loop, [&](std::unique_ptr<Socket> socket) {
      connections.push_back(std::make_unique<Connection>(std::move(socket)));
      guests.push_back(connections.back().get());
      loop.spawn(visit(*connections.back(), habits));
    });
    RelayRig rig(loop, {door->port(), other.port()});
    auto viewer = co_await rig.play("cam");
    auto heard = co_await hear(*viewer, "onStatus");
    CHECK(heard.code() == "NetStream.Play.Start");
    auto stranger =
        co_await rig.ask(rtmp::Request::Kind::Play, "cam", connect_arguments("unknown"));
    co_await hear(*stranger, "onStatus");
    auto ended = co_await hear_the_end(*viewer, 300ms);
    CHECK(ended == Errc::Timeout);  // it plays on
    co_await end_all_others(loop);
  });
}

TEST_CASE("a viewer's stream is looked for at the other origins, and its route corrected",
          "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin without(loop, verdict("error", "NetStream.Play.StreamNotFound"));
    RtmpOrigin with(loop, grants());
    RelayRig rig(loop, {without.port(), with.port()});
    for (int i = 0; i < 2; ++i) {
      auto client = co_await rig.play("cam");
      auto heard = co_await hear(*client, "onStatus");
      CHECK(heard.code() == "NetStream.Play.Start");
    }
    CHECK(without.visits.size() == 1);
    CHECK(with.visits.size() == 2);
    co_await end_all_others(loop);
  });
}

TEST_CASE("when no origin has the stream the first one's words reach the viewer", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin first(loop, verdict("error", "NetStream.Play.StreamNotFound"));
    RtmpOrigin second(loop, verdict("error", "NetStream.Failed.NotFound"));
    RelayRig rig(loop, {first.port(), second.port()});
    auto client = co_await rig.play("cam");
    auto heard = co_await hear(*client, "onStatus");
    CHECK(heard.code() == "NetStream.Play.StreamNotFound");
    CHECK(heard.property("description") == "so says the origin");
    CHECK(second.visits.size() == 1);
    co_await end_all_others(loop);
  });
}

TEST_CASE("a publisher is not taken elsewhere because of an answer", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin first(loop, verdict("error", "NetStream.Publish.NotFound"));
    RtmpOrigin second(loop, verdict("status", "NetStream.Publish.Start"));
    RelayRig rig(loop, {first.port(), second.port()});
    auto client = co_await rig.publish("cam");
    auto heard = co_await hear(*client, "onStatus");
    CHECK(heard.code() == "NetStream.Publish.NotFound");
    CHECK(second.visits.empty());
    co_await end_all_others(loop);
  });
}

TEST_CASE("a client that goes before the verdict takes its connection to the origin along",
          "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, [](Connection& client, const Words&) -> Task<void> {
      co_await hear_the_end(client);
    });
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    co_await comes_true(
        loop, [&] { return !origin.visits.empty() && !origin.visits[0].asked.values.empty(); });
    client.reset();
    auto gone = co_await comes_true(loop, [&] { return origin.visits[0].ended; }, 1s);
    CHECK(gone);
    co_await end_all_others(loop);
  });
}

TEST_CASE("StreamBegin names the client's stream, not the origin's", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, [](Connection& client, const Words& asked) -> Task<void> {
      client.user_control(rtmp::Event::StreamBegin, 7);
      say(client, status(asked, "status", "NetStream.Play.Start"));
      auto sent = co_await client.flush(client.loop().in(kPatience));
      if (sent) co_await hear_the_end(client);
    });
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    std::optional<std::uint32_t> begun;
    while (!begun) {
      auto message = co_await client->read(loop.in(1s));
      if (!message) break;
      if (message->header.type == rtmp::Type::UserControl)
        begun = load_be32(message->payload.data() + 2);
    }
    CHECK(begun == 1u);
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("a refused publisher who is sending already hears an orderly end", "[rtmp_relay]") {
  // Unread bytes at close() make the kernel send RST, at which some systems drop the verdict before it.
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, verdict("error", "NetStream.Publish.BadName"));
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.connect();
    auto opened =
        co_await rtmp::open_stream(*client, connect_arguments(), 2'500'000, loop.in(kPatience));
    CHECK(opened);
    rtmp::send_publish(*client, 1, "cam");
    client->send({.chunk_stream = 6, .stream_id = 1, .type = rtmp::Type::Video},
                 ByteBuffer(500'000, 1));
    auto sent = co_await client->flush(loop.in(kPatience));
    CHECK(sent);
    auto heard = co_await hear(*client, "onStatus");
    CHECK(heard.code() == "NetStream.Publish.BadName");
    auto ended = co_await hear_the_end(*client, 2s);
    CHECK(ended == Errc::Closed);
    co_await end_all_others(loop);
  });
}
