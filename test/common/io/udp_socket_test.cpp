#include "common/io/udp_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>
#include <catch2/catch.hpp>

#include "common/io/gate.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

class Collector final : public UdpHandler {
 public:
  explicit Collector(Loop& loop) : news(loop) {}
  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override {
    peer = from;
    packets.emplace_back(as_text(packet));
    if (echo != nullptr) echo->send(from, packet);
    if (doomed) doomed->reset();
    news.notify();
  }
  void refused() override {
    ++refusals;
    news.notify();
  }

  Gate news;
  UdpPeer peer;
  std::vector<std::string> packets;
  UdpSocket* echo = nullptr;
  std::unique_ptr<UdpSocket>* doomed = nullptr;
  int refusals = 0;
};

std::unique_ptr<UdpSocket> open_at(UdpBuffers& buffers, const char* host, Collector& handler) {
  auto fd = UdpSocket::open(*Address::parse(host, 0));
  REQUIRE(fd);
  return std::make_unique<UdpSocket>(buffers, *fd, handler);
}

std::unique_ptr<UdpSocket> connect_to(UdpBuffers& buffers, Address to, Collector& handler) {
  auto fd = UdpSocket::connect(to);
  REQUIRE(fd);
  return std::make_unique<UdpSocket>(buffers, *fd, handler);
}

Task<void> wait_for(Loop& loop, Collector& collector, std::size_t count) {
  while (collector.packets.size() < count) {
    auto news = co_await collector.news.wait(loop.in(5s));
    REQUIRE(news);
  }
}

Task<void> wait_for_refusal(Loop& loop, Collector& collector) {
  while (collector.refusals == 0) {
    auto news = co_await collector.news.wait(loop.in(5s));
    REQUIRE(news);
  }
}

}  // namespace

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

TEST_CASE("a connected socket hears that nobody listens there, and can go elsewhere", "[udp]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    auto gone = open_at(buffers, "127.0.0.1", server);
    const Address nobody = gone->local();
    gone.reset();
    auto session = connect_to(buffers, nobody, client);
    session->send(as_bytes("anybody?"));
    co_await wait_for_refusal(on, client);
    REQUIRE(session->reconnect(port->local()));
    session->send(as_bytes("you then"));
    co_await wait_for(on, server, 1);
    CHECK(server.packets.front() == "you then");
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
