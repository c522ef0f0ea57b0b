#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "test/support/tls_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// OpenSSL as a peer would use it, with all that our sessions refuse to do.
class RawPeer {
 public:
  RawPeer(Socket& socket, const SSL_METHOD* method)
      : socket_(socket),
        context_(SSL_CTX_new(method), SSL_CTX_free),
        ssl_(SSL_new(context_.get()), SSL_free) {
    SSL_set_bio(ssl(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }

  SSL* ssl() const { return ssl_.get(); }

  // Runs one of OpenSSL's calls to its end; what it returned last.
  template <class Call>
  Task<int> drive(Call call) {
    while (true) {
      ERR_clear_error();
      const int done = call();
      auto flushed = co_await flush();
      if (done == 1 || !flushed || SSL_get_error(ssl(), done) != SSL_ERROR_WANT_READ)
        co_return done;
      auto got = co_await socket_.read(socket_.loop().scratch(), socket_.loop().in(kPatience));
      if (!got) co_return done;
      BIO_write(SSL_get_rbio(ssl()), socket_.loop().scratch().data(), static_cast<int>(*got));
    }
  }
  Task<int> shake_hands() {
    return drive([ssl = ssl()] { return SSL_do_handshake(ssl); });
  }
  Task<int> write(std::string_view text) {
    std::size_t sent = 0;
    auto done = co_await drive(
        [&, ssl = ssl()] { return SSL_write_ex(ssl, text.data(), text.size(), &sent); });
    co_return done;
  }
  Task<std::string> read(std::size_t size) {
    std::string text;
    std::array<char, 4000> piece{};
    while (text.size() < size) {
      std::size_t got = 0;
      auto done = co_await drive(
          [&, ssl = ssl()] { return SSL_read_ex(ssl, piece.data(), piece.size(), &got); });
      if (done != 1) break;
      text.append(piece.data(), got);
    }
    co_return text;
  }

 private:
  Task<Result<void>> flush() {
    char* bytes = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(SSL_get_wbio(ssl()), &bytes));
    const std::string out(bytes, size);
    (void)BIO_reset(SSL_get_wbio(ssl()));
    auto sent = co_await socket_.write(as_bytes(out), socket_.loop().in(kPatience));
    co_return sent;
  }

  Socket& socket_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

Task<void> serve(RawPeer& peer, int& outcome) {
  SSL_use_certificate(peer.ssl(), papers().server.x509.get());
  SSL_use_PrivateKey(peer.ssl(), papers().server.key.get());
  SSL_set_accept_state(peer.ssl());
  outcome = co_await peer.shake_hands();
}

// A session of ours and a server of the test's.
struct Rig {
  explicit Rig(Loop& loop)
      : sockets(socket_pair(loop)),
        client(*sockets[0], client_trusting(papers().ca)),
        server(*sockets[1], TLS_server_method()) {}

  Task<void> shake_hands(Loop& loop) {
    int served = 0;
    Child serving(loop);
    serving.start(serve(server, served));
    auto connected = co_await client.connect("server.test", loop.in(kPatience));
    co_await serving.join();
    INVARIANT(connected && served == 1);
  }

  std::array<std::unique_ptr<Socket>, 2> sockets;
  TlsEnd client;
  RawPeer server;
};

void on_loop(Task<void> (*body)(Loop&)) {
  Loop loop;
  run(loop, body(loop));
}

}  // namespace

TEST_CASE("TLS 1.2 is spoken, and nothing older", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION, TLS1_1_VERSION, TLS1_VERSION}) {
      INFO(version);
      auto sockets = socket_pair(loop);
      TlsEnd server(*sockets[1], server_showing(papers().server));
      RawPeer client(*sockets[0], TLS_client_method());
      SSL_set_security_level(client.ssl(), 0);
      SSL_set_min_proto_version(client.ssl(), version);
      SSL_set_max_proto_version(client.ssl(), version);
      SSL_set_connect_state(client.ssl());
      Result<void> accepted;
      Child accepting(loop);
      accepting.start(accept_into(server, loop.in(kPatience), accepted));
      const int shaken = co_await client.shake_hands();
      co_await accepting.join();
      const bool spoken = version >= TLS1_2_VERSION;
      CHECK((shaken == 1) == spoken);
      CHECK(accepted.has_value() == spoken);
      if (spoken)
        CHECK(server.version() == SSL_get_version(client.ssl()));
      else
        CHECK(accepted.error().text == "TLS: unsupported protocol");
    }
  });
}

TEST_CASE("a peer that asks to renegotiate is refused, and the session goes on", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    Rig rig(loop);
    SSL_set_max_proto_version(rig.server.ssl(), TLS1_2_VERSION);
    co_await rig.shake_hands(loop);
    CHECK(rig.client.version() == "TLSv1.2");
    // HelloRequest (RFC 5246 7.4.1.1), and data behind it.
    CHECK(SSL_renegotiate(rig.server.ssl()) == 1);
    auto asked = co_await rig.server.shake_hands();
    CHECK(asked == 1);
    auto sent = co_await rig.server.write("data");
    CHECK(sent == 1);
    auto heard = co_await receive_text(rig.client, loop, 4);
    CHECK(heard == "data");
    // no_renegotiation is a warning; this peer takes it for the end.
    auto got = co_await rig.server.read(1);
    CHECK(got.empty());
    CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION);
  });
}

TEST_CASE("new keys in the middle of traffic lose nothing, either way", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    Rig rig(loop);
    for (auto& socket : rig.sockets) keep_buffers_small(*socket, 4096);
    co_await rig.shake_hands(loop);
    const std::string text(300'000, 'x');
    Result<void> sent;
    Child writes(loop);
    writes.start(send_text(rig.client, loop, text, sent));
    // Our side writes all the while, so its own new keys go out between records, in pieces.
    std::size_t taken = 0;
    for (int i = 0; i < 10; ++i) {
      CHECK(SSL_key_update(rig.server.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
      auto wrote = co_await rig.server.write("tick");
      REQUIRE(wrote == 1);
      auto heard = co_await receive_text(rig.client, loop, 4);
      CHECK(heard == "tick");
      auto got = co_await rig.server.read(20'000);
      taken += got.size();
    }
    auto rest = co_await rig.server.read(text.size() - taken);
    CHECK(taken + rest.size() == text.size());
    co_await writes.join();
    CHECK(sent);
  });
}

TEST_CASE("a peer's fatal alert ends a TLS session and is told by name", "[tls]") {
  on_loop([](Loop& loop) -> Task<void> {
    Rig rig(loop);
    co_await rig.shake_hands(loop);
    // A record that nobody has sealed.
    const std::string forged("\x17\x03\x03\x00\x20", 5);
    const std::string bytes = forged + std::string(32, 'x');
    const auto sent = ::send(rig.sockets[0]->fd(), bytes.data(), bytes.size(), 0);
    REQUIRE(sent == static_cast<ssize_t>(bytes.size()));
    auto got = co_await rig.server.read(1);
    CHECK(got.empty());
    for (int i = 0; i < 2; ++i) {
      auto ended = co_await rig.client.read(loop.scratch(), loop.in(kPatience));
      REQUIRE_FALSE(ended);
      CHECK(ended.error().code == Errc::Protocol);
      CHECK(ended.error().text.contains("alert bad record mac"));
    }
    auto refused = co_await rig.client.write(as_bytes("x"), loop.in(kPatience));
    CHECK_FALSE(refused);
  });
}
