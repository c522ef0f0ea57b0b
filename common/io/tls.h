// common/io/tls.h
// TLS over a Socket: OpenSSL does the protocol, the Socket's own reads and writes carry it.
//
//     TlsSession tls(*socket, context);
//     auto safe = co_await tls.connect("redis.example", loop.in(1s));   // or accept()
//     auto got = co_await tls.read(buffer, loop.in(10s));
//
// OpenSSL asks for bytes through a BIO that is nothing but Socket::try_read and try_write, so there
// is no second copy of what is on its way, and no thread. One coroutine reads and one writes at a
// time, as with a Socket. TLS 1.2 and 1.3; renegotiation is refused.
//
// The peer's end of stream counts only when it says so (close_notify): a connection that merely
// ends was cut by somebody, and is told as Reset.
//
// Threading: a context is immutable once sessions use it, and is shared by all loops; a session is
// its socket's loop's. A context reads its files when it is made; the system's store is a folder of
// small files, each read when a chain first needs it.
// Bounds: a record each way (16 KiB) while there is something in it, and what OpenSSL lets
// certificates take (100 KiB) during a handshake.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/io/gate.h"
#include "common/io/socket.h"

struct bio_st;
struct ssl_ctx_st;
struct ssl_st;

namespace weir {

class TlsContext {
 public:
  // For connecting. Peers must have a certificate that leads to one in `ca_file` (PEM), or in the
  // system's store when it is empty. Errors: System, with the file's name.
  static Result<TlsContext> client(const std::string& ca_file);
  // For accepting, with a certificate chain and its key (PEM). When `client_ca_file` is not empty,
  // peers must have a certificate that leads there. Errors as above.
  static Result<TlsContext> server(const std::string& certificate_file, const std::string& key_file,
                                   const std::string& client_ca_file);

  // The certificate to show when asked for one. REQUIRES: no session yet. Errors as above.
  Result<void> identify(const std::string& certificate_file, const std::string& key_file);

 private:
  friend class TlsSession;
  explicit TlsContext(ssl_ctx_st* context);
  Result<void> trust(const std::string& ca_file);

  std::shared_ptr<ssl_ctx_st> context_;
};

class TlsSession {
 public:
  // Over a connected socket, which outlives it.
  TlsSession(Socket& socket, const TlsContext& context);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // The handshake; once, and first. The peer's certificate must be for `host`, a name or an
  // address. Errors: Denied when a certificate is not accepted, here or there; Protocol; Reset,
  // also for an end in the middle; Timeout; Cancelled.
  Task<Result<void>> connect(std::string host, Deadline deadline);
  Task<Result<void>> accept(Deadline deadline);

  // Bytes received, at least one. Errors: Closed after the peer's close_notify, Reset, Denied (in
  // TLS 1.3 a server tells here that it wants another certificate), Protocol, Timeout (one may ask
  // again), Cancelled.
  Task<Result<std::size_t>> read(std::span<std::uint8_t> into, Deadline deadline);
  // All of `bytes`, which must live until then. Errors as above; after any, nothing more
  // is written. A broken connection may be told by the next read or write only.
  Task<Result<void>> write(ByteView bytes, Deadline deadline);
  // close_notify: no more will be written. Reading goes on. Errors as above.
  Task<Result<void>> shut_down_writes(Deadline deadline);

  // Says close_notify if that can be done at once, and closes the socket.
  void close();

  // "TLSv1.3". REQUIRES: the handshake is done.
  std::string version() const;

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  // A direction of the socket, that reading and writing may both have to wait for.
  struct Way {
    explicit Way(Loop& loop) : free(loop) {}
    bool awaited = false;
    Gate free;
  };

  static int bio_read(bio_st* bio, char* into, int size);
  static int bio_write(bio_st* bio, const char* bytes, int size);
  static bio_st* make_bio(TlsSession& session);

  Task<Result<void>> shake_hands(Deadline deadline);
  // `call` until it has done its work: 1 done, otherwise what SSL_get_error makes of it.
  template <class Call>
  Task<Result<void>> drive(Call call, Deadline deadline);
  Task<Result<void>> wait(bool to_write, Deadline deadline);
  Error failure(int reason);

  Socket& socket_;
  std::unique_ptr<ssl_st, Free> ssl_;
  bool established_ = false;
  bool writing_ = false;
  bool lost_ = false;                  // what was sent last
  std::optional<Error> socket_error_;  // what the socket said last, if not well
  std::optional<Error> broken_;        // OpenSSL must not be asked again
  std::optional<Error> cannot_write_;  // a record may be out by half
  Way readable_;
  Way writable_;
};

}  // namespace weir
