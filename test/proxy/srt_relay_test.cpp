#include "proxy/srt_relay.h"

#include <catch2/catch.hpp>

#include "common/sessions.h"
#include "test/support/quiet_log.h"
#include "test/support/srt_rig.h"

using namespace weir;
using namespace weir::test;
using srt::Rejection;

namespace {

constexpr std::uint32_t kGranted = srt::handshake_type::kConclusion;

struct Scene {
  explicit Scene(Loop& loop, std::size_t per_address = 0)
      : early(loop),
        first(srt_listener(early)),
        second(srt_listener(early)),
        rig(loop, {first->socket.local().port(), second->socket.local().port()}, per_address),
        client(rig.client()) {}
  UdpBuffers early;
  std::unique_ptr<SrtEnd> first;
  std::unique_ptr<SrtEnd> second;
  SrtRig rig;
  std::unique_ptr<SrtEnd> client;
};

using Body = Task<void> (*)(Loop&, Scene&);

Task<void> play(Loop& loop, Body body, std::size_t per_address) {
  Scene scene(loop, per_address);
  co_await body(loop, scene);
  co_await end_all_others(loop);
}

void run_scene(Body body, std::size_t per_address = 0) {
  const QuietLog quiet;
  Loop loop;
  const Sessions sessions(loop);
  test::run(loop, play(loop, body, per_address));
}

Task<std::optional<Rejection>> rejection(SrtEnd& client) {
  auto answer = co_await client.hear_handshake();
  co_return answer.rejection();
}

}  // namespace

TEST_CASE("a caller gets a cookie, no more than it sent, and nothing is kept", "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    ByteBuffer asked = srt::write(SrtRig::induction());
    asked.resize(1000);
    scene.client->socket.send(asked);
    auto greeting = co_await scene.client->hear_handshake();
    CHECK(scene.client->last.size() == srt::kHandshakeSize);
    CHECK(greeting.destination == kClientId);
    CHECK(greeting.version == srt::kVersion5);
    CHECK(greeting.extension == srt::kMagic);
    CHECK(greeting.cookie != 0);
    CHECK(scene.rig.admission.connections() == 0);
  });
}

TEST_CASE("without a cookie of this address there is no answer", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    scene.client->socket.send(srt::write(SrtRig::induction()));
    auto greeting = co_await scene.client->hear_handshake();
    auto stranger = scene.rig.client();
    stranger->socket.send(SrtRig::conclusion(greeting.cookie, "live/cam"));
    scene.client->socket.send(SrtRig::conclusion(greeting.cookie + 1, "live/cam"));
    const bool counted =
        co_await comes_true(loop, [&] { return scene.rig.metrics.bad_cookies.value() == 2; });
    CHECK(counted);
    CHECK(stranger->heard.empty());
    CHECK(scene.client->heard.empty());
    CHECK(scene.rig.admission.connections() == 0);
  });
}

TEST_CASE("the origin gets the client's handshake with its own cookie, and packets pass unchanged",
          "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    ByteBuffer sent = co_await scene.rig.ask(*scene.client);
    ByteBuffer got = co_await scene.rig.greet(*scene.first);
    CHECK(srt::parse_handshake(got)->cookie == kOriginCookie);
    // What is overwritten, and nothing else.
    srt::set_cookie(sent, kOriginCookie);
    srt::set_timestamp(sent, srt::timestamp(got));
    srt::set_peer(sent, srt::parse_handshake(got)->peer);
    CHECK(got == sent);

    scene.first->answer(SrtRig::verdict(kGranted));
    auto granted = co_await scene.client->hear_handshake();
    CHECK(granted.socket_id == kOriginId);
    const std::array<std::uint8_t, 16> own{1, 0, 0, 127};
    CHECK(granted.peer == own);  // the origin's view of us stays here

    scene.client->socket.send(srt_data(kOriginId));
    auto up = co_await scene.first->hear();
    CHECK(up == srt_data(kOriginId));
    scene.first->answer(srt_data(kClientId, 500));
    auto down = co_await scene.client->hear();
    CHECK(down == srt_data(kClientId, 500));
    CHECK(scene.rig.metrics.to_upstreams.value() == 1332);
    CHECK(scene.rig.metrics.to_clients.value() == 500);
    CHECK(scene.rig.metrics.publishers.Value() == 1);
  });
}

