#include "proxy/webrtc_port.h"

#include <catch2/catch.hpp>

#include "common/sessions.h"
#include "test/support/datagrams.h"
#include "test/support/loop_fixture.h"
#include "test/support/loopback.h"
#include "test/support/memory_webrtc_store.h"
#include "test/support/stun_messages.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kPassword = "password-of-22-letters";
const std::string kClientPassword = "the-client's-22-letters";
const std::string kMedia = "\x80media";
const std::string kMore = "\x80more media";

std::string check_named(const std::string& username, const std::string& password = kPassword) {
  return std::string(as_text(stun_message({.username = username, .password = password})));
}

// One proxy of several that share a store.
struct Proxy {
  Proxy(Loop& loop, WebrtcStore* store)
      : metrics("1.0.0"),
        routing(loop, Router{}, metrics),
        directory(100, store, metrics),
        buffers(loop),
        port({loop, buffers, routing, directory, admission, metrics}, open(address)) {}

  static int open(Address& address) {
    const int fd = *UdpSocket::open(*Address::parse("127.0.0.1", 0));
    address = Address::of_socket(fd);
    return fd;
  }
  // The sum of a counter's series with that label.
  std::string metric(const std::string& series) const {
    const std::string text = metrics.text();
    const auto at = text.find("\n" + series + " ");  // at the start of a line: no HELP
    REQUIRE(at != std::string::npos);
    const auto begin = at + series.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
  }
  std::string dropped(const std::string& reason) const {
    return metric("weir_webrtc_dropped_total{reason=\"" + reason + "\"}");
  }

  Address address;
  Metrics metrics;
  Routing routing;
  Admission admission{100, 0};
  WebrtcDirectory directory;
  UdpBuffers buffers;
  WebrtcPort port;
};

// It outlives the run: messages to its routing are under way until then.
struct Rig {
  explicit Rig(Loop& on) : loop(on), buffers(on), origin(on), proxy(on, &store), other(on, &store) {
    origin_socket = open_at(buffers, "127.0.0.1", origin);
    origin.echo = origin_socket.get();
  }

  Task<void> announce(std::string id, std::vector<Address> media = {}) {
    if (media.empty()) media.push_back(origin_socket->local());
    WebrtcSession session{.id = id,
                          .stream = "__defaultVhost__/live/" + id,
                          .upstream = "o1",
                          .checks = {{id + "or:cl", kPassword, kClientPassword},
                                     {id + "or:c2", kPassword, kClientPassword}},
                          .media = std::move(media)};
    auto announced = co_await proxy.directory.announce(loop, std::move(session));
    REQUIRE(announced);
  }

  Loop& loop;
  UdpBuffers buffers;
  MemoryWebrtcStore store;
  Collector origin;
  std::unique_ptr<UdpSocket> origin_socket;
  Proxy proxy;
  Proxy other;
};

// Sends and waits for the echo: what is behind it in the queues has been handled too.
Task<void> pass(Loop& loop, UdpSocket& socket, Collector& client, std::string packet) {
  const std::size_t before = client.packets.size();
  socket.send(as_bytes(packet));
  co_await wait_for(loop, client, before + 1);
  CHECK(client.packets.back() == packet);
}

}  // namespace

