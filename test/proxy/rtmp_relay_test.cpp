#include "proxy/rtmp_relay.h"

#include <catch2/catch.hpp>

#include "common/io/child.h"
#include "common/io/gate.h"
#include "test/common/wire/rtmp_chunk_peer.h"
#include "test/support/on_a_loop.h"
#include "test/support/relay_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

using rtmp::Request;
using rtmp::test::Got;
using rtmp::test::Peer;

Task<Words> next_status(Connection& client) { return hear(client, "onStatus"); }

Task<void> flush(Connection& to) {
  auto sent = co_await to.flush(to.loop().in(kPatience));
  CHECK(sent);
}

bool is_media(rtmp::Type type) { return type == rtmp::Type::Audio || type == rtmp::Type::Video; }

std::vector<Got> media_of(const std::vector<Got>& messages, std::uint32_t from = 0,
                          std::uint32_t to = 0) {
  std::vector<Got> media;
  for (const auto& message : messages) {
    if (!is_media(message.header.type)) continue;
    media.push_back(message);
    if (message.header.stream_id == from) media.back().header.stream_id = to;
  }
  return media;
}

// Reads until so many media messages have come, or the other side leaves.
Task<void> keep_media(Connection& from, std::size_t count, std::vector<Got>& kept) {
  while (kept.size() < count) {
    auto message = co_await from.read(from.loop().in(kPatience));
    if (!message) co_return;
    if (is_media(message->header.type))
      kept.push_back({message->header, {message->payload.begin(), message->payload.end()}});
  }
}

Peer everything_said_by(unsigned seed, int steps) {
  Peer peer(seed);
  for (int i = 0; i < steps; ++i) peer.step();
  peer.finish_messages();
  return peer;
}

// A Peer begins with the chunks of a fresh connection.
void say_all(Connection& to, ByteView bytes) {
  if (to.out_chunk_size() != rtmp::kInitialChunkSize) to.set_chunk_size(rtmp::kInitialChunkSize);
  append(to.out(), bytes);
}

ByteBuffer noise(std::uint32_t seed, std::size_t bytes) {
  std::mt19937 random(seed);
  ByteBuffer out(bytes);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

constexpr std::uint32_t kNoiseMessages = 60;
ByteBuffer noise_message(std::uint32_t number) {
  return noise(number, 1000 + number * 7919 % 100'000);
}

Task<void> send_noise(Connection& to, std::uint32_t stream_id) {
  for (std::uint32_t i = 0; i < kNoiseMessages; ++i) {
    to.send({.chunk_stream = 6,
             .timestamp_ms = i * 40,
             .stream_id = stream_id,
             .type = rtmp::Type::Video},
            noise_message(i));
    co_await flush(to);
  }
}

// Reads a little at a time, as somebody with better things to do.
Task<void> hear_noise(Connection& from, std::uint32_t& right) {
  while (right < kNoiseMessages) {
    auto message = co_await from.read(from.loop().in(kPatience));
    if (!message) co_return;
    if (!is_media(message->header.type)) continue;
    const bool same =
        message->header.timestamp_ms == right * 40 &&
        ByteBuffer(message->payload.begin(), message->payload.end()) == noise_message(right);
    CHECK(same);
    ++right;
    for (int i = 0; i < 5; ++i) co_await Turn{from.loop()};
  }
}

}  // namespace

TEST_CASE("the whole connect object and all arguments arrive at the origin", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, verdict("status", "NetStream.Publish.Start"));
    RelayRig rig(loop, {origin.port()});
    Values connect = connect_arguments("live?token=7");
    connect[0].set("flashVer", "FMLE/3.0");
    connect[0].set("unheardOf", amf0::Value::strict_array({1, "two", amf0::Value::undefined()}));
    connect[0].set("objectEncoding", 0);
    connect.push_back("user");
    connect.push_back(42);
    const Values arguments{"record", 5, true};
    auto client = co_await rig.ask(Request::Kind::Publish, "cam?key=1&x=2", connect, arguments);
    auto status = co_await next_status(*client);
    CHECK(status.code() == "NetStream.Publish.Start");
    CHECK(origin.visits.size() == 1);
    const auto& visit = origin.visits[0];
    const Values& got = visit.commands[0].values;
    CHECK(got.size() == 2 + connect.size());
    const auto properties = got[2].properties();
    const auto wanted = connect[0].properties();
    CHECK(properties.size() >= wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CHECK(properties[i].name == wanted[i].name);
      CHECK(properties[i].value == wanted[i].value);
    }
    CHECK(Values(got.begin() + 3, got.end()) == Values(connect.begin() + 1, connect.end()));
    CHECK(Values(visit.asked.values.begin() + 3, visit.asked.values.end()) ==
          Values{"cam?key=1&x=2", "record", 5, true});
    CHECK(visit.asked.stream_id == 7);
    CHECK(visit.commands[0].property("weirHops") == "this-node");
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("play's arguments arrive at the origin, and its verdict at the client", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, grants());
    RelayRig rig(loop, {origin.port()});
    const Values arguments{-2000, -1, true};
    auto client = co_await rig.ask(Request::Kind::Play, "cam?t=1", connect_arguments(), arguments);
    auto status = co_await next_status(*client);
    CHECK(status.code() == "NetStream.Play.Start");
    CHECK(status.stream_id == 1);
    const Values asked = origin.visits[0].asked.values;
    CHECK(Values(asked.begin() + 3, asked.end()) == Values{"cam?t=1", -2000, -1, true});
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin's refusal reaches the client word for word", "[rtmp_relay]") {
  const std::string code =
      GENERATE("NetStream.Play.StreamNotFound", "NetStream.Publish.BadName", "NetStream.Own.Code");
  on_a_loop([code](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, [&code](Connection& client, const Words& asked) -> Task<void> {
      Words words = status(asked, "error", code);
      words.values[3].set("ownProperty", 17);
      say(client, words);
      co_await flush(client);
      co_await hear_the_end(client);
    });
    RtmpOrigin other(loop, grants());
    RelayRig rig(loop, {origin.port(), other.port()});
    auto client = co_await rig.publish("cam");
    auto heard = co_await next_status(*client);
    CHECK(heard.code() == code);
    CHECK(heard.property("description") == "so says the origin");
    CHECK(heard.values[3].find("ownProperty") != nullptr);
    CHECK(heard.stream_id == 1);
    auto ended = co_await hear_the_end(*client, 1s);
    CHECK(ended == Errc::Closed);
    CHECK(other.visits.empty());
    co_await end_all_others(loop);
  });
}