TEST_CASE("a repeated handshake gets the same answer and opens nothing", "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    ByteBuffer sent = co_await scene.rig.ask(*scene.client);
    scene.client->socket.send(sent);
    ByteBuffer got = co_await scene.rig.greet(*scene.first);
    scene.client->socket.send(sent);
    scene.first->answer(SrtRig::verdict(kGranted));
    auto granted = co_await scene.client->hear_handshake();
    scene.client->socket.send(sent);
    auto again = co_await scene.client->hear_handshake();
    CHECK(again.socket_id == granted.socket_id);
    CHECK(scene.rig.admission.connections() == 1);
    CHECK(scene.first->heard.empty());
  });
}

TEST_CASE("what the origin rejects is rejected with its code", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    co_await scene.rig.ask(*scene.client);
    co_await scene.rig.greet(*scene.first);
    scene.first->answer(SrtRig::verdict(srt::handshake_type::kRejected + 1409));
    auto answer = co_await scene.client->hear_handshake();
    CHECK(answer.type == srt::handshake_type::kRejected + 1409);
    const bool gone =
        co_await comes_true(loop, [&] { return scene.rig.admission.connections() == 0; });
    CHECK(gone);
    CHECK(scene.second->heard.empty());
    CHECK(scene.rig.metrics.refused.value() == 0);
  });
}

TEST_CASE("an origin that is dead or silent is passed over", "[srt_relay]") {
  const QuietLog quiet;
  for (const bool dead : {true, false}) {
    Loop loop;
    auto body = [](Loop& on, bool is_dead) -> Task<void> {
      Scene scene(on);
      if (is_dead) scene.first.reset();
      co_await scene.rig.ask(*scene.client);
      co_await scene.rig.greet(*scene.second);
      scene.second->answer(SrtRig::verdict(kGranted));
      auto granted = co_await scene.client->hear_handshake();
      CHECK(granted.socket_id == kOriginId);
      co_await end_all_others(on);
    };
    test::run(loop, body(loop, dead));
  }
}

TEST_CASE("without any origin the caller is told in libsrt's words", "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    scene.first.reset();
    scene.second.reset();
    co_await scene.rig.ask(*scene.client);
    auto reason = co_await rejection(*scene.client);
    CHECK(reason == Rejection::Resource);
    CHECK(scene.client->last.size() == srt::kHandshakeSize);
  });
}

TEST_CASE("a request that names no stream is refused at once", "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    for (const auto& [streamid, reason] :
         {std::pair("", Rejection::NotFound), std::pair("#!::r=live/%zz", Rejection::BadRequest),
          std::pair("live/../cam", Rejection::BadRequest)}) {
      co_await scene.rig.ask(*scene.client, streamid);
      auto told = co_await rejection(*scene.client);
      CHECK(told == reason);
    }
    CHECK(scene.rig.metrics.refused.value() == 3);
  });
}

TEST_CASE("the end that one side says is told to the other", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    co_await scene.rig.join(*scene.client, *scene.first);
    scene.client->socket.send(srt::shutdown_packet(kOriginId));
    auto end = co_await scene.first->hear();
    CHECK(srt::control_type(end) == srt::ControlType::Shutdown);
    const bool gone =
        co_await comes_true(loop, [&] { return scene.rig.admission.connections() == 0; });
    CHECK(gone);
    scene.client->socket.send(srt_data(kOriginId));
    const bool stray =
        co_await comes_true(loop, [&] { return scene.rig.metrics.strays.value() == 1; });
    CHECK(stray);
  });
}

TEST_CASE("a session is listed, and both sides are told when it is ended from here",
          "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    co_await scene.rig.join(*scene.client, *scene.first);
    scene.first->answer(srt_data(kClientId));
    co_await scene.client->hear();
    Sessions& listed = *Sessions::current();
    REQUIRE(listed.size() == 1);
    const SessionState state = listed.list(0, 1).front();
    CHECK(state.facts.protocol == "srt");
    CHECK(state.traffic.sent == srt_data(kClientId).size());
    CHECK(listed.end(state.id, {Errc::Cancelled, "kicked"}));
    for (SrtEnd* side : {scene.client.get(), scene.first.get()}) {
      const ByteBuffer said = co_await side->hear();
      CHECK(srt::control_type(said) == srt::ControlType::Shutdown);
    }
  });
}

