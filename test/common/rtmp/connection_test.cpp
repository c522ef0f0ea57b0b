#include "common/rtmp/connection.h"

#include <catch2/catch.hpp>

#include "common/io/child.h"
#include "test/support/rtmp_peers.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

Task<void> accept(Connection& at) {
  auto accepted = co_await at.accept(at.loop().in(kPatience));
  CHECK(accepted);
}

// Two connections that have shaken hands.
struct Ends {
  explicit Ends(Loop& on) : Ends(on, socket_pair(on)) {}
  Task<void> shake_hands() {
    Child accepting(loop);
    accepting.start(accept(server));
    auto greeted = co_await client.greet(loop.in(kPatience));
    CHECK(greeted);
    co_await accepting.join();
  }

  Loop& loop;
  Connection client;
  Connection server;

 private:
  Ends(Loop& on, std::array<std::unique_ptr<Socket>, 2> pair)
      : loop(on), client(std::move(pair[0]), kMedia), server(std::move(pair[1]), kMedia) {}
  static constexpr rtmp::ReaderLimits kMedia{.message = rtmp::kMediaMessageLimit};
};

Task<void> send_now(Connection& from) {
  auto sent = co_await from.flush(from.loop().in(kPatience));
  CHECK(sent);
}

Task<Kept> next(Connection& from) {
  auto message = co_await from.read(from.loop().in(kPatience));
  CHECK(message);
  if (!message) co_return Kept{};
  co_return Kept{message->header, {message->payload.begin(), message->payload.end()}};
}

void send_audio(Connection& from, std::size_t bytes) {
  from.send({.chunk_stream = 4, .stream_id = 1, .type = rtmp::Type::Audio},
            ByteBuffer(bytes, 0x5a));
}

}  // namespace

TEST_CASE("both sides shake hands, and nothing is left over", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    CHECK(ends.client.unread().empty());
    CHECK(ends.server.unread().empty());
  };
  run(loop, body(loop));
}

TEST_CASE("a peer that is no RTMP is refused, one that is silent given up", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = socket_pair(on);
    Connection server(std::move(ends[0]));
    const std::string http = "GET / HTTP/1.1\r\n\r\n";
    auto sent = co_await ends[1]->write(as_bytes(http), on.in(kPatience));
    CHECK(sent);
    auto accepted = co_await server.accept(on.in(kPatience));
    CHECK(accepted.error().code == Errc::Protocol);
    auto others = socket_pair(on);
    Connection waiting(std::move(others[0]));
    auto none = co_await waiting.accept(on.in(20ms));
    CHECK(none.error().code == Errc::Timeout);
  };
  run(loop, body(loop));
}

TEST_CASE("messages arrive whole whatever the chunk size", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    for (const std::uint32_t size : {4096u, 60000u, 128u, 129u}) {
      ends.client.set_chunk_size(size);
      send_audio(ends.client, 50'000);
      Child sending(on);
      sending.start(send_now(ends.client));
      auto announced = co_await next(ends.server);
      CHECK(announced.header.type == rtmp::Type::SetChunkSize);
      auto audio = co_await next(ends.server);
      CHECK(audio.payload == ByteBuffer(50'000, 0x5a));
      CHECK(ends.server.reader().chunk_size() == size);
      co_await sending.join();
    }
  };
  run(loop, body(loop));
}

TEST_CASE("a ping is answered with its own timestamp, and still returned", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    ends.client.user_control(rtmp::Event::PingRequest, 0xdeadbeef);
    send_audio(ends.client, 10);
    co_await send_now(ends.client);
    auto ping = co_await next(ends.server);
    CHECK(ping.header.type == rtmp::Type::UserControl);
    auto audio = co_await next(ends.server);
    CHECK(audio.header.type == rtmp::Type::Audio);
    co_await send_now(ends.server);
    auto pong = co_await next(ends.client);
    REQUIRE(pong.payload.size() == 6);
    CHECK(load_be16(pong.payload.data()) == static_cast<std::uint32_t>(rtmp::Event::PingResponse));
    CHECK(load_be32(pong.payload.data() + 2) == 0xdeadbeef);
  };
  run(loop, body(loop));
}

TEST_CASE("a reader answers what is due before it waits for more", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    ends.client.user_control(rtmp::Event::PingRequest, 7);
    co_await send_now(ends.client);
    auto read_on = [](Connection& at) -> Task<void> {
      static_cast<void>(co_await hear_the_end(at));
    };
    Child reading(on);
    reading.start(read_on(ends.server));
    auto pong = co_await next(ends.client);
    CHECK(pong.header.type == rtmp::Type::UserControl);
    ends.server.socket().close();
    co_await reading.join();
  };
  run(loop, body(loop));
}

