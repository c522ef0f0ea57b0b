#include "common/io/udp_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>
#include <catch2/catch.hpp>

#include "test/support/datagrams.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

TEST_CASE("datagrams of all sizes arrive whole, in order, and come back", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    server.echo = port.get();
    auto session = connect_to(buffers, port->local(), client);
    // Runs of equal sizes, a shorter one that ends a run, a longer one that begins another.
    std::vector<std::string> sent;
    for (const std::size_t size : {1200, 1200, 1200, 700, 1200, 1300, 1300, 1, 1, 40'000, 1200})
      sent.emplace_back(size, static_cast<char>('a' + sent.size()));
    for (const auto& packet : sent) session->send(as_bytes(packet));
    co_await wait_for(on, client, sent.size());
    CHECK(server.packets == sent);
    CHECK(client.packets == sent);
    CHECK(same_address(server.peer.address, session->local()));
    CHECK(session->dropped() == 0);
  };
  test::run(loop, body(loop));
}

TEST_CASE("packets to many peers by turns arrive whole, each peer's in order", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    // More peers than the socket remembers runs of, so that some fall on the same place.
    constexpr std::size_t kPeers = 300;
    constexpr std::size_t kRounds = 6;
    std::vector<std::unique_ptr<Collector>> clients;
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    for (std::size_t i = 0; i < kPeers; ++i) {
      clients.push_back(std::make_unique<Collector>(on));
      // Among sockets that share ports the kernel would now and then give two the same.
      auto fd = UdpSocket::open(*Address::parse("127.0.0.1", 0), UdpSocket::Sharing::Alone);
      REQUIRE(fd);
      sockets.push_back(std::make_unique<UdpSocket>(buffers, *fd, *clients.back()));
    }
    std::vector<std::string> sent;
    for (std::size_t round = 0; round < kRounds; ++round)  // the fourth ends each run
      sent.emplace_back(round == 3 ? 700 : 1200, static_cast<char>('a' + round));
    for (const auto& packet : sent)
      for (const auto& socket : sockets)
        port->send({.address = socket->local(), .local = {}}, as_bytes(packet));
    for (const auto& client : clients) {
      co_await wait_for(on, *client, kRounds);
      CHECK(client->packets == sent);
    }
  };
  test::run(loop, body(loop));
}

TEST_CASE("a socket that takes another's place in memory sends its own packets", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector other(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    auto sender = std::make_optional<UdpSocket>(
        buffers, *UdpSocket::open(*Address::parse("127.0.0.1", 0)), other);
    const UdpPeer to{.address = port->local(), .local = {}};
    sender->send(to, as_bytes("lost"));
    sender.emplace(buffers, *UdpSocket::open(*Address::parse("127.0.0.1", 0)), other);
    sender->send(to, as_bytes("kept"));
    co_await wait_for(on, server, 1);
    CHECK(server.packets.front() == "kept");
  };
  test::run(loop, body(loop));
}

TEST_CASE("many more packets than there are slots pass in one turn", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    server.echo = port.get();
    auto session = connect_to(buffers, port->local(), client);
    constexpr std::size_t kMany = 3000;
    for (std::size_t i = 0; i < kMany; ++i) session->send(as_bytes(std::to_string(10'000 + i)));
    co_await wait_for(on, client, kMany);
    for (std::size_t i = 0; i < kMany; ++i)
      REQUIRE(client.packets[i] == std::to_string(10'000 + i));
  };
  test::run(loop, body(loop));
}

TEST_CASE("a wildcard socket answers IPv4 and IPv6 from the address that was asked", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    auto port = open_at(buffers, "", server);
    server.echo = port.get();
    for (const char* host : {"127.0.0.1", "127.0.0.9", "::1"}) {
      Collector client(on);
      auto to = Address::parse(host, port->local().port());
      auto session = connect_to(buffers, *to, client);
      session->send(as_bytes("hello"));
      co_await wait_for(on, client, 1);  // a connected socket hears from that address alone
      CHECK(client.packets.front() == "hello");
    }
  };
  test::run(loop, body(loop));
}

TEST_CASE("a connected socket hears that nobody listens there", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto gone = open_at(buffers, "127.0.0.1", server);
    const Address nobody = gone->local();
    gone.reset();
    auto session = connect_to(buffers, nobody, client);
    session->send(as_bytes("anybody?"));
    co_await wait_for_refusal(on, client);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a socket may be destroyed by its own packet", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    server.doomed = &port;
    server.echo = port.get();
    auto session = connect_to(buffers, port->local(), client);
    for (int i = 0; i < 5; ++i) session->send(as_bytes("end"));
    co_await wait_for(on, server, 1);
    CHECK(server.packets.size() == 1);
    CHECK(port == nullptr);
  };
  test::run(loop, body(loop));
}

TEST_CASE("what the kernel does not take waits in order, up to a bound, and is counted past it",
          "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector handler(on);
    // A pair whose kernel queue is short; longer and longer packets, for these have no runs.
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
    UdpSocket sender(buffers, fds[0], handler);
    std::size_t size = 3000;
    std::size_t sent = 0;
    while (sender.dropped() == 0) {
      sender.send(ByteBuffer(size++, 1));
      buffers.flush();
      ++sent;
    }
    CHECK(sent * 3000 > UdpSocket::kMaxBacklog);
    UdpSocket receiver(buffers, fds[1], handler);
    co_await wait_for(on, handler, sent - 1);
    CHECK(handler.packets.front().size() == 3000);
    CHECK(handler.packets.back().size() == size - 2);
    CHECK(sender.dropped() == 1);
  };
  test::run(loop, body(loop));
}

TEST_CASE("loops share a port, a second owner of it is refused", "[udp]") {
  auto first = UdpSocket::open(*Address::parse("127.0.0.1", 0));
  REQUIRE(first);
  const Address at = Address::of_socket(*first);
  auto second = UdpSocket::open(at);
  CHECK(second);
  auto alone = UdpSocket::open(at, UdpSocket::Sharing::Alone);
  REQUIRE_FALSE(alone);
  CHECK(alone.error().text.find(at.text()) != std::string::npos);
  ::close(*first);
  ::close(*second);
}
