#include "common/io/tls.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "common/io/tls_transport.h"
#include "test/support/tls_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

using Body = Task<void> (*)(Loop&);

void on_loop(Body body) {
  Loop loop;
  run(loop, body(loop));
}

std::string numbers(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
  text.resize(size);
  return text;
}

// Passes on what comes, a byte at a time.
Task<void> trickle(Socket& from, Socket& to) {
  std::array<std::uint8_t, 1> byte{};
  while (true) {
    auto got = co_await from.read(byte, from.loop().in(kPatience));
    if (!got) break;
    auto sent = co_await to.write(byte, to.loop().in(kPatience));
    if (!sent) break;
  }
  to.shut_down_writes();
}

Task<void> write_text(Socket& socket, std::string text) {
  auto sent = co_await socket.write(as_bytes(text), socket.loop().in(kPatience));
  CHECK(sent);
}

}  // namespace

TEST_CASE("both ends of a TLS session send more than the kernel holds at once", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    for (auto& socket : ends.sockets) keep_buffers_small(*socket);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    REQUIRE(shaken.server);
    CHECK(ends.client.version() == "TLSv1.3");
    const std::string question = numbers(1'000'000);
    const std::string answer = numbers(700'001);
    Result<void> asked;
    Result<void> answered;
    Child asks(loop);
    Child answers(loop);
    asks.start(send_text(ends.client, loop, question, asked));
    answers.start(send_text(ends.server, loop, answer, answered));
    auto heard = co_await receive_text(ends.server, loop, question.size());
    CHECK(heard == question);
    heard = co_await receive_text(ends.client, loop, answer.size());
    CHECK(heard == answer);
    co_await asks.join();
    co_await answers.join();
    CHECK(asked);
    CHECK(answered);
  });
}

TEST_CASE("a TLS session does not mind how small the pieces are", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    auto near = socket_pair(loop);
    auto far = socket_pair(loop);
    TlsEnd client(*near[0], client_trusting(papers().ca));
    TlsEnd server(*far[1], server_showing(papers().server));
    Child there(loop);
    Child back(loop);
    Child accepts(loop);
    Result<void> accepted;
    there.start(trickle(*near[1], *far[0]));
    back.start(trickle(*far[0], *near[1]));
    accepts.start(accept_into(server, loop.in(kPatience), accepted));
    auto connected = co_await client.connect("server.test", loop.in(kPatience));
    REQUIRE(connected);
    co_await accepts.join();
    REQUIRE(accepted);
    const std::string text = numbers(3000);
    auto sent = co_await client.write(as_bytes(text), loop.in(kPatience));
    REQUIRE(sent);
    auto heard = co_await receive_text(server, loop, text.size());
    CHECK(heard == text);
    client.close();
    server.close();
    co_await there.join();
    co_await back.join();
  });
}

TEST_CASE("only close_notify ends a TLS session in an orderly way", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    ends.server.shut_down_writes();
    for (int i = 0; i < 2; ++i) {
      auto end = co_await ends.client.read(loop.scratch(), loop.in(kPatience));
      REQUIRE_FALSE(end);
      CHECK(end.error().code == Errc::Closed);
    }
    auto more = co_await ends.server.write(as_bytes("x"), loop.in(kPatience));
    CHECK_FALSE(more);

    // The other direction goes on.
    auto sent = co_await ends.client.write(as_bytes("still here"), loop.in(kPatience));
    CHECK(sent);
    auto heard = co_await receive_text(ends.server, loop, 10);
    CHECK(heard == "still here");
    ends.client.close();
    auto end = co_await ends.server.read(loop.scratch(), loop.in(kPatience));
    REQUIRE_FALSE(end);
    CHECK(end.error().code == Errc::Closed);
  });
}

TEST_CASE("a TLS connection that just ends was cut", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    auto sent = co_await ends.server.write(as_bytes("half of"), loop.in(kPatience));
    REQUIRE(sent);
    ::shutdown(ends.sockets[1]->fd(), SHUT_RDWR);
    auto heard = co_await receive_text(ends.client, loop, 7);
    CHECK(heard == "half of");
    for (int i = 0; i < 2; ++i) {
      auto cut = co_await ends.client.read(loop.scratch(), loop.in(kPatience));
      REQUIRE_FALSE(cut);
      CHECK(cut.error().code == Errc::Reset);
      CHECK(cut.error().text == "peer ended the connection without close_notify");
    }

    TlsEnds others(loop);
    others.sockets[1]->close();
    auto refused = co_await others.client.connect("server.test", loop.in(kPatience));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::Reset);
  });
}

TEST_CASE("a TLS client that just ends its connection has left", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    ::shutdown(ends.sockets[0]->fd(), SHUT_RDWR);
    auto end = co_await ends.server.read(loop.scratch(), loop.in(kPatience));
    REQUIRE_FALSE(end);
    CHECK(end.error().code == Errc::Closed);
  });
}

TEST_CASE("what was written over TLS arrives though the socket is closed at once", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    for (auto& socket : ends.sockets) keep_buffers_small(*socket, 4096);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    const std::string text = numbers(60'000);
    const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    auto taken = ends.server.socket().try_write({&piece, 1});
    REQUIRE(taken);
    CHECK(*taken == text.size());
    auto later = ends.server.socket().try_write({&piece, 1});
    REQUIRE(later);
    CHECK(*later == 0);
    ends.server.close();
    auto heard = co_await receive_text(ends.client, loop, text.size());
    CHECK(heard == text);
  });
}