TEST_CASE("what is received is acknowledged within the window that the peer asked for",
          "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    constexpr std::uint32_t kWindow = 10'000;
    Ends ends(on);
    co_await ends.shake_hands();
    auto read_on = [](Connection& at) -> Task<void> {
      static_cast<void>(co_await hear_the_end(at));
    };
    Child reading(on);
    reading.start(read_on(ends.server));
    rtmp::append_window_ack_size(ends.client.out(), kWindow);
    std::uint32_t acknowledged = 0;
    for (int window = 0; window < 5; ++window) {
      send_audio(ends.client, kWindow);
      co_await send_now(ends.client);
      auto answer = co_await next(ends.client);
      REQUIRE(answer.header.type == rtmp::Type::Acknowledgement);
      const auto bytes = load_be32(answer.payload.data());
      CHECK(bytes > acknowledged);
      acknowledged = bytes;
    }
    ends.client.socket().close();
    co_await reading.join();
    CHECK(acknowledged <= ends.server.received());
    CHECK(ends.server.received() - acknowledged < 2 * kWindow);
  };
  run(loop, body(loop));
}

TEST_CASE("a peer that asked for no acknowledgements gets none", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    for (int i = 0; i < 20; ++i) {
      send_audio(ends.client, 50'000);
      Child sending(on);
      sending.start(send_now(ends.client));
      co_await next(ends.server);
      co_await sending.join();
    }
    CHECK(ends.server.out().empty());
  };
  run(loop, body(loop));
}

TEST_CASE("beside a writer nothing is sent: the answers stay for that one's flush",
          "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    rtmp::append_window_ack_size(ends.client.out(), 1000);
    ends.client.user_control(rtmp::Event::PingRequest, 7);
    send_audio(ends.client, 2000);
    co_await send_now(ends.client);
    for (int i = 0; i < 3; ++i) {
      auto message = co_await ends.server.read_beside_writer(on.in(kPatience));
      CHECK(message);
    }
    auto none = co_await ends.server.read_beside_writer(on.in(20ms));
    CHECK(none.error().code == Errc::Timeout);
    CHECK_FALSE(ends.server.out().empty());
    auto silence = co_await ends.client.read(on.in(20ms));
    CHECK(silence.error().code == Errc::Timeout);
    co_await send_now(ends.server);
    CHECK(ends.server.out().empty());
    auto pong = co_await next(ends.client);
    CHECK(pong.header.type == rtmp::Type::UserControl);
    auto acknowledged = co_await next(ends.client);
    CHECK(acknowledged.header.type == rtmp::Type::Acknowledgement);
  };
  run(loop, body(loop));
}

TEST_CASE("what is collected while a flush waits goes with the next", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    keep_buffers_small(ends.client.socket(), 1024);
    send_audio(ends.client, 100'000);
    Child sending(on);
    sending.start(send_now(ends.client));
    CHECK(sending.running());
    send_audio(ends.client, 3);
    auto large = co_await next(ends.server);
    CHECK(large.payload.size() == 100'000);
    co_await sending.join();
    co_await send_now(ends.client);
    auto small = co_await next(ends.server);
    CHECK(small.payload.size() == 3);
  };
  run(loop, body(loop));
}

TEST_CASE("a socket that is taken leaves what was not read", "[rtmp][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Ends ends(on);
    co_await ends.shake_hands();
    send_audio(ends.client, 3);
    send_audio(ends.client, 5);
    const ByteBuffer sent = ends.client.out();
    co_await send_now(ends.client);
    co_await next(ends.server);
    const ByteBuffer rest(ends.server.unread().begin(), ends.server.unread().end());
    CHECK(rest == ByteBuffer(sent.end() - static_cast<std::ptrdiff_t>(rest.size()), sent.end()));
    CHECK(rest.size() == 12 + 5);
    auto socket = ends.server.take_socket();
    CHECK(socket->is_open());
  };
  run(loop, body(loop));
}
