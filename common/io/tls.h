// common/io/tls.h
// TLS between a Socket and its descriptor: OpenSSL does the protocol, and whoever uses the socket
// goes on as before.
//
//     auto socket = co_await Socket::connect(...);
//     auto safe = co_await connect_tls(*socket, context, "redis.example", loop.in(1s));
//     auto got = co_await socket->read(buffer, loop.in(10s));
//
// A write becomes records of 16 KiB, and several records one send: a send costs about the same for
// 1 KiB as for 64. What the kernel does not take stays here (Transport::holds) as ciphertext. Where
// the kernel can encrypt (kTLS), it does: sends and sendfile are then those of a plain socket.
//
// TLS 1.2 and 1.3; renegotiation is refused. The peer's end of stream counts only when it says so
// (close_notify): a server that merely ends the connection was cut off by somebody, and is told as
// Reset. Many clients just leave, which does no harm: that is Closed.
//
// Threading: a context is immutable once it is used, and is shared by all loops; a connection is
// its socket's loop's. A context reads its files when it is made; the system's store is a folder of
// small files, each read when a chain first needs it.
// Bounds: a record to be read (16 KiB) while there is something in it, kTlsBatch to be sent while
// the peer does not take it, and what OpenSSL lets certificates take (100 KiB) during a handshake.
#pragma once

#include <memory>
#include <string>

#include "common/io/socket.h"

struct ssl_ctx_st;
struct ssl_st;

namespace weir {

inline constexpr std::size_t kTlsBatch = 64 * 1024;

class TlsContext {
 public:
  enum class Verify { Peer, Nobody };

  // For connecting. Peers must have a certificate that leads to one in `ca_file` (PEM), or in the
  // system's store when it is empty; or whatever they show is taken. Errors: System, with the
  // file's name.
  static Result<TlsContext> client(const std::string& ca_file, Verify verify = Verify::Peer);
  // For accepting, with a certificate chain and its key (PEM). When `client_ca_file` is not empty,
  // peers must have a certificate that leads there. Errors as above.
  static Result<TlsContext> server(const std::string& certificate_file, const std::string& key_file,
                                   const std::string& client_ca_file);
  // Of a context that somebody else keeps: REQUIRES: made by one of these.
  explicit TlsContext(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}

  // The certificate to show when asked for one. REQUIRES: no session yet. Errors as above.
  Result<void> identify(const std::string& certificate_file, const std::string& key_file);

  const std::shared_ptr<ssl_ctx_st>& raw() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context);
  Result<void> trust(const std::string& ca_file);

  std::shared_ptr<ssl_ctx_st> context_;
};

// What two ends have agreed upon.
struct TlsAgreement {
  std::string version;      // "TLSv1.3"
  std::string application;  // by ALPN, such as "h2"; empty: nothing
  bool resumed = false;     // an earlier session
  bool in_kernel = false;   // kTLS, for what we send
};

// The handshake over a plain socket, which speaks TLS from then on. The peer's certificate must be
// for `host`, a name or an address. After an error the socket is of no use. Errors: Denied when a
// certificate is not accepted, here or there; Protocol; Reset, also for an end in the middle;
// Timeout; Cancelled.
//
// Of the socket afterwards: read and write may fail with Protocol, and with Denied, for in TLS 1.3
// a server tells there that it wants another certificate.
Task<Result<TlsAgreement>> connect_tls(Socket& socket, TlsContext context, std::string host,
                                       Deadline deadline);
// `applications` are what is spoken here, most wanted first, each behind its length (RFC 7301 3.1);
// a client that asks for others only gets none.
Task<Result<TlsAgreement>> accept_tls(Socket& socket, TlsContext context, Deadline deadline,
                                      std::string applications = {});

// Of a server's session, while it shakes hands: the applications given to accept_tls().
const std::string& tls_applications(const ssl_st* session);

// The first thing that OpenSSL complained of on this thread: later ones only say what failed because
// of it.
std::string tls_complaint();

// Whether this kernel does the encryption of TLS by itself.
bool kernel_has_tls();

}  // namespace weir
