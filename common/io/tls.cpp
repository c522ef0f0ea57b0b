#include "common/io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

namespace weir {
namespace {

// RFC 8446 5.1. OpenSSL 3.0 gets a write of several records wrong when the peer wants new keys in
// the middle of it, so it is given one at a time.
constexpr std::size_t kRecord = 16384;

// The first thing that OpenSSL complained of: later ones only say what failed because of it.
std::string first_complaint() {
  const unsigned long code = ERR_peek_error();
  if (code == 0) return "unknown error";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* text = ERR_reason_error_string(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

std::unexpected<Error> bad_file(const char* what, const std::string& file) {
  auto failed = fail(Errc::System, std::string(what) + " " + file + ": " + first_complaint());
  ERR_clear_error();
  return failed;
}

// RFC 8446 6.2: the alerts with which a peer says that it does not accept our certificate, or us.
bool is_about_certificates(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

// A key with a passphrase must fail: OpenSSL would ask for it at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

bool is_address(const std::string& host) { return Address::parse(host, 0).has_value(); }

}  // namespace

TlsContext::TlsContext(ssl_ctx_st* context) : context_(context, SSL_CTX_free) {
  INVARIANT(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);  // a header and its record with one recv
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

Result<TlsContext> TlsContext::client(const std::string& ca_file) {
  TlsContext made(SSL_CTX_new(TLS_client_method()));
  if (auto trusted = made.trust(ca_file); !trusted) return std::unexpected(trusted.error());
  SSL_CTX_set_verify(made.context_.get(), SSL_VERIFY_PEER, nullptr);
  return made;
}

Result<TlsContext> TlsContext::server(const std::string& certificate_file,
                                      const std::string& key_file,
                                      const std::string& client_ca_file) {
  TlsContext made(SSL_CTX_new(TLS_server_method()));
  if (auto shown = made.identify(certificate_file, key_file); !shown)
    return std::unexpected(shown.error());
  constexpr unsigned char kSessions[] = "weir";
  SSL_CTX_set_session_id_context(made.context_.get(), kSessions, sizeof(kSessions));
  if (client_ca_file.empty()) return made;
  if (auto trusted = made.trust(client_ca_file); !trusted) return std::unexpected(trusted.error());
  SSL_CTX_set_verify(made.context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  return made;
}

Result<void> TlsContext::trust(const std::string& ca_file) {
  ERR_clear_error();
  if (ca_file.empty() && SSL_CTX_set_default_verify_paths(context_.get()) != 1)
    return bad_file("certificates of", "the system's store");
  if (!ca_file.empty() && SSL_CTX_load_verify_file(context_.get(), ca_file.c_str()) != 1)
    return bad_file("certificates in", ca_file);
  return {};
}

Result<void> TlsContext::identify(const std::string& certificate_file,
                                  const std::string& key_file) {
  ERR_clear_error();
  SSL_CTX* context = context_.get();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1)
    return bad_file("certificate in", certificate_file);
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return bad_file("key in", key_file);
  return {};
}

void TlsSession::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsSession::TlsSession(Socket& socket, const TlsContext& context)
    : socket_(socket),
      ssl_(SSL_new(context.context_.get())),
      readable_(socket.loop()),
      writable_(socket.loop()) {
  INVARIANT(ssl_);
  BIO* bio = make_bio(*this);
  SSL_set_bio(ssl_.get(), bio, bio);
}

BIO* TlsSession::make_bio(TlsSession& session) {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir socket");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(
        method, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH; });
    return method;
  }();
  BIO* bio = BIO_new(kMethod);
  INVARIANT(bio != nullptr);
  BIO_set_data(bio, &session);
  BIO_set_init(bio, 1);
  return bio;
}

int TlsSession::bio_read(BIO* bio, char* into, int size) {
  auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  auto got = session.socket_.try_read(
      {reinterpret_cast<std::uint8_t*>(into), static_cast<std::size_t>(size)});
  if (got && *got > 0) return static_cast<int>(*got);
  if (got)
    BIO_set_retry_read(bio);
  else
    session.socket_error_ = std::move(got.error());
  return -1;
}

int TlsSession::bio_write(BIO* bio, const char* bytes, int size) {
  auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const iovec piece{.iov_base = const_cast<char*>(bytes),
                    .iov_len = static_cast<std::size_t>(size)};
  auto sent = session.socket_.try_write({&piece, 1});
  if (sent && *sent > 0) return static_cast<int>(*sent);
  // A peer that refuses our certificate says so and goes, often before it reads what we send next.
  // So the first loss is kept from the writer: the alert is still there for the reader.
  if (!sent && sent.error().code == Errc::Reset && !std::exchange(session.lost_, true)) return size;
  if (sent)
    BIO_set_retry_write(bio);
  else
    session.socket_error_ = std::move(sent.error());
  return -1;
}

Task<Result<void>> TlsSession::connect(std::string host, Deadline deadline) {
  SSL* ssl = ssl_.get();
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // RFC 6066 3: addresses are not names to ask for.
  const bool taken =
      !host.empty() &&
      (is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                        : X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), 0) == 1 &&
                              SSL_set_tlsext_host_name(ssl, host.c_str()) == 1);
  if (!taken) co_return fail(Errc::Protocol, "not a name for a certificate: " + host);
  SSL_set_connect_state(ssl);
  auto shaken = co_await shake_hands(deadline);
  co_return shaken;
}