TEST_CASE("pieces of any size become one stream over TLS", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    std::string whole;
    std::vector<std::string> texts;
    for (const std::size_t size : {1, 0, 3000, 16383, 16384, 16385, 2, 40'000, 1, 0})
      texts.push_back(numbers(size));
    std::vector<iovec> pieces;
    for (auto& text : texts) {
      whole += text;
      pieces.push_back({.iov_base = text.data(), .iov_len = text.size()});
    }
    auto taken = ends.server.socket().try_write(pieces);
    REQUIRE(taken);
    CHECK(*taken == whole.size());
    auto heard = co_await receive_text(ends.client, loop, whole.size());
    CHECK(heard == whole);
  });
}

TEST_CASE("TLS works where the kernel was asked to encrypt and does not", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    const auto context = server_showing(papers().server);
    auto made =
        std::make_unique<TlsTransport>(ends.sockets[1]->fd(), context, TlsTransport::Kernel::Try);
    TlsTransport& transport = *made;
    SSL_set_accept_state(transport.session());
    ends.sockets[1]->wrap(std::move(made));
    Result<void> connected;
    Child connects(loop);
    struct Client {
      static Task<void> go(TlsEnd& end, Deadline deadline, Result<void>& outcome) {
        auto done = co_await end.connect("server.test", deadline);
        outcome = std::move(done);
      }
    };
    connects.start(Client::go(ends.client, loop.in(kPatience), connected));
    while (true) {
      auto got = ends.sockets[1]->try_read({});
      REQUIRE(got);
      if (transport.established()) break;
      auto ready = co_await ends.sockets[1]->readable(loop.in(kPatience));
      REQUIRE(ready);
    }
    co_await connects.join();
    REQUIRE(connected);
    CHECK(transport.writes_plainly() == kernel_has_tls());
    const std::string text = numbers(100'000);
    Result<void> sent;
    Child sends(loop);
    sends.start(send_text(ends.server, loop, text, sent));
    auto heard = co_await receive_text(ends.client, loop, text.size());
    CHECK(heard == text);
    co_await sends.join();
  });
}

TEST_CASE("a TLS handshake with a silent peer ends at its deadline", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    auto connected = co_await ends.client.connect("server.test", loop.in(5ms));
    REQUIRE_FALSE(connected);
    CHECK(connected.error().code == Errc::Timeout);
    TlsEnds others(loop);
    auto accepted = co_await others.server.accept(loop.in(5ms));
    REQUIRE_FALSE(accepted);
    CHECK(accepted.error().code == Errc::Timeout);
  });
}

TEST_CASE("one may read again after a deadline, also after that of a write", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    {
      TlsEnds ends(loop);
      for (auto& socket : ends.sockets) keep_buffers_small(*socket);
      auto shaken = co_await shake_hands(loop, ends);
      REQUIRE(shaken.client);
      auto late = co_await ends.client.read(loop.scratch(), loop.in(5ms));
      REQUIRE_FALSE(late);
      CHECK(late.error().code == Errc::Timeout);

      // The server takes nothing.
      const std::string text(1'000'000, 'x');
      auto stuck = co_await ends.client.write(as_bytes(text), loop.in(5ms));
      REQUIRE_FALSE(stuck);
      CHECK(stuck.error().code == Errc::Timeout);

      auto sent = co_await ends.server.write(as_bytes("late"), loop.in(kPatience));
      CHECK(sent);
      auto heard = co_await receive_text(ends.client, loop, 4);
      CHECK(heard == "late");
    }
    co_await end_all_others(loop);  // what is still to be sent to the server
  });
}

TEST_CASE("closing a TLS session ends the waits of both directions", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    for (auto& socket : ends.sockets) keep_buffers_small(*socket);
    auto shaken = co_await shake_hands(loop, ends);
    REQUIRE(shaken.client);
    struct Reads {
      static Task<void> go(TlsEnd& session, Errc& why) {
        auto got = co_await session.read(Loop::current()->scratch(), Clock::now() + kPatience);
        why = got.error().code;
      }
    };
    Errc why{};
    Result<void> sent;
    Child reads(loop);
    Child writes(loop);
    reads.start(Reads::go(ends.client, why));
    writes.start(send_text(ends.client, loop, std::string(1'000'000, 'x'), sent));
    ends.client.close();
    co_await reads.join();
    co_await writes.join();
    CHECK(why == Errc::Cancelled);
    CHECK(sent.error().code == Errc::Cancelled);
  });
}

TEST_CASE("who speaks something else is told apart at once", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    TlsEnds ends(loop);
    co_await write_text(*ends.sockets[1], "HTTP/1.1 400 Bad Request\r\n\r\n");
    auto connected = co_await ends.client.connect("server.test", loop.in(kPatience));
    REQUIRE_FALSE(connected);
    CHECK(connected.error().code == Errc::Protocol);
    CHECK(connected.error().text == "TLS: wrong version number");
    TlsEnds others(loop);
    co_await write_text(*others.sockets[0], "GET / HTTP/1.1\r\n\r\n");
    auto accepted = co_await others.server.accept(loop.in(kPatience));
    REQUIRE_FALSE(accepted);
    CHECK(accepted.error().code == Errc::Protocol);
    CHECK(accepted.error().text == "TLS: http request");
  });
}