TEST_CASE("nobody ends a session from another address", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    co_await scene.rig.join(*scene.client, *scene.first);
    auto stranger = scene.rig.client();
    stranger->socket.send(srt::shutdown_packet(kOriginId));
    const bool stray =
        co_await comes_true(loop, [&] { return scene.rig.metrics.strays.value() == 1; });
    CHECK(stray);
    scene.client->socket.send(srt_data(kOriginId));
    auto up = co_await scene.first->hear();
    CHECK_FALSE(srt::control_type(up));
    CHECK(scene.rig.admission.connections() == 1);
  });
}

TEST_CASE("an end that is silent is given up, and both are told", "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    scene.rig.options.idle = milliseconds(50);
    co_await scene.rig.join(*scene.client, *scene.first);
    auto to_origin = co_await scene.first->hear();
    auto to_client = co_await scene.client->hear();
    CHECK(srt::control_type(to_origin) == srt::ControlType::Shutdown);
    CHECK(srt::destination(to_origin) == kOriginId);
    CHECK(srt::control_type(to_client) == srt::ControlType::Shutdown);
    CHECK(srt::destination(to_client) == kClientId);
    CHECK(scene.rig.metrics.publishers.Value() == 0);
  });
}

TEST_CASE("a client whose packets come to another loop goes on, and can end its session there",
          "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    auto fd = UdpSocket::open(*Address::parse("127.0.0.1", 0));
    REQUIRE(fd);
    const UdpPeer there{.address = Address::of_socket(*fd), .local = {}};
    auto elsewhere = scene.rig.relay_at(*fd);
    co_await scene.rig.join(*scene.client, *scene.first);
    for (std::size_t i = 0; i < 10; ++i) {
      scene.client->socket.send(there, srt_data(kOriginId, 100 + i));
      auto up = co_await scene.first->hear();
      CHECK(up.size() == 100 + i);
    }
    CHECK(scene.rig.metrics.strays.value() == 0);
    CHECK(Sessions::current()->list(0, 1).front().traffic.received == 1045);
    scene.client->socket.send(there, srt::shutdown_packet(kOriginId));
    auto end = co_await scene.first->hear();
    CHECK(srt::control_type(end) == srt::ControlType::Shutdown);
    const bool gone =
        co_await comes_true(loop, [&] { return scene.rig.admission.connections() == 0; });
    CHECK(gone);
    co_await Turn{loop};
    scene.client->socket.send(srt_data(kOriginId));
    const bool stray =
        co_await comes_true(loop, [&] { return scene.rig.metrics.strays.value() == 1; });
    CHECK(stray);
  });
}

TEST_CASE("sessions share a socket towards their origin, and each gets its own packets",
          "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    const auto joins = [](Scene& at, SrtEnd& client, std::uint32_t id) -> Task<Address> {
      co_await at.rig.ask(client, "live/cam", id);
      co_await at.rig.greet(*at.first);
      at.first->answer(SrtRig::verdict(kGranted, id));
      co_await client.hear_handshake();
      co_return at.first->peer.address;
    };
    constexpr std::uint32_t kMany = SrtTrunk::kMaxSessions;
    std::vector<std::unique_ptr<SrtEnd>> clients;
    std::optional<Address> trunk;
    for (std::uint32_t id = 1; id <= kMany; ++id) {
      clients.push_back(scene.rig.client());
      const Address from = co_await joins(scene, *clients.back(), id);
      if (!trunk) trunk = from;
      CHECK(same_address(from, *trunk));
    }
    // One too many, then an id that is there already.
    for (const std::uint32_t id : {kMany + 1, 1U}) {
      clients.push_back(scene.rig.client());
      const Address from = co_await joins(scene, *clients.back(), id);
      CHECK_FALSE(same_address(from, *trunk));
    }
    const UdpPeer to{.address = *trunk, .local = {}};
    for (std::uint32_t id = kMany; id > 0; --id)
      scene.first->socket.send(to, srt_data(id, 100 + id));
    for (std::uint32_t id = 1; id <= kMany; ++id) {
      const ByteBuffer packet = co_await clients[id - 1]->hear();
      CHECK(packet == srt_data(id, 100 + id));
    }
    CHECK(clients.back()->heard.empty());
  });
}