TEST_CASE("a signed check opens the way for media, both ways", "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    socket->send(as_bytes(kMedia));  // too early: dropped
    co_await pass(on, *socket, client, check_named("aor:cl"));
    co_await pass(on, *socket, client, kMedia);
    CHECK(rig.origin.packets == std::vector<std::string>{check_named("aor:cl"), kMedia});
    CHECK(rig.proxy.dropped("unbound") == "1");
    CHECK(rig.proxy.admission.connections() == 1);
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("what is not signed with the session's password is never relayed or answered",
          "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    Collector client(on);
    Collector stranger(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    auto strange = connect_to(rig.buffers, rig.proxy.address, stranger);
    strange->send(as_bytes(check_named("aor:cl", "another password of 22")));
    strange->send(as_bytes(check_named("nobody:knows")));
    strange->send(as_bytes(std::string(1200, '\x80')));
    strange->send(as_bytes(std::string("\x16\xfe\xfd client hello")));
    strange->send(as_bytes(std::string("\0\1\0\1\x21\x12\xa4\x42............x", 21)));
    co_await pass(on, *socket, client, check_named("aor:cl"));
    CHECK(stranger.packets.empty());
    CHECK(rig.origin.packets.size() == 1);
    CHECK(rig.proxy.dropped("unsigned") == "1");
    CHECK(rig.proxy.dropped("malformed") == "1");
    // From an address that is bound, too.
    socket->send(as_bytes(check_named("aor:cl", "another password of 22")));
    co_await pass(on, *socket, client, kMedia);
    CHECK(rig.proxy.dropped("unsigned") == "2");
    CHECK(rig.origin.packets.size() == 2);
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("a client that changes its address goes on, and its ports may serve another",
          "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    co_await rig.announce("b");
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    co_await pass(on, *socket, client, check_named("aor:cl"));
    auto moved = connect_to(rig.buffers, rig.proxy.address, client);
    co_await pass(on, *moved, client, check_named("aor:c2"));
    co_await pass(on, *moved, client, kMedia);
    CHECK(rig.proxy.admission.connections() == 2);
    // A NAT gives the old port to the client of another session.
    co_await pass(on, *socket, client, check_named("bor:cl"));
    CHECK(rig.proxy.admission.connections() == 2);
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("a client is listed once, whatever addresses it has, until it is ended", "[webrtc]") {
  Loop loop;
  Sessions sessions(loop);
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    co_await pass(on, *socket, client, check_named("aor:cl"));
    auto moved = connect_to(rig.buffers, rig.proxy.address, client);
    co_await pass(on, *moved, client, check_named("aor:c2"));
    co_await pass(on, *moved, client, kMedia);
    Sessions& listed = *Sessions::current();
    REQUIRE(listed.size() == 1);
    const SessionState state = listed.list(0, 1).front();
    CHECK(state.facts.protocol == "webrtc");
    CHECK(state.facts.stream == "__defaultVhost__/live/a");
    CHECK(state.facts.upstream == "o1");
    const std::size_t all_bytes =
        check_named("aor:cl").size() + check_named("aor:c2").size() + std::string(kMedia).size();
    CHECK(state.traffic.received == all_bytes);
    CHECK(state.traffic.sent == all_bytes);  // it was echoed

    CHECK(listed.end(state.id, {Errc::Cancelled, "kicked"}));
    CHECK(listed.size() == 0);
    CHECK(rig.proxy.directory.find("aor:cl") == nullptr);
    const bool gone =
        co_await comes_true(on, [&] { return rig.proxy.admission.connections() == 0; });
    CHECK(gone);
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("another proxy goes on with a session that it never saw", "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    for (int i = 0; i < 100; ++i) co_await rig.announce("s" + std::to_string(i));
    std::vector<std::unique_ptr<Collector>> clients;
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(std::make_unique<Collector>(on));
      sockets.push_back(connect_to(rig.buffers, rig.other.address, *clients.back()));
      sockets.back()->send(as_bytes(check_named("s" + std::to_string(i) + "or:cl")));
    }
    for (auto& client : clients) co_await wait_for(on, *client, 1);
    for (std::size_t i = 0; i < 100; ++i) co_await pass(on, *sockets[i], *clients[i], kMedia);
    CHECK(rig.other.metric("weir_webrtc_takeovers_total") == "100");
    CHECK(rig.store.asked == 100);
    CHECK(rig.other.directory.size() == 100);
  };
  test::run(loop, body(loop, all));
}

namespace {

// The client's answer to a check that it got.
std::string answer_to(const std::string& check, const std::string& password) {
  auto answer = stun_message(
      {.type = stun::kBindingSuccess, .username = "", .integrity = false, .fingerprint = false});
  std::ranges::copy(stun::transaction_of(as_bytes(check)), answer.begin() + 8);
  const auto signature = stun::integrity(answer, password);
  add_attribute(answer, 0x0008, signature);
  return std::string(as_text(answer));
}

const std::string kMuch(200, '\x80');  // media; more bytes than a check has

}  // namespace

TEST_CASE(
    "media of another proxy's client makes it prove itself, and goes on before its next check",
    "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    co_await pass(on, *socket, client, check_named("aor:cl"));
    const std::string at = socket->local().text();
    const bool told =
        co_await comes_true(on, [&] { return rig.store.values.contains("webrtc-address:" + at); });
    REQUIRE(told);
    const Address mine = socket->local();
    socket.reset();
    // The same address, which leads to the other proxy now.
    client.packets.clear();
    const int fd = *UdpSocket::open(mine);
    auto moved = std::make_unique<UdpSocket>(rig.buffers, fd, client);
    const UdpPeer other{rig.other.address, {}};
    moved->send(other, as_bytes(kMuch));
    co_await wait_for(on, client, 1);
    const std::string challenge = client.packets[0];
    const auto message = stun::parse(as_bytes(challenge));
    REQUIRE(message);
    CHECK(message->is_request());
    CHECK(message->username == "cl:aor");
    CHECK(stun::verifies(as_bytes(challenge), *message, kClientPassword));
    CHECK_FALSE(message->use_candidate);
    CHECK(challenge.size() <= kMuch.size());
    CHECK(rig.origin.packets.size() == 1);

    // Whoever cannot sign is not believed.
    moved->send(other, as_bytes(answer_to(challenge, "some other password 22")));
    const std::string good = answer_to(challenge, kClientPassword);
    moved->send(other, as_bytes(good));
    co_await wait_for(on, rig.origin, 2);
    const auto introduction = stun::parse(as_bytes(rig.origin.packets[1]));
    REQUIRE(introduction);
    CHECK(introduction->username == "aor:cl");
    CHECK(introduction->use_candidate);
    CHECK(stun::verifies(as_bytes(rig.origin.packets[1]), *introduction, kPassword));
    moved->send(other, as_bytes(kMuch));
    while (client.packets.back() != kMuch) co_await wait_for(on, client, client.packets.size() + 1);
    CHECK(rig.other.metric("weir_webrtc_takeovers_total") == "1");
    CHECK(rig.other.dropped("unbound") == "2");
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("an address that no proxy knows is sent nothing, and a known one no more than it sent",
          "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    Collector client(on);
    Collector stranger(on);
    auto socket = connect_to(rig.buffers, rig.other.address, client);
    auto strange = connect_to(rig.buffers, rig.other.address, stranger);
    rig.store.values["webrtc-address:" + socket->local().text()] = "aor:cl";
    std::size_t sent = 0;
    while (client.packets.empty()) {
      strange->send(as_bytes(kMuch));
      socket->send(as_bytes(kMedia));  // less than a check has
      sent += kMedia.size();
      auto slept = co_await weir::sleep(on, 1ms);
      REQUIRE(slept);
    }
    CHECK(sent >= client.packets[0].size());
    CHECK(stranger.packets.empty());
    CHECK(rig.origin.packets.empty());
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("an origin that answers no check is told of once", "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    Collector silent(on);
    auto nobody = open_at(rig.buffers, "127.0.0.1", silent);
    std::vector<Address> media{nobody->local()};
    co_await rig.announce("a", std::move(media));
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    const auto begun = on.now();
    while (on.now() - begun < 5500ms) {
      socket->send(as_bytes(check_named("aor:cl")));
      auto slept = co_await weir::sleep(on, 100ms);
      REQUIRE(slept);
    }
    CHECK(rig.proxy.metric("weir_upstream_failures_total{reason=\"timeout\"}") == "1");
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("the next address of the origin is tried when one is silent", "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    Collector silent(on);
    auto nobody = open_at(rig.buffers, "127.0.0.1", silent);
    std::vector<Address> media{nobody->local(), rig.origin_socket->local()};
    co_await rig.announce("a", std::move(media));
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    while (client.packets.empty()) {
      const std::size_t before = silent.packets.size();
      socket->send(as_bytes(check_named("aor:cl")));
      while (silent.packets.size() == before && client.packets.empty()) {
        auto slept = co_await weir::sleep(on, 1ms);
        REQUIRE(slept);
      }
    }
    CHECK(silent.packets.size() == 4);
    co_await pass(on, *socket, client, kMore);
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("a goodbye ends the paths of a session", "[webrtc]") {
  Loop loop;
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig) -> Task<void> {
    co_await rig.announce("a");
    Collector client(on);
    auto socket = connect_to(rig.buffers, rig.proxy.address, client);
    co_await pass(on, *socket, client, check_named("aor:cl"));
    co_await rig.proxy.directory.end("a");
    const bool left =
        co_await comes_true(on, [&] { return rig.proxy.admission.connections() == 0; });
    REQUIRE(left);
    CHECK(rig.proxy.directory.find("aor:cl") == nullptr);
    CHECK(rig.store.values.empty());
  };
  test::run(loop, body(loop, all));
}

TEST_CASE("over TCP, packets come with their length, whatever pieces they come in", "[webrtc]") {
  Loop loop;
  auto framed = [](const std::string& packet) {
    std::string frame(2, '\0');
    store_be16(reinterpret_cast<std::uint8_t*>(frame.data()),
               static_cast<std::uint32_t>(packet.size()));
    return frame + packet;
  };
  Rig all(loop);
  auto body = [](Loop& on, Rig& rig, std::string check, std::string media) -> Task<void> {
    co_await rig.announce("a");
    auto ends = socket_pair(on);
    on.spawn(rig.proxy.port.serve(std::move(ends[0]), nullptr));
    const std::string whole = check + media + media;
    std::string got;
    for (const char byte : whole) {
      const std::uint8_t one = static_cast<std::uint8_t>(byte);
      const ByteView piece(&one, 1);
      auto sent = co_await ends[1]->write(piece, on.in(5s));
      REQUIRE(sent);
    }
    while (got.size() < whole.size()) {
      auto read = co_await ends[1]->read(on.scratch(), on.in(5s));
      REQUIRE(read);
      got += as_text(on.scratch().first(*read));
    }
    CHECK(got == whole);
    ends[1]->close();
    const bool alone = co_await comes_true(on, [&] { return on.spawned() <= 1; });
    REQUIRE(alone);
  };
  test::run(loop, body(loop, all, framed(check_named("aor:cl")), framed(kMedia)));
}
