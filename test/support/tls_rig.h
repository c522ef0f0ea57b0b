// test/support/tls_rig.h
// Two ends of a TLS connection on one loop, and the certificates that they show each other.
#pragma once

#include "common/io/child.h"
#include "common/io/tls.h"
#include "test/support/certificates.h"
#include "test/support/loopback.h"

namespace weir::test {

// One authority, whom it vouches for, and who does not fit. Made once for all tests.
struct Papers {
  CertificateFolder folder;
  Certificate ca = folder.authority("ca");
  Certificate stranger = folder.authority("stranger");
  Certificate server = folder.certificate(
      "server", ca, {.names = "DNS:server.test,DNS:*.many.test,IP:127.0.0.1,IP:::1"});
  Certificate expired =
      folder.certificate("expired", ca, {.names = "DNS:server.test", .valid_until = -60});
  Certificate early =
      folder.certificate("early", ca, {.names = "DNS:server.test", .valid_from = 600});
  Certificate client = folder.certificate("client", ca);
  Certificate false_client = folder.certificate("false_client", stranger);
};

inline const Papers& papers() {
  static const Papers kPapers;
  return kPapers;
}

inline TlsContext server_showing(const Certificate& shown, const std::string& client_ca = "") {
  auto context = TlsContext::server(shown.file, shown.key_file, client_ca);
  INVARIANT(context, context.error().text);
  return std::move(*context);
}

inline TlsContext client_trusting(const Certificate& authority) {
  auto context = TlsContext::client(authority.file);
  INVARIANT(context, context.error().text);
  return std::move(*context);
}

// A socket that becomes one end.
class TlsEnd {
 public:
  TlsEnd(Socket& socket, TlsContext context) : socket_(socket), context_(std::move(context)) {}

  Task<Result<void>> connect(std::string host, Deadline deadline) {
    auto agreed = co_await connect_tls(socket_, context_, host, deadline);
    co_return keep(std::move(agreed));
  }
  Task<Result<void>> accept(Deadline deadline) {
    auto agreed = co_await accept_tls(socket_, context_, deadline, applications);
    co_return keep(std::move(agreed));
  }
  Task<Result<std::size_t>> read(std::span<std::uint8_t> into, Deadline deadline) {
    return socket_.read(into, deadline);
  }
  Task<Result<void>> write(ByteView bytes, Deadline deadline) {
    return socket_.write(bytes, deadline);
  }
  void shut_down_writes() { socket_.shut_down_writes(); }
  void close() { socket_.close(); }
  const std::string& version() const { return agreement.version; }
  Socket& socket() { return socket_; }

  std::string applications;
  TlsAgreement agreement;

 private:
  Result<void> keep(Result<TlsAgreement> agreed) {
    if (!agreed) return std::unexpected(agreed.error());
    agreement = std::move(*agreed);
    return {};
  }

  Socket& socket_;
  TlsContext context_;
};

struct TlsEnds {
  explicit TlsEnds(Loop& loop, TlsContext of_client = client_trusting(papers().ca),
                   TlsContext of_server = server_showing(papers().server))
      : sockets(socket_pair(loop)),
        client(*sockets[0], of_client),
        server(*sockets[1], of_server) {}

  std::array<std::unique_ptr<Socket>, 2> sockets;
  TlsEnd client;
  TlsEnd server;
};

struct Shaken {
  Result<void> client;
  Result<void> server;
};

inline Task<void> accept_into(TlsEnd& session, Deadline deadline, Result<void>& outcome) {
  auto shaken = co_await session.accept(deadline);
  outcome = std::move(shaken);
}

inline Task<Shaken> shake_hands(Loop& loop, TlsEnds& ends, std::string host = "server.test") {
  Shaken shaken;
  Child server(loop);
  server.start(accept_into(ends.server, loop.in(kPatience), shaken.server));
  shaken.client = co_await ends.client.connect(host, loop.in(kPatience));
  if (!shaken.client) ends.client.close();
  co_await server.join();
  co_return shaken;
}

template <class Stream>
Task<void> send_text(Stream& stream, Loop& loop, std::string text, Result<void>& outcome) {
  auto sent = co_await stream.write(as_bytes(text), loop.in(kPatience));
  outcome = std::move(sent);
}

// As many bytes as that, or fewer when the peer ends or the connection fails.
inline Task<std::string> receive_text(TlsEnd& session, Loop& loop, std::size_t size) {
  std::string text;
  std::array<std::uint8_t, 5000> buffer{};
  while (text.size() < size) {
    auto got = co_await session.read(buffer, loop.in(kPatience));
    if (!got) break;
    text += as_text(ByteView(buffer).first(*got));
  }
  co_return text;
}

}  // namespace weir::test
