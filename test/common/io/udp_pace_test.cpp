#include "common/io/udp_pace.h"

#include <catch2/catch.hpp>

#include "test/support/datagrams.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

TEST_CASE("packets wait for company only where many come, and never for long", "[udp_pace]") {
  CHECK(UdpPace::window_at(0) == 0us);
  CHECK(UdpPace::window_at(UdpPace::kCalm) == 0us);
  CHECK(UdpPace::window_at(UdpPace::kCalm + 1) == UdpPace::kMinWindow);
  CHECK(UdpPace::window_at(UdpPace::kCalm + UdpPace::kRamp / 2) == UdpPace::kMaxWindow / 2);
  CHECK(UdpPace::window_at(UdpPace::kCalm + UdpPace::kRamp) == UdpPace::kMaxWindow);
  CHECK(UdpPace::window_at(UdpPace::kFullBatch * 500) == UdpPace::kMaxWindow);
  CHECK(UdpPace::window_at(20'000) == 2ms);
  // From there on for as long as a full batch takes.
  CHECK(UdpPace::window_at(UdpPace::kFullBatch * 4000) == 250us);
  CHECK(UdpPace::window_at(1e9) == UdpPace::kMinWindow);
}

TEST_CASE("a busy loop looks at its sockets by the clock, and at once again when it is quiet",
          "[udp_pace]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    auto session = connect_to(buffers, port->local(), client);
    std::size_t sent = 0;
    while (buffers.window() == 0us) {
      for (int i = 0; i < 50; ++i) session->send(as_bytes(std::to_string(sent++)));
      co_await wait_for(on, server, sent);
    }
    // Many times what one turn may take.
    for (int i = 0; i < 2000; ++i) session->send(as_bytes(std::to_string(sent++)));
    co_await wait_for(on, server, sent);
    for (std::size_t i = 0; i < sent; ++i) REQUIRE(server.packets[i] == std::to_string(i));
    const bool calm = co_await comes_true(on, [&] { return buffers.window() == 0us; });
    CHECK(calm);
    session->send(as_bytes("prompt"));
    co_await wait_for(on, server, sent + 1);
  };
  test::run(loop, body(loop));
}

TEST_CASE("sockets come and go while the loop looks by the clock", "[udp_pace]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    UdpBuffers buffers(on);
    Collector server(on);
    Collector client(on);
    auto port = open_at(buffers, "127.0.0.1", server);
    server.echo = port.get();
    std::size_t sent = 0;
    for (bool more = true; more; more = buffers.window() == 0us) {
      auto session = connect_to(buffers, port->local(), client);
      for (int i = 0; i < 50; ++i, ++sent) session->send(as_bytes("packet"));
      co_await wait_for(on, client, sent);
    }
    auto late = connect_to(buffers, port->local(), client);
    late->send(as_bytes("late"));
    co_await wait_for(on, client, sent + 1);
    CHECK(client.packets.back() == "late");
  };
  test::run(loop, body(loop));
}
