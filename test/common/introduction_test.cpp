#include "common/introduction.h"

#include <catch2/catch.hpp>

#include "common/listening.h"
#include "common/proxy_protocol.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace weir::test;

namespace {

ByteBuffer bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

Task<void> send(Socket& socket, ByteBuffer bytes) {
  auto sent = co_await socket.write(bytes, socket.loop().in(kPatience));
  INVARIANT(sent);
}

struct Served {
  std::string peer;
  std::string first;  // what the session read
  int sessions = 0;
};

Task<void> session(Served& served, std::unique_ptr<Socket> client, std::shared_ptr<void>) {
  ++served.sessions;
  served.peer = client->peer().text();
  std::array<std::uint8_t, 64> bytes;
  auto got = co_await client->read(bytes, client->loop().in(kPatience));
  if (got) served.first.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*got));
}

// A listener that takes introductions from 127.0.0.1.
struct Rig {
  explicit Rig(const char* from = "127.0.0.1", std::size_t per_address = 0)
      : admission(0, per_address, {.from = *CidrList::parse(from), .patience = milliseconds(500)}) {
    listener = serve_clients(loop, *Listener::open(*Address::parse("127.0.0.1", 0)), admission,
                             std::bind_front(session, std::ref(served)));
  }
  Task<std::unique_ptr<Socket>> connect() { return dial(loop, listener->port()); }

  Loop loop;
  Served served;
  Admission admission;
  std::unique_ptr<Listener> listener;
};

Task<void> in_pieces(Rig& rig, ByteBuffer bytes, std::size_t piece) {
  auto client = co_await rig.connect();
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto end = std::min(bytes.size(), at + piece);
    co_await send(*client, ByteBuffer(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(end)));
    co_await Turn{rig.loop};
  }
  const bool read = co_await comes_true(rig.loop, [&] { return !rig.served.first.empty(); });
  INVARIANT(read);
  co_await end_all_others(rig.loop);
}

Task<void> refused(Rig& rig, ByteBuffer bytes) {
  auto client = co_await rig.connect();
  co_await send(*client, std::move(bytes));
  std::array<std::uint8_t, 8> ignored;
  auto got = co_await client->read(ignored, rig.loop.in(kPatience));
  CHECK_FALSE(got);
  co_await end_all_others(rig.loop);
}

}  // namespace

TEST_CASE("a balancer's connection is served as whose it says it is", "[introduction]") {
  const auto line = bytes_of("PROXY TCP4 203.0.113.7 127.0.0.1 5555 1935\r\n");
  const auto binary = proxy_protocol::encode({"203.0.113.7", 5555}, {"127.0.0.1", 1935});
  for (const auto& header : {line, binary}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{1000}}) {
      Rig rig;
      auto all = header;
      all.push_back('x');
      run(rig.loop, in_pieces(rig, all, piece));
      CHECK(rig.served.peer == "203.0.113.7:5555");
      CHECK(rig.served.first == "x");
    }
  }
}

TEST_CASE("a balancer that speaks for itself keeps its own address", "[introduction]") {
  Rig rig;
  auto bytes = proxy_protocol::encode({}, {});
  bytes.push_back('x');
  run(rig.loop, in_pieces(rig, bytes, 1000));
  CHECK_THAT(rig.served.peer, Catch::StartsWith("127.0.0.1:"));
}

TEST_CASE("a balancer that introduces nobody is not served", "[introduction]") {
  for (const char* bytes : {"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4\r\n", "PRO", ""}) {
    Rig rig;
    run(rig.loop, refused(rig, bytes_of(bytes)));
    CHECK(rig.served.sessions == 0);
  }
}

TEST_CASE("nobody else may introduce himself", "[introduction]") {
  Rig rig("127.0.0.2");
  const auto header = bytes_of("PROXY TCP4 203.0.113.7 127.0.0.1 5555 1935\r\n");
  run(rig.loop, in_pieces(rig, header, 1000));
  CHECK_THAT(rig.served.peer, Catch::StartsWith("127.0.0.1:"));
  CHECK(rig.served.first == "PROXY TCP4 203.0.113.7 127.0.0.1 5555 1935\r\n");
}

TEST_CASE("limits of an address are those of the introduced client", "[introduction]") {
  Rig rig("127.0.0.1", 1);
  auto two = [](Rig& on) -> Task<void> {
    const auto first = bytes_of("PROXY TCP4 203.0.113.7 127.0.0.1 5555 1935\r\n");
    const auto second = bytes_of("PROXY TCP4 203.0.113.8 127.0.0.1 5555 1935\r\n");
    auto a = co_await on.connect();
    co_await send(*a, first);
    auto b = co_await on.connect();
    co_await send(*b, second);
    const bool both = co_await comes_true(on.loop, [&] { return on.served.sessions == 2; });
    CHECK(both);
    auto c = co_await on.connect();
    co_await send(*c, first);
    std::array<std::uint8_t, 8> ignored;
    auto got = co_await c->read(ignored, on.loop.in(kPatience));
    CHECK_FALSE(got);
    CHECK(on.admission.refused() == 1);
    co_await end_all_others(on.loop);
  };
  run(rig.loop, two(rig));
}