TEST_CASE("nothing is promised before the origin's verdict is known", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    Gate decide(loop);
    RtmpOrigin origin(loop, [&](Connection& client, const Words& asked) -> Task<void> {
      say(client, status(asked, "status", "NetStream.Play.Reset"));
      co_await flush(client);
      auto woken = co_await decide.wait(loop.in(kPatience));
      CHECK(woken);
      say(client, status(asked, "error", "NetStream.Play.StreamNotFound"));
      co_await flush(client);
      co_await hear_the_end(client);
    });
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    auto early = co_await client->read(loop.in(50ms));
    if (early && early->header.type == rtmp::Type::CommandAmf0)
      CHECK(words_of(*early).code() != "NetStream.Play.Start");
    while (early) early = co_await client->read(loop.in(30ms));
    CHECK(early.error().code == Errc::Timeout);
    decide.notify();
    auto heard = co_await next_status(*client);
    if (heard.code() == "NetStream.Play.Reset") heard = co_await next_status(*client);
    CHECK(heard.code() == "NetStream.Play.StreamNotFound");
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that never decides is given up at the deadline, with an answer",
          "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, [](Connection& client, const Words&) -> Task<void> {
      co_await hear_the_end(client);
    });
    RelayRig rig(loop, {origin.port()});
    rig.options.request_timeout = 100ms;
    auto client = co_await rig.play("cam");
    auto heard = co_await next_status(*client);
    CHECK(heard.property("level") == "error");
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that refuses connect is quoted to the client", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    ServerHabits habits;
    habits.answer = [](const Words& words) -> std::optional<std::vector<Words>> {
      if (words.name() != "connect") return std::nullopt;
      const Values values{"_error", 1, nullptr,
                          info("error", "NetConnection.Connect.Rejected", "no such app")};
      return std::vector<Words>{{.values = values}};
    };
    RtmpOrigin origin(loop, grants(), habits);
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    auto heard = co_await next_status(*client);
    CHECK(heard.property("level") == "error");
    CHECK_THAT(heard.property("description"), Catch::Contains("no such app"));
    co_await end_all_others(loop);
  });
}

TEST_CASE("a dead origin is passed over for a living one", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    const RefusingPort dead;
    RtmpOrigin origin(loop, grants());
    RelayRig rig(loop, {dead.port(), origin.port()});
    auto client = co_await rig.play("cam");
    auto heard = co_await next_status(*client);
    CHECK(heard.code() == "NetStream.Play.Start");
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that accepts but never shakes hands is rejected, and the next tried",
          "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    std::vector<std::unique_ptr<Socket>> kept;
    auto mute =
        listen_on(loop, [&](std::unique_ptr<Socket> socket) { kept.push_back(std::move(socket)); });
    RtmpOrigin origin(loop, grants());
    RelayRig rig(loop, {mute->port(), origin.port()});
    rig.options.dial.reply_timeout = 100ms;
    for (const std::string stream : {"cam", "another"}) {
      auto client = co_await rig.play(stream);
      auto heard = co_await next_status(*client);
      CHECK(heard.code() == "NetStream.Play.Start");
    }
    CHECK(kept.size() == 1);  // out of use for the second
    co_await end_all_others(loop);
  });
}