TEST_CASE("an id that has left a trunk is not carried there again", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    auto stays = scene.rig.client();
    co_await scene.rig.ask(*stays, "live/cam", 7);
    co_await scene.rig.greet(*scene.first);
    const Address trunk = scene.first->peer.address;
    scene.first->answer(SrtRig::verdict(kGranted, 7));
    co_await stays->hear_handshake();

    co_await scene.rig.join(*scene.client, *scene.first);
    CHECK(same_address(scene.first->peer.address, trunk));
    scene.client->socket.send(srt::shutdown_packet(kOriginId));
    co_await scene.first->hear();
    const bool gone =
        co_await comes_true(loop, [&] { return scene.rig.admission.connections() == 1; });
    CHECK(gone);
    scene.first->answer(srt_data(kClientId));  // to a session that has ended

    co_await scene.rig.join(*scene.client, *scene.first);
    CHECK_FALSE(same_address(scene.first->peer.address, trunk));
    CHECK(scene.client->heard.empty());
  });
}

TEST_CASE("a client that begins anew with the same socket replaces its session", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    ByteBuffer sent = co_await scene.rig.ask(*scene.client);
    co_await scene.rig.greet(*scene.first);
    scene.first->answer(SrtRig::verdict(kGranted));
    co_await scene.client->hear_handshake();
    store_be32(sent.data() + 24, 78);  // another initial sequence number
    scene.client->socket.send(sent);
    auto end = co_await scene.first->hear();
    CHECK(srt::control_type(end) == srt::ControlType::Shutdown);
    const bool gone =
        co_await comes_true(loop, [&] { return scene.rig.admission.connections() == 0; });
    CHECK(gone);
  });
}

TEST_CASE("callers that wait for their origin are bounded", "[srt_relay]") {
  run_scene([](Loop& loop, Scene& scene) -> Task<void> {
    scene.rig.options.max_pending = 2;
    for (const std::uint32_t id : {1U, 2U}) co_await scene.rig.ask(*scene.client, "live/cam", id);
    const bool waiting =
        co_await comes_true(loop, [&] { return scene.rig.admission.connections() == 2; });
    CHECK(waiting);
    co_await scene.rig.ask(*scene.client, "live/cam", 3);
    auto reason = co_await rejection(*scene.client);
    CHECK(reason == Rejection::Backlog);
  });
}

TEST_CASE("connections from one address are bounded", "[srt_relay]") {
  constexpr std::size_t kPerAddress = 1;
  run_scene(
      [](Loop&, Scene& scene) -> Task<void> {
        co_await scene.rig.join(*scene.client, *scene.first);
        co_await scene.rig.ask(*scene.client, "live/cam", 9);
        auto reason = co_await rejection(*scene.client);
        CHECK(reason == Rejection::Backlog);
      },
      kPerAddress);
}

TEST_CASE("callers of version 4, and all once we go away, are told so", "[srt_relay]") {
  run_scene([](Loop&, Scene& scene) -> Task<void> {
    scene.client->socket.send(srt::write(SrtRig::induction()));
    auto greeting = co_await scene.client->hear_handshake();
    ByteBuffer old = SrtRig::conclusion(greeting.cookie, "live/cam");
    store_be32(old.data() + srt::kHeaderSize, srt::kVersion4);
    scene.client->socket.send(old);
    auto too_old = co_await rejection(*scene.client);
    CHECK(too_old == Rejection::Version);
    scene.rig.relay->stop_accepting();
    co_await scene.rig.ask(*scene.client);
    auto closing = co_await rejection(*scene.client);
    CHECK(closing == Rejection::Close);
  });
}

TEST_CASE("cookies hold for their minute and the next", "[srt_relay]") {
  const SrtCookies cookies;
  const Address here = *Address::parse("127.0.0.1", 1);
  const Address there = *Address::parse("127.0.0.1", 2);
  const Clock::time_point now{std::chrono::hours(5)};
  const std::uint32_t cookie = cookies.make(here, now);
  CHECK(cookies.valid(cookie, here, now + std::chrono::seconds(119)));
  CHECK_FALSE(cookies.valid(cookie, here, now + std::chrono::seconds(120)));
  CHECK_FALSE(cookies.valid(cookie, there, now));
  CHECK_FALSE(SrtCookies().valid(cookie, here, now));
}