Task<Result<void>> TlsSession::accept(Deadline deadline) {
  SSL_set_accept_state(ssl_.get());
  auto shaken = co_await shake_hands(deadline);
  co_return shaken;
}

Task<Result<void>> TlsSession::shake_hands(Deadline deadline) {
  auto shaken = co_await drive([this] { return SSL_do_handshake(ssl_.get()); }, deadline);
  established_ = shaken.has_value();
  co_return shaken;
}

Task<Result<std::size_t>> TlsSession::read(std::span<std::uint8_t> into, Deadline deadline) {
  INVARIANT(established_);
  std::size_t got = 0;
  const auto call = [&] { return SSL_read_ex(ssl_.get(), into.data(), into.size(), &got); };
  auto done = co_await drive(call, deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return got;
}

Task<Result<void>> TlsSession::write(ByteView bytes, Deadline deadline) {
  INVARIANT(established_ && !writing_);
  if (cannot_write_) co_return std::unexpected(*cannot_write_);
  writing_ = true;
  Result<void> done;
  while (done && !bytes.empty()) {
    std::size_t sent = 0;
    const auto record = bytes.first(std::min<std::size_t>(bytes.size(), kRecord));
    const auto call = [&] { return SSL_write_ex(ssl_.get(), record.data(), record.size(), &sent); };
    done = co_await drive(call, deadline);
    bytes = bytes.subspan(sent);
  }
  writing_ = false;
  if (!done) cannot_write_ = done.error();
  co_return done;
}

Task<Result<void>> TlsSession::shut_down_writes(Deadline deadline) {
  INVARIANT(established_ && !writing_);
  if (cannot_write_) co_return std::unexpected(*cannot_write_);
  // 0: said, and not heard from the peer yet.
  const auto call = [this] {
    const int said = SSL_shutdown(ssl_.get());
    return said == 0 ? 1 : said;
  };
  auto done = co_await drive(call, deadline);
  cannot_write_ = done ? Error{Errc::Closed, "writes are shut down"} : done.error();
  co_return done;
}

void TlsSession::close() {
  if (established_ && !writing_ && !broken_ && !cannot_write_ && socket_.is_open()) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    cannot_write_ = Error{Errc::Cancelled, "closed"};
  }
  socket_.close();
}

std::string TlsSession::version() const { return SSL_get_version(ssl_.get()); }

template <class Call>
Task<Result<void>> TlsSession::drive(Call call, Deadline deadline) {
  while (true) {
    if (broken_) co_return std::unexpected(*broken_);
    ERR_clear_error();
    const int done = call();
    if (done == 1) co_return Result<void>{};
    const int reason = SSL_get_error(ssl_.get(), done);
    if (reason == SSL_ERROR_ZERO_RETURN) co_return fail(Errc::Closed, "peer closed");
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
      broken_ = failure(reason);
      continue;
    }
    auto ready = co_await wait(reason == SSL_ERROR_WANT_WRITE, deadline);
    if (!ready) co_return ready;
  }
}

// A socket has one waiter each way. When reading has to send something first (an answer to
// KeyUpdate that writing left half sent), it waits until the writer's wait is over and looks again.
Task<Result<void>> TlsSession::wait(bool to_write, Deadline deadline) {
  Way& way = to_write ? writable_ : readable_;
  if (way.awaited) {
    auto freed = co_await way.free.wait(deadline);
    co_return freed;
  }
  way.awaited = true;
  auto readiness = to_write ? socket_.writable(deadline) : socket_.readable(deadline);
  auto ready = co_await readiness;
  way.awaited = false;
  way.free.notify();
  co_return ready;
}

Error TlsSession::failure(int reason) {
  if (socket_error_ && socket_error_->code == Errc::Closed)
    return {Errc::Reset, established_ ? "peer ended the connection without close_notify"
                                      : "peer ended the connection during the TLS handshake"};
  if (socket_error_) return *socket_error_;
  if (const long verdict = SSL_get_verify_result(ssl_.get()); !established_ && verdict != X509_V_OK)
    return {Errc::Denied,
            std::string("certificate verify failed: ") + X509_verify_cert_error_string(verdict)};
  const std::string text = "TLS: " + first_complaint();
  const int alert = ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET;
  if (reason == SSL_ERROR_SSL && is_about_certificates(alert)) return {Errc::Denied, text};
  return {Errc::Protocol, text};
}

}  // namespace weir