TEST_CASE("with no origin left the client is refused, not just dropped", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    const RefusingPort dead;
    RelayRig rig(loop, {dead.port()});
    auto client = co_await rig.publish("cam");
    auto heard = co_await next_status(*client);
    CHECK(heard.property("level") == "error");
    CHECK(heard.code() == "NetStream.Publish.Denied");
    auto ended = co_await hear_the_end(*client, 1s);
    CHECK(ended == Errc::Closed);
    co_await end_all_others(loop);
  });
}

TEST_CASE("a request that came back, or went too far, reaches no origin", "[rtmp_relay]") {
  const std::string hops = GENERATE("this-node", "a,this-node,b", "a,b");
  on_a_loop([hops](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, grants());
    RelayRig rig(loop, {origin.port()});
    rig.options.max_hops = 2;
    Values connect = connect_arguments();
    connect[0].set("weirHops", hops);
    auto client = co_await rig.ask(Request::Kind::Play, "cam", connect);
    auto heard = co_await next_status(*client);
    CHECK(heard.property("level") == "error");
    CHECK(heard.property("weirReason") == "loop");
    CHECK(origin.visits.empty());
    co_await end_all_others(loop);
  });
}

TEST_CASE("a client that goes takes its connection to the origin with it", "[rtmp_relay]") {
  const bool politely = GENERATE(true, false);
  on_a_loop([politely](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, grants());
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    auto heard = co_await next_status(*client);
    CHECK_FALSE(heard.values.empty());
    if (politely) {
      client->socket().shut_down_writes();
    } else {
      const linger abrupt{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(client->socket().fd(), SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
      client.reset();
    }
    auto gone = co_await comes_true(loop, [&] { return origin.visits[0].ended; }, 1s);
    CHECK(gone);
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that goes ends its clients", "[rtmp_relay]") {
  const bool politely = GENERATE(true, false);
  on_a_loop([politely](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, [politely](Connection& client, const Words& asked) -> Task<void> {
      say(client, status(asked, "status", "NetStream.Play.Start"));
      co_await flush(client);
      auto go = co_await hear(client, "go");
      CHECK_FALSE(go.values.empty());
      const linger abrupt{.l_onoff = 1, .l_linger = 0};
      if (!politely)
        ::setsockopt(client.socket().fd(), SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
    });
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    auto heard = co_await next_status(*client);
    CHECK_FALSE(heard.values.empty());
    say(*client, {.values = {"go", 0}});
    co_await flush(*client);
    auto ended = co_await hear_the_end(*client, 1s);
    CHECK(ended != Errc::Timeout);
    co_await end_all_others(loop);
  });
}

TEST_CASE("clients of an origin that is ejected are ended, so that they come back elsewhere",
          "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, grants());
    RtmpOrigin other(loop, grants());
    RelayRig rig(loop, {origin.port(), other.port()});
    auto client = co_await rig.play("cam");
    auto heard = co_await next_status(*client);
    CHECK_FALSE(heard.values.empty());
    rig.routing.failed("another", "o1", Errc::Timeout);
    auto ended = co_await hear_the_end(*client, 1s);
    CHECK(ended != Errc::Timeout);
    auto again = co_await rig.play("cam");
    heard = co_await next_status(*again);
    CHECK(heard.code() == "NetStream.Play.Start");
    CHECK(other.visits.size() == 1);
    again.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("a publisher's media arrives whatever chunks it is cut into", "[rtmp_relay]") {
  const auto seed = GENERATE(range(20u, 25u));
  const bool waits = GENERATE(true, false);
  on_a_loop([seed, waits](Loop& loop) -> Task<void> {
    const Peer peer =
        everything_said_by(seed, waits ? 1500 : 100);  // what the kernel holds meanwhile
    const auto wanted = media_of(peer.sent, 1, 7);
    std::vector<Got> got;
    bool sent = false;
    RtmpOrigin origin(loop, [&, waits](Connection& client, const Words& asked) -> Task<void> {
      if (!waits) co_await comes_true(loop, [&] { return sent; });
      say(client, status(asked, "status", "NetStream.Publish.Start"));
      co_await flush(client);
      co_await keep_media(client, wanted.size(), got);
      co_await hear_the_end(client);
    });
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.publish("cam");
    if (waits) co_await next_status(*client);
    say_all(*client, peer.out);
    co_await flush(*client);
    sent = true;
    co_await comes_true(loop, [&] {
      return got.size() == wanted.size() || (!origin.visits.empty() && origin.visits[0].ended);
    });
    CHECK(got.size() == wanted.size());
    CHECK(got == wanted);
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin's media arrives, with and after the verdict, whatever its chunks",
          "[rtmp_relay]") {
  const auto seed = GENERATE(range(40u, 45u));
  const std::uint32_t chunk_size = GENERATE(128u, 4096u, 100'000u);
  on_a_loop([seed, chunk_size](Loop& loop) -> Task<void> {
    const Peer peer = everything_said_by(seed, 1500);
    const auto wanted = media_of(peer.sent, 7, 1);
    RtmpOrigin origin(loop,
                      [&](Connection& client, const Words& asked) -> Task<void> {
                        // Some of it goes with the verdict, cut anywhere; the rest when bytes already flow both ways.
                        say(client, status(asked, "status", "NetStream.Play.Start"));
                        const auto with_verdict = peer.out.size() * (seed % 5) / 5 + 1;
                        say_all(client, ByteView(peer.out).first(with_verdict));
                        co_await flush(client);
                        co_await Turn{client.loop()};
                        append(client.out(), ByteView(peer.out).subspan(with_verdict));
                        co_await flush(client);
                        co_await hear_the_end(client);
                      },
                      {.stream_id = 7, .chunk_size = chunk_size, .answer = {}});
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.play("cam");
    std::vector<Got> got;
    co_await keep_media(*client, wanted.size(), got);
    CHECK(got.size() == wanted.size());
    CHECK(got == wanted);
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("each side hears the other's chunk size before media, and none of ours", "[rtmp_relay]") {
  const std::uint32_t client_size = GENERATE(128u, 4096u);
  on_a_loop([client_size](Loop& loop) -> Task<void> {
    std::vector<std::uint32_t> announced;
    RtmpOrigin origin(loop, grants(),
                      {.chunk_size = 5000, .chunk_sizes = &announced, .answer = {}});
    RelayRig rig(loop, {origin.port()});
    auto client = co_await rig.ask(rtmp::Request::Kind::Publish, "cam", connect_arguments(),
                                   Values(), client_size);
    CHECK(client->reader().chunk_size() == rtmp::kInitialChunkSize);
    co_await next_status(*client);
    CHECK(client->reader().chunk_size() == 5000);
    std::vector<std::uint32_t> wanted;
    if (client_size != rtmp::kInitialChunkSize) wanted.push_back(client_size);
    CHECK(announced == wanted);
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("megabytes to a slow origin arrive byte for byte", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    std::uint32_t right = 0;
    RtmpOrigin origin(loop, [&](Connection& client, const Words& asked) -> Task<void> {
      say(client, status(asked, "status", "NetStream.Publish.Start"));
      co_await flush(client);
      co_await hear_noise(client, right);
      co_await hear_the_end(client);
    });
    origin.small_buffers = true;
    RelayRig rig(loop, {origin.port()});
    rig.small_buffers = true;
    auto client = co_await rig.publish("cam");
    co_await next_status(*client);
    co_await send_noise(*client, 1);
    co_await comes_true(loop, [&] { return right == kNoiseMessages || origin.visits[0].ended; });
    CHECK(right == kNoiseMessages);
    CHECK(rig.metrics.to_upstreams.value() > 2'000'000);
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("megabytes to a slow viewer arrive byte for byte", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtmpOrigin origin(loop, [](Connection& client, const Words& asked) -> Task<void> {
      say(client, status(asked, "status", "NetStream.Play.Start"));
      client.set_chunk_size(4096);
      co_await send_noise(client, 7);
      co_await hear_the_end(client);
    });
    origin.small_buffers = true;
    RelayRig rig(loop, {origin.port()});
    rig.small_buffers = true;
    auto client = co_await rig.play("cam");
    std::uint32_t right = 0;
    co_await hear_noise(*client, right);
    CHECK(right == kNoiseMessages);
    CHECK(rig.metrics.to_clients.value() > 2'000'000);
    client.reset();
    co_await end_all_others(loop);
  });
}

TEST_CASE("a client that does not ask in time is let go, and its ticket with it", "[rtmp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RelayRig rig(loop, {});
    rig.options.handshake_timeout = 50ms;
    rig.options.request_timeout = 50ms;
    rig.admission = std::make_shared<int>(0);
    auto silent = co_await rig.connect();
    auto ended = co_await hear_the_end(*silent, 2s);
    CHECK(ended == Errc::Closed);
    auto shaken = co_await rig.connect();
    auto greeted = co_await shaken->greet(loop.in(kPatience));
    CHECK(greeted);
    ended = co_await hear_the_end(*shaken, 2s);
    CHECK(ended == Errc::Closed);
    co_await end_all_others(loop);
    CHECK(rig.admission.use_count() == 1);
  });
}
